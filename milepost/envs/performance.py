"""One episode as a policy played it, kept with all that a certificate asks about it."""

import asyncio
import traceback
from collections.abc import Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from milepost.envs.episode import Episode
from milepost.envs.task import Oracle, Split, Task, Template
from milepost.sandbox.actions import Action
from milepost.sandbox.dialect import render_action
from milepost.sandbox.events import Event
from milepost.sandbox.failure import Failure, SandboxError, describe_fault
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool

_T = TypeVar("_T")

TRIES = 3
"""How often an episode at which the sandbox fails is played before the failure counts."""

Play = Generator[Action, Observation, None]
"""A player: it is sent what the agent sees and gives the next action, until it has nothing left to do."""

Player = Callable[[Task, Observation], Play]


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """One episode."""

    task: Task
    actions: tuple[Action, ...]
    events: tuple[Event, ...]
    paid: Fraction
    """All that was paid, live."""
    success: bool
    solved: bool
    """The goal was reached as far as rules see it; a judge may have the last word."""
    faults: tuple[str, ...]
    """What the task's own sites raised; empty in what `perform` gives."""


def follow_oracle(oracle: Oracle) -> Player:
    """Make a player of a task's own solution."""

    def play(task: Task, view: Observation) -> Play:
        while True:
            view = yield oracle(view)

    return play


async def perform(pool: Pool, template: Template, seed: int, split: Split, player: Player) -> Performance:
    """Play an episode, and once more if the sandbox fails at it: what a browser does not manage says nothing.

    Raises:
        SandboxError: it failed every time; the message says on which task and seed, and after which action. Or one of
            the task's own sites raised, whoever made it do so: that is the task's fault, and fails at once.
    """
    failed: SandboxError | None = None
    for _ in range(TRIES):
        try:
            played = await _perform_once(pool, template, seed, split, player)
            break
        except SandboxError as error:
            failed = error
    else:
        assert failed is not None
        raise failed
    if played.faults:
        where = f"seed {seed}, after {show_actions(played.actions) or 'the reset'}"
        raise SandboxError(Failure.TASK, f"{played.faults[0]} ({where})")
    return played


async def _perform_once(
    pool: Pool, template: Template, seed: int, split: Split, player: Player
) -> Performance:
    episode, view = await Episode.open(pool, template, seed, split)
    play = player(episode.task, view)
    actions: list[Action] = []
    paid = Fraction(0)
    try:
        action = next(play, None)
        while action is not None and not episode.over and not episode.faults:
            actions.append(action)
            outcome = await episode.step(render_action(action))
            if outcome.failure is not None:
                where = f"{template.id}, seed {seed}, after {render_action(action)}"
                raise SandboxError(outcome.failure, f"{where}: {outcome.reason}")
            paid += sum(outcome.rewards.values())
            try:
                action = play.send(outcome.observation)
            except StopIteration:
                action = None
        return Performance(
            task=episode.task,
            actions=tuple(actions),
            events=episode.events,
            paid=paid,
            success=episode.success,
            solved=episode.solved,
            faults=episode.faults,
        )
    finally:
        await episode.close()


async def play_together(folder: Path, jobs: Sequence[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Run jobs that play a task side by side; the first failure ends them all.

    Args:
        folder: where the task's own code lies.
        jobs: what to run.

    Raises:
        SandboxError: an episode could not be played, or the task's own code (what draws its tasks, an oracle) raised.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in jobs]
    except ExceptionGroup as errors:
        error = errors.exceptions[0]
        frames = traceback.extract_tb(error.__traceback__)
        if not any(Path(frame.filename).is_relative_to(folder) for frame in frames):
            raise error from None
        raise SandboxError(Failure.TASK, describe_fault(error, folder)) from error
    return [task.result() for task in tasks]


def show_actions(actions: Sequence[Action]) -> str:
    """Write actions one after the other, no more than 300 characters of them."""
    shown = " ".join(render_action(action) for action in actions)
    return shown if len(shown) <= 300 else shown[:297] + "..."
