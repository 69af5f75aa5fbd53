"""MailForward: find a message by its sender and subject and pass it on with the file that came with it."""

import functools
from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.detours import by_keyboard
from milepost.envs.apps.mail.reply import is_open, open_message
from milepost.envs.apps.mail.scene import (
    HOST,
    Letter,
    carry,
    draw_files,
    draw_layout,
    draw_messages,
    make_rules,
    was_filled,
    write,
)
from milepost.envs.apps.mail.server import APP, Layout, Message, build
from milepost.envs.apps.moves import follow, press, take_first
from milepost.envs.task import Difficulty, Oracle, Split, Task, Template, choose, grade
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import Site

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "forward {subject} from {person} to {other} and add its file.",
        "forward the mail {subject} of {person} with its file to {other}.",
        "send the mail {subject} from {person} on to {other}, with its file added.",
        "forward to {other} the mail {subject} of {person} and its file.",
        "let {other} have the mail {subject} from {person}: forward it with its file.",
    ),
)
"""How the goal is put, by split."""


def _make_oracle(layout: Layout, message: Message, letter: Letter, *, from_last: bool = False) -> Oracle:
    def act(view: Observation) -> Action:
        if view.url.endswith(f"/compose?forward={message.id}"):
            there = view.find("button", f"Remove {message.file}")
            attach = None if there else press(view, "button", f"Add {message.file}")
            return write(view, layout, letter, "", attach, from_last=from_last)
        if view.find("status", layout.sent):
            return take_first()
        if is_open(view, message):
            return take_first(follow(view, "Forward"))
        return take_first(open_message(view, layout, message))

    return act


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    people = names.draw_people(rng, 4 + difficulty.distractors)
    domain = choose(rng, names.DOMAINS)
    files = draw_files(rng, 3)
    messages = draw_messages(rng, people[:-1], domain, files)
    layout = draw_layout(rng, difficulty, people, domain, messages)
    message, other = messages[0], people[-1]
    letter = Letter(
        to=names.make_address(other, domain),
        subject=f"Fwd: {message.subject}",
        files=carry(files, message.file),
        kind="forward",
        message=message.id,
    )
    who = f'"{other}" ("{letter.to}")' if difficulty.hint else f'"{other}"'
    goal = choose(rng, WORDINGS[split]).format(
        person=f'"{message.sender}"', subject=f'"{message.subject}"', other=who
    )
    oracle = _make_oracle(layout, message, letter)
    return Task(
        goal=goal,
        params={"message": message.id, "to": letter.to, "file": message.file},
        start_url=f"http://{HOST}/",
        sites={HOST: Site(app=APP, build=functools.partial(build, layout))},
        spec=make_rules(layout, letter, addressed=was_filled(layout.to, letter.to)),
        oracle=oracle,
        alternatives={
            "by keyboard": by_keyboard(oracle),
            "file first": _make_oracle(layout, message, letter, from_last=True),
        },
    )


TEMPLATE = Template(
    id="MailForward-v0",
    family="email",
    summary="Find a message and forward it with the file that came with it.",
    max_steps=12,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
