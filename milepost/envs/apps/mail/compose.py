"""MailCompose: write a new message with a subject and the right file attached, and send it."""

import functools
from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.detours import by_keyboard, straight_to
from milepost.envs.apps.mail.scene import (
    HOST,
    Letter,
    carry,
    draw_files,
    draw_layout,
    draw_messages,
    make_rules,
    upload,
    was_filled,
    write,
)
from milepost.envs.apps.mail.server import APP, Layout, build
from milepost.envs.apps.moves import follow, take_first
from milepost.envs.task import Difficulty, Oracle, Split, Task, Template, choose, grade
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import Site

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "send {file} to {person} with the subject {subject}.",
        "write to {person} with the subject {subject} and attach {file}.",
        "mail {file} to {person}. The subject is {subject}.",
        "send a mail about {subject} to {person} with {file} attached.",
        "write a mail with the subject {subject} to {person} and add the file {file}.",
    ),
)
"""How the goal is put, by split."""


def _make_oracle(layout: Layout, letter: Letter, path: str, *, from_last: bool = False) -> Oracle:
    def act(view: Observation) -> Action:
        if view.find("heading", "New message"):
            return write(view, layout, letter, "", upload(view, layout, path), from_last=from_last)
        if view.find("status", layout.sent):
            return take_first()
        return take_first(follow(view, layout.compose))

    return act


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    people = names.draw_people(rng, 4 + difficulty.distractors)
    domain = choose(rng, names.DOMAINS)
    files = draw_files(rng, 2 + difficulty.distractors // 2)
    layout = draw_layout(rng, difficulty, people, domain, draw_messages(rng, people[1:5], domain, {}))
    name = next(iter(files))
    folder = "documents" if difficulty.depth else ""
    person, subject = people[0], f"{choose(rng, names.TOPICS)} {choose(rng, names.MONTHS)}"
    letter = Letter(to=names.make_address(person, domain), subject=subject, files=carry(files, name))
    addressed = was_filled(layout.to, letter.to) & was_filled(layout.subject, subject)
    who = f'"{person}" ("{letter.to}")' if difficulty.hint else f'"{person}"'
    goal = choose(rng, WORDINGS[split]).format(person=who, subject=f'"{subject}"', file=f'"{name}"')
    placed = {f"{folder}/{n}".lstrip("/"): content for n, content in files.items()}
    path = f"{folder}/{name}".lstrip("/")
    oracle = _make_oracle(layout, letter, path)
    return Task(
        goal=goal,
        params={"to": letter.to, "subject": subject, "file": path},
        start_url=f"http://{HOST}/",
        sites={HOST: Site(app=APP, build=functools.partial(build, layout))},
        spec=make_rules(layout, letter, addressed=addressed),
        oracle=oracle,
        alternatives={
            "by keyboard": by_keyboard(oracle),
            "by address": straight_to(oracle, f"http://{HOST}/compose"),
            "file first": _make_oracle(layout, letter, path, from_last=True),
        },
        files={path: placed[path] for path in sorted(placed)},
    )


TEMPLATE = Template(
    id="MailCompose-v0",
    family="email",
    summary="Write a message with a subject and the right file attached, and send it.",
    max_steps=12,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
