"""MailReply: find a message by its sender and subject, answer it with a text and a file, and send."""

import functools
from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.detours import by_keyboard
from milepost.envs.apps.mail.scene import (
    HOST,
    Letter,
    carry,
    draw_files,
    draw_layout,
    draw_messages,
    make_rules,
    upload,
    write,
)
from milepost.envs.apps.mail.server import APP, Layout, Message, build
from milepost.envs.apps.moves import follow, press, take_first
from milepost.envs.task import Difficulty, Oracle, Split, Task, Template, choose, grade
from milepost.milestones import text, when
from milepost.sandbox.actions import Action, Click
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import Site

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "reply to {subject} from {person}: write {text} and attach {file}.",
        "answer the mail {subject} of {person} with {text} and the file {file}.",
        "send {file} to {person} as a reply to {subject} and write {text}.",
        "write {text} to {person} as a reply to {subject}, with {file} attached.",
        "reply with {text} and {file} to the mail {subject} from {person}.",
    ),
)
"""How the goal is put, by split."""

_ANSWERS = ("Here it is", "As you asked", "Please see the file", "Thank you", "All done", "Have a look")


def open_message(view: Observation, layout: Layout, message: Message) -> Click | None:
    """Go on towards a message in the list; two may have the same subject, so the sender counts."""
    row = next((i for i, e in enumerate(view.elements) if _names(e.name, message) and e.role == "row"), None)
    if row is not None:
        after = (e for e in view.elements[row:] if e.role == "link" and e.name == message.subject)
        return next((Click(e.id) for e in after), None)
    if not view.find("table", layout.inbox):
        return follow(view, layout.inbox)
    at = next((i for i, m in enumerate(layout.messages) if any(_names(e.name, m) for e in view.elements)), 0)
    wanted = layout.messages.index(message)
    return press(view, "button", "Older" if wanted > at else "Newer")


def _names(line: str, message: Message) -> bool:
    return line == f"{message.sender} {message.subject} {message.day}"


def is_open(view: Observation, message: Message) -> bool:
    """Whether the page of a message is shown."""
    return view.url.endswith(f"/messages/{message.id}")


def _make_oracle(
    layout: Layout, message: Message, letter: Letter, note: str, path: str, *, from_last: bool = False
) -> Oracle:
    def act(view: Observation) -> Action:
        if view.url.endswith(f"/compose?reply={message.id}"):
            return write(view, layout, letter, note, upload(view, layout, path), from_last=from_last)
        if view.find("status", layout.sent):
            return take_first()
        if is_open(view, message):
            return take_first(follow(view, "Reply"))
        return take_first(open_message(view, layout, message))

    return act


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    people = names.draw_people(rng, 3 + difficulty.distractors)
    domain = choose(rng, names.DOMAINS)
    files = draw_files(rng, 2 + difficulty.distractors // 2)
    messages = draw_messages(rng, people, domain, {})
    layout = draw_layout(rng, difficulty, people, domain, messages)
    message, name, note = messages[0], next(iter(files)), choose(rng, _ANSWERS)
    letter = Letter(
        to=message.address,
        subject=f"Re: {message.subject}",
        files=carry(files, name),
        text=text(note),
        kind="reply",
        message=message.id,
    )
    goal = choose(rng, WORDINGS[split]).format(
        person=f'"{message.sender}"', subject=f'"{message.subject}"', text=f'"{note}"', file=f'"{name}"'
    )
    oracle = _make_oracle(layout, message, letter, note, name)
    # The editor comes with recipient and subject filled in; that it is there is what counts.
    editor = when("element_appeared", role="form", name="Reply")
    return Task(
        goal=goal,
        params={"message": message.id, "to": letter.to, "text": note, "file": name},
        start_url=f"http://{HOST}/",
        sites={HOST: Site(app=APP, build=functools.partial(build, layout))},
        spec=make_rules(layout, letter, addressed=editor),
        oracle=oracle,
        alternatives={
            "by keyboard": by_keyboard(oracle),
            "file first": _make_oracle(layout, message, letter, note, name, from_last=True),
        },
        files={name: files[name] for name in sorted(files)},
    )


TEMPLATE = Template(
    id="MailReply-v0",
    family="email",
    summary="Find a message, answer it with a text and a file, and send.",
    max_steps=12,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
