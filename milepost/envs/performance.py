"""One episode as a policy played it, kept with all that a certificate asks about it."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from milepost.envs.episode import Episode
from milepost.envs.task import Oracle, Split, Task, Template
from milepost.sandbox.actions import Action
from milepost.sandbox.dialect import render_action
from milepost.sandbox.events import Event
from milepost.sandbox.failure import SandboxError
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool

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


def follow_oracle(oracle: Oracle) -> Player:
    """Make a player of a task's own solution."""

    def play(task: Task, view: Observation) -> Play:
        while True:
            view = yield oracle(view)

    return play


async def perform(pool: Pool, template: Template, seed: int, split: Split, player: Player) -> Performance:
    """Play an episode, and once more if the sandbox fails at it: what a browser does not manage says nothing.

    Raises:
        SandboxError: it failed every time; the message says on which task and seed, and after which action.
    """
    failed: SandboxError | None = None
    for _ in range(TRIES):
        try:
            return await _perform_once(pool, template, seed, split, player)
        except SandboxError as error:
            failed = error
    assert failed is not None
    raise failed


async def _perform_once(
    pool: Pool, template: Template, seed: int, split: Split, player: Player
) -> Performance:
    episode, view = await Episode.open(pool, template, seed, split)
    play = player(episode.task, view)
    actions: list[Action] = []
    paid = Fraction(0)
    try:
        action = next(play, None)
        while action is not None and not episode.over:
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
        )
    finally:
        await episode.close()


def show_actions(actions: Sequence[Action]) -> str:
    """Write actions one after the other, no more than 300 characters of them."""
    shown = " ".join(render_action(action) for action in actions)
    return shown if len(shown) <= 300 else shown[:297] + "..."
