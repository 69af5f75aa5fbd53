"""Environments on any web site: one's own pages, or live hosts that are named."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from milepost.envs.computer import ComputerEnv
from milepost.envs.task import Oracle, Split, Task, Template
from milepost.milestones import Goal, Milestone, Spec, all_of, when
from milepost.sandbox.actions import Noop
from milepost.sandbox.observation import Observation
from milepost.sandbox.storage import StorageState, read_storage_state

MAX_STEPS = 30

_ANYTHING = tuple(
    when(kind) for kind in ("app_changed", "file_created", "file_modified", "file_moved", "file_deleted")
)


def _stand_still(_observation: Observation) -> Noop:
    return Noop()


def build_template(
    url: str,
    *,
    goal: str,
    milestones: Sequence[Milestone],
    done: Goal | None = None,
    allow: Sequence[str] = (),
    storage_state: str | Path | Mapping[str, Any] | StorageState | None = None,
    max_steps: int = MAX_STEPS,
    oracle: Oracle = _stand_still,
    name: str = "Website-v0",
) -> Template:
    """Make a task template of a URL; every seed gives the same task.

    Args:
        url: where the episode starts, `http` or `https`; its host is open.
        goal: what the agent is asked, in words.
        milestones: what pays.
        done: when the goal is reached, and what else may change on the way; without it all milestones make the
            goal, and anything may change.
        allow: further hosts that are open, such as `cdn.example.com` or `*.example.com`; all others are closed.
        storage_state: cookies and local storage at the start: a file as Playwright's `storage_state` writes it, or
            what is in one.
        max_steps: steps before the episode is truncated.
        oracle: the task's own solution, if there is one.
        name: id in logs and records.

    Raises:
        ValueError: the URL is not one of the web's, there are no milestones, or the storage state is none.
        SpecError: the milestones contradict each other.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError(f"{url!r} cannot be the start; expected http://host/... or https://host/...")
    if not milestones:
        raise ValueError("no milestones; give at least one, such as milestone('home', reward=1, when=...)")
    reached = all_of(*(one.when for one in milestones))
    spec = Spec(
        milestones=tuple(milestones),
        goal=done or Goal(when=reached, frame=_ANYTHING),
        # No server of ours tells what happens there.
        blind=("app_changed",),
    )
    task = Task(
        goal=goal,
        params={"url": url},
        start_url=url,
        sites={},
        live=(parts.netloc.lower(), *allow),
        spec=spec,
        storage=None if storage_state is None else read_storage_state(storage_state),
        oracle=oracle,
    )
    return Template(
        id=name,
        family="website",
        summary=goal,
        max_steps=max_steps,
        build=partial(_repeat, task),
    )


def _repeat(task: Task, _rng: np.random.Generator, _split: Split) -> Task:
    return task


def make(url: str, *, goal: str, milestones: Sequence[Milestone], **options: Any) -> ComputerEnv:
    """Make an environment of a URL.

    Args:
        url: where the episode starts.
        goal: what the agent is asked, in words.
        milestones: what pays.
        options: of `build_template` (`done`, `allow`, `storage_state`, `max_steps`, `oracle`, `name`) and of
            `ComputerEnv` (`reward_mode`, `viewport`, `traffic`, ...).
    """
    own = ("done", "allow", "storage_state", "max_steps", "oracle", "name")
    template = build_template(
        url, goal=goal, milestones=milestones, **{key: options.pop(key) for key in own if key in options}
    )
    return ComputerEnv(template, **options)
