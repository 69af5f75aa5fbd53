"""Whether a task is deterministic: the same seed and actions, twice, must show, witness and pay the same."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from milepost.envs.episode import Episode
from milepost.envs.task import Split, Template
from milepost.sandbox.dialect import render_action
from milepost.sandbox.events import to_record
from milepost.sandbox.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What one step led to, hashed."""

    action: str
    """The action text; empty for the reset."""
    observation: str
    """sha256 of everything the agent saw."""
    events: str
    """Hash of the log's last event, and so of the whole log up to here."""
    reward: str
    """The step's reward, exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where two runs part."""

    seed: int
    step: int
    """0 is the reset."""
    action: str
    what: str
    """`observation`, `events`, `reward` or `length`."""
    first: str
    second: str
    """The differing lines of the two runs."""

    def describe(self) -> str:
        """Say it in a few lines."""
        where = f"after {self.action}" if self.action else "after the reset"
        return f"seed {self.seed}, step {self.step}, {where}: the {self.what} differs\n  {self.first}\n  {self.second}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One play of a task."""

    moments: tuple[Moment, ...]
    seen: tuple[bytes, ...]
    """What the agent saw at each moment, as JSON."""
    log: tuple[bytes, ...]
    """The log's events, as JSON."""
    logged: tuple[int, ...]
    """How many events the log had at each moment."""


async def play_actions(
    pool: Pool, template: Template, seed: int, split: Split, actions: Sequence[str] | None = None
) -> Run:
    """Play a task.

    Args:
        pool: where.
        template: which task.
        seed: its seed.
        split: its split.
        actions: what to do; the task's own oracle decides when None.

    Raises:
        SandboxError: the world could not be made.
    """
    episode, view = await Episode.open(pool, template, seed, split)
    moments, seen, logged = list[Moment](), list[bytes](), list[int]()
    action, reward = "", "0"
    try:
        while True:
            shown = orjson.dumps(view.as_dict(), option=orjson.OPT_SORT_KEYS)
            digest = hashlib.sha256(shown).hexdigest()
            moments.append(
                Moment(action=action, observation=digest, events=episode.events[-1].hash, reward=reward)
            )
            seen.append(shown)
            logged.append(len(episode.events))
            step = len(moments) - 1
            if episode.over or (actions is not None and step >= len(actions)):
                break
            action = render_action(episode.task.oracle(view)) if actions is None else actions[step]
            outcome = await episode.step(action)
            view, reward = outcome.observation, str(sum(outcome.rewards.values()))
        log = tuple(orjson.dumps(to_record(event)) for event in episode.events)
    finally:
        await episode.close()
    return Run(moments=tuple(moments), seen=tuple(seen), log=log, logged=tuple(logged))


def compare_runs(seed: int, first: Run, second: Run) -> Difference | None:
    """Give the first difference of two runs; None when there is none."""
    for step, (one, other) in enumerate(zip(first.moments, second.moments, strict=False)):
        for what in ("observation", "events", "reward"):
            if getattr(one, what) != getattr(other, what):
                lines = _find_lines(what, step, first, second) or (one.reward, other.reward)
                return Difference(
                    seed=seed, step=step, action=one.action, what=what, first=lines[0], second=lines[1]
                )
    if len(first.moments) != len(second.moments):
        lengths = [f"{len(run.moments) - 1} steps" for run in (first, second)]
        last = min(len(first.moments), len(second.moments)) - 1
        return Difference(
            seed=seed,
            step=last,
            action=first.moments[last].action,
            what="length",
            first=lengths[0],
            second=lengths[1],
        )
    return None


def _find_lines(what: str, step: int, first: Run, second: Run) -> tuple[str, str] | None:
    """Find the first field, or the first event, in which two moments differ."""
    if what == "observation":
        one, other = (orjson.loads(run.seen[step]) for run in (first, second))
        key = next(key for key in one if one[key] != other[key])
        return _cut(f"{key}: {one[key]!r}"), _cut(f"{key}: {other[key]!r}")
    if what == "events":
        one_log, other_log = (run.log[: run.logged[step]] for run in (first, second))
        for one_event, other_event in zip(one_log, other_log, strict=False):
            if one_event != other_event:
                return _cut(one_event.decode()), _cut(other_event.decode())
        return f"{len(one_log)} events", f"{len(other_log)} events"
    return None


def _cut(text: str) -> str:
    return text if len(text) <= 500 else text[:497] + "..."


async def verify_determinism(
    pool: Pool,
    template: Template,
    *,
    seeds: Sequence[int],
    split: Split = Split.TRAIN,
    actions: Sequence[str] | None = None,
) -> list[Difference]:
    """Play every seed twice with the same actions, and give the differences.

    Args:
        pool: where.
        template: which task.
        seeds: which seeds.
        split: of which split.
        actions: what to do; the task's own oracle decides in the first run when None.
    """
    found = []
    for seed in seeds:
        first = await play_actions(pool, template, seed, split, actions)
        again = [moment.action for moment in first.moments[1:]]
        second = await play_actions(pool, template, seed, split, again)
        difference = compare_runs(seed, first, second)
        if difference is not None:
            found.append(difference)
    return found
