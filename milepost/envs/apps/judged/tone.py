"""ReplyTone: decline a message politely, in the form of a letter."""

import functools
from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.judged.letters import draw_mailbox, make_letter_rules, send
from milepost.envs.apps.judged.scene import load_rubric
from milepost.envs.apps.mail.reply import is_open, open_message
from milepost.envs.apps.mail.scene import HOST
from milepost.envs.apps.mail.server import APP, Layout, Message, build
from milepost.envs.apps.moves import enter, follow, take_first
from milepost.envs.task import Oracle, Split, Task, Template, choose
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import Site

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "reply to {subject} from {person} and say politely that you cannot come, as a letter signed {me}",
        "answer the mail {subject} of {person}: decline politely, as a letter signed {me}",
        "decline {subject} from {person} with a polite reply in the form of a letter, signed {me}",
        "write a polite letter as the reply to {subject} from {person}: you cannot come. Sign it {me}",
        "reply to the mail {subject} from {person} with a polite letter that declines, signed {me}",
        "say to {person} in a reply to {subject}, politely and as a letter signed {me}, that you cannot come",
    ),
    (".",),
)
"""How the goal is put, by split."""


def write_letter(person: str, me: str) -> str:
    """Write a letter that declines."""
    first = person.split()[0]
    return (
        f"Dear {first},\n\nthank you very much for your invitation. I am sorry, but I cannot come this time.\n\n"
        f"Kind regards,\n{me}"
    )


def _make_oracle(layout: Layout, message: Message, note: str) -> Oracle:
    def act(view: Observation) -> Action:
        if view.url.endswith(f"/compose?reply={message.id}"):
            return take_first(enter(view, layout.text, note), send(view, layout))
        if is_open(view, message):
            return take_first(follow(view, "Reply"))
        return take_first(open_message(view, layout, message))

    return act


def _build_task(rng: np.random.Generator, split: Split) -> Task:
    layout, messages, people = draw_mailbox(rng, ())
    message, me = messages[0], people[-1]
    note = write_letter(message.sender, me)
    goal = choose(rng, WORDINGS[split]).format(
        person=f'"{message.sender}"', subject=f'"{message.subject}"', me=f'"{me}"'
    )
    return Task(
        goal=goal,
        params={"message": message.id, "to": message.address, "me": me},
        start_url=f"http://{HOST}/",
        sites={HOST: Site(app=APP, build=functools.partial(build, layout))},
        spec=make_letter_rules(
            layout,
            to=message.address,
            subject=f"Re: {message.subject}",
            kind="reply",
            message=message.id,
            question="Does the reply decline, politely and in the form of a letter?",
        ),
        oracle=_make_oracle(layout, message, note),
        rubric=load_rubric("tone"),
        truth=(
            f'The reply goes to {message.sender} and is to be signed "{me}".',
            "Nothing else was asked for: no new date, no promise.",
        ),
    )


TEMPLATE = Template(
    id="ReplyTone-v0",
    family="email",
    summary="Find a message and decline politely, in the form of a letter.",
    max_steps=10,
    build=_build_task,
)
