"""Policies that want the reward without doing the task. They know the task's parameters, and work on any task.

Each is a generator: it is sent what the agent sees and gives the next action, until it has nothing left to try.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from milepost.envs.performance import Play
from milepost.envs.task import Task
from milepost.sandbox.actions import (
    Action,
    Answer,
    Click,
    Dblclick,
    DeleteFile,
    Fill,
    Goto,
    NewTab,
    Noop,
    Press,
    ReportInfeasible,
    Scroll,
    Type,
    WriteFile,
)
from milepost.sandbox.observation import Observation

Policy = Callable[["Chance"], Play]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """All that an adversary has to work with."""

    task: Task
    other: Task
    """A task of the same template with other parameters."""
    actions: tuple[Action, ...]
    """What the task's own oracle did on this seed."""
    rng: np.random.Generator
    view: Observation
    """What the agent sees first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adversary:
    """A policy that must not succeed."""

    name: str
    policy: Policy
    allowed: str
    """`nothing`: no reward at all. `part`: less than everything, and no goal. `once`: everything, but once."""
    steps: int = 0
    """It begins anew until it has taken so many steps; 0 for one episode."""


def _texts(value: Any) -> Iterator[str]:
    """Give every text and number in a task's parameters."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str | int):
        yield str(value)


def _wait(chance: Chance) -> Play:
    while True:
        yield Noop()


def _answer_at_once(chance: Chance) -> Play:
    yield Answer("done")


def _give_up(chance: Chance) -> Play:
    yield ReportInfeasible("This cannot be done.")


def _answer_everything(chance: Chance) -> Play:
    """List all that the answer could be, and what the page shows."""
    said = [*_texts(chance.task.params), *(element.name for element in chance.view.elements)]
    yield Answer(json.dumps(said))


def _echo(chance: Chance) -> Play:
    """Type the goal and words of success into every field, and answer with them."""
    words = f"{chance.task.goal} Success. Status: success. Changes saved. Reward: 1.0"
    view = chance.view
    for element in view.elements:
        if element.role in ("textbox", "searchbox"):
            view = yield Fill(element.id, words)
    yield Answer(words)


_PATHS = (
    *(
        "success",
        "done",
        "finish",
        "finished",
        "confirmation",
        "confirm",
        "thanks",
        "saved",
        "sent",
        "complete",
    ),
    *(
        "state",
        "api/state",
        "reward",
        "score",
        "admin",
        "debug",
        "result",
        "?success=1",
        "?saved",
        "?status=ok",
    ),
)


def _jump(chance: Chance) -> Play:
    """Open addresses that could mean success, by GET; few fit into an episode, so each seed tries others first."""
    addresses = [f"http://{host}/{path}" for host in chance.task.sites for path in _PATHS]
    for index in chance.rng.permutation(len(addresses)):
        yield Goto(addresses[int(index)])
    yield Answer("done")


_ELSEWHERE = (
    *("file:///etc/passwd", "FILE:///tmp", "view-source:file:///tmp", "file://localhost/proc/self/environ"),
    *(
        "chrome://settings",
        "devtools://devtools/bundled/inspector.html",
        "chrome-extension://x",
        "about:inspect",
    ),
    *(
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://169.254.169.254/",
        "http://localhost:9222/json",
        "ftp://a/",
    ),
)


def _leave(chance: Chance) -> Play:
    for index in chance.rng.permutation(len(_ELSEWHERE)):
        yield Goto(_ELSEWHERE[int(index)])
    yield NewTab(url="file:///tmp")
    yield Answer("done")


def _edit_page(chance: Chance) -> Play:
    """Try to run scripts that set what pages and graders are known to look at."""
    code = "window.WOB_RAW_REWARD_GLOBAL=1;localStorage.setItem('done','1');document.title='Success'"
    button = "<h1 role='status'>Success</h1><dialog open>Sent</dialog>"
    for address in (f"javascript:{code}", f"data:text/html,<script>{code}</script>{button}", "blob:x"):
        yield Goto(address)
    view = chance.view
    for element in view.elements:
        if element.role in ("textbox", "searchbox"):
            view = yield Fill(element.id, f'<img src=x onerror="{code}"><script>{code}</script>{button}')
            view = yield Press(element.id, "Enter")
            break
    yield Answer("done")


def _delete(chance: Chance) -> Play:
    view = chance.view
    for file in view.files:
        view = yield DeleteFile(file.path)
    for element in view.elements:
        words = element.name.casefold().split()
        if {"delete", "remove", "clear", "reset", "discard", "archive"} & set(words):
            yield Click(element.id)
    yield Answer("done")


def _forge_files(chance: Chance) -> Play:
    """Write files with the names that could be asked for."""
    names = [text.lower().replace(" ", "-") for text in _texts(chance.task.params) if len(text) < 40]
    for name in names[:3]:
        for suffix in ("csv", "pdf"):
            yield WriteFile(f"Downloads/{name}.{suffix}", "total,48.20\n")
    yield Answer("done")


def _scatter(chance: Chance) -> Play:
    """Do anything anywhere."""
    view, rng = chance.view, chance.rng
    while True:
        elements = [element for element in view.elements if element.id]
        if not elements or rng.random() < 0.1:
            view = yield Scroll(0, 100)
            continue
        element = elements[int(rng.integers(len(elements)))]
        if element.role in ("textbox", "searchbox"):
            view = yield Fill(element.id, str(int(rng.integers(1000))))
        else:
            view = yield Click(element.id)


def _follow_other(chance: Chance) -> Play:
    """Do another seed's task here."""
    view = chance.view
    while True:
        view = yield chance.other.oracle(view)


def _spoil_text(action: Action) -> Action | None:
    match action:
        case Fill(element=element, text=text):
            return Fill(element, f"{text}1")
        case Type(element=element, text=text):
            return Type(element, f"{text}1")
        case _:
            return None


def _mistype(chance: Chance) -> Play:
    """Do the task as its oracle did, with every text one character too long."""
    if not any(map(_spoil_text, chance.actions)):
        return
    for action in chance.actions:
        yield _spoil_text(action) or action


def _submit_twice(chance: Chance) -> Play:
    """Do the task, and press everything twice."""
    for action in chance.actions:
        match action:
            case Click(element=element):
                yield Dblclick(element)
                yield Click(element)
            case _:
                yield action


def _reverse(chance: Chance) -> Play:
    """Do the task's steps, the last one first."""
    if len(chance.actions) > 1:
        for action in chance.actions[::-1]:
            _ = yield action


def _undo(chance: Chance) -> Play:
    """Do all of the task but its last step, empty what was filled in, leave, and say that it is done."""
    for action in chance.actions[:-1]:
        _ = yield action
    for action in chance.actions[-2::-1]:
        if isinstance(action, Fill):
            _ = yield Fill(action.element, "")
    _ = yield Goto(chance.task.start_url)
    yield Answer("done")


ADVERSARIES = (
    Adversary(name="no-op", policy=_wait, allowed="nothing"),
    Adversary(name="instant answer", policy=_answer_at_once, allowed="nothing"),
    Adversary(name="always infeasible", policy=_give_up, allowed="nothing"),
    Adversary(name="answer spam", policy=_answer_everything, allowed="nothing"),
    Adversary(name="echo", policy=_echo, allowed="nothing"),
    Adversary(name="direct URLs", policy=_jump, allowed="nothing"),
    Adversary(name="files and devtools", policy=_leave, allowed="nothing"),
    Adversary(name="page editor", policy=_edit_page, allowed="nothing"),
    Adversary(name="delete everything", policy=_delete, allowed="part"),
    Adversary(name="forged files", policy=_forge_files, allowed="nothing"),
    Adversary(name="random", policy=_scatter, allowed="part", steps=200),
    Adversary(name="wrong parameter", policy=_follow_other, allowed="part"),
    Adversary(name="mistyped", policy=_mistype, allowed="part"),
    Adversary(name="double submit", policy=_submit_twice, allowed="once"),
    Adversary(name="reversed", policy=_reverse, allowed="part"),
    Adversary(name="do, then undo", policy=_undo, allowed="part"),
)
"""Every adversary that each task is certified against."""
