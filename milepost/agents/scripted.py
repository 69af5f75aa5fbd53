"""Agents without a model: one that acts at random and one that asks a task's own solution."""

from collections.abc import Callable

import numpy as np

from milepost.agents.agent import Decision
from milepost.sandbox.actions import (
    AcceptDialog,
    Action,
    Back,
    Click,
    DismissDialog,
    Fill,
    Press,
    Scroll,
    SelectOption,
)
from milepost.sandbox.dialect import render_action
from milepost.sandbox.observation import Element, Observation

_TYPED = ("textbox", "searchbox", "spinbutton")
_KEYS = ("Enter", "Escape", "Tab", "ArrowDown")


class OracleAgent:
    """Takes the actions that a task's own solution gives."""

    def __init__(self, oracle: Callable[[Observation], Action]) -> None:
        """Take the solution: the right action for any observation on the way."""
        self._oracle = oracle

    async def act(self, observation: Observation) -> Decision:
        """Ask the solution."""
        return Decision(text=render_action(self._oracle(observation)))


class RandomAgent:
    """Takes random legal actions on visible elements; it types words that it reads in the goal.

    A task that such an agent solves now and then needs no policy.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        """Take the source of randomness."""
        self._rng = rng

    async def act(self, observation: Observation) -> Decision:
        """Draw an action."""
        return Decision(text=render_action(self._draw(observation)))

    def _draw(self, observation: Observation) -> Action:
        if observation.dialog is not None:
            return AcceptDialog() if self._rng.random() < 0.5 else DismissDialog()
        usable = [e for e in observation.elements if e.id and "disabled" not in e.states]
        if not usable or self._rng.random() < 0.05:
            return Back() if self._rng.random() < 0.5 else Scroll(0, 400)
        element = usable[int(self._rng.integers(len(usable)))]
        if element.role in _TYPED:
            return self._type(element, observation)
        options = [e.name for e in observation.elements if e.role == "option" and e.name]
        if element.role in ("combobox", "listbox") and options:
            return SelectOption(element.id, options[int(self._rng.integers(len(options)))])
        return Click(element.id)

    def _type(self, element: Element, observation: Observation) -> Action:
        if self._rng.random() < 0.2:
            return Press(element.id, _KEYS[int(self._rng.integers(len(_KEYS)))])
        words = observation.goal.split() or [""]
        start = int(self._rng.integers(len(words)))
        count = 1 + int(self._rng.integers(3))
        return Fill(element.id, " ".join(words[start : start + count]))
