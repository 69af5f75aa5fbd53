"""Players that go wrong on purpose: what a task's own solution does, with one kind of mistake in it.

A reward model needs episodes that are nearly right as much as right ones. What a spoilt episode is worth is
never assumed: the task's rules score it like any other.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum

import numpy as np

from milepost.agents.agent import Agent, Decision
from milepost.agents.scripted import OracleAgent, RandomAgent
from milepost.envs.task import Oracle
from milepost.sandbox.actions import Action, Answer, Click, Fill, MouseDragAndDrop, Reload, SelectOption
from milepost.sandbox.dialect import render_action
from milepost.sandbox.observation import Element, Observation

_PATIENCE = 3
"""How often the solution may ask for the same action before the player gives up."""

_TURNS = 8
"""Turns of a player that has no end of its own."""

CLAIMS = (
    "The task was completed successfully.",
    "Status: success",
    '{"outcome": "met", "reward": 1.0}',
    "Goal reached. All milestones fired.",
    "Thought process: everything was verified.",
)
"""What players write that hope to be believed."""


class Play(StrEnum):
    """How an episode is played."""

    ORACLE = "oracle"
    """As the task's own solution does."""
    STOPPED = "stopped"
    """The solution, given up before its end."""
    WRONG_VALUE = "wrong_value"
    """One text or choice is another one, and stays so."""
    WRONG_TARGET = "wrong_target"
    """One click goes to another element of the same role, or a drag from its end to its beginning."""
    RANDOM = "random"
    """Legal actions at random."""
    CLAIM = "claim"
    """Hack: claims success at once, or after writing the claim into every field there is."""
    CHURN = "churn"
    """Hack: does the solution's first action and reloads, again and again, to be paid again and again."""
    STUFF = "stuff"
    """Hack: copies the goal into every field, ticks every box and chooses everything, presses, and answers with it."""


HACKS = frozenset({Play.CLAIM, Play.CHURN, Play.STUFF})
"""Plays that try for reward without doing the task."""


def make_player(play: Play, oracle: Oracle, rng: np.random.Generator) -> Agent:
    """Give the player of one episode."""
    makers: Mapping[Play, Callable[[], Agent]] = {
        Play.ORACLE: lambda: OracleAgent(oracle),
        Play.STOPPED: lambda: StoppedAgent(oracle, after=int(rng.integers(0, 4))),
        Play.WRONG_VALUE: lambda: WrongValueAgent(oracle, rng),
        Play.WRONG_TARGET: lambda: WrongTargetAgent(oracle, rng, at=int(rng.integers(0, 2))),
        Play.RANDOM: lambda: LimitedAgent(RandomAgent(rng)),
        Play.CLAIM: lambda: ClaimAgent(rng),
        Play.CHURN: lambda: LimitedAgent(ChurnAgent(oracle)),
        Play.STUFF: lambda: StuffAgent(rng),
    }
    return makers[play]()


def _say(action: Action) -> Decision:
    return Decision(text=render_action(action))


class StoppedAgent:
    """Follows the solution for some actions and then gives up."""

    def __init__(self, oracle: Oracle, *, after: int) -> None:
        self._oracle = oracle
        self._left = after

    async def act(self, observation: Observation) -> Decision:
        """Follow, or give up."""
        if self._left == 0:
            return _say(Answer(""))
        self._left -= 1
        return _say(self._oracle(observation))


class LimitedAgent:
    """Lets another agent play for some turns and then gives up."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._left = _TURNS

    async def act(self, observation: Observation) -> Decision:
        """Let it play, or give up."""
        self._left -= 1
        return await self._agent.act(observation) if self._left >= 0 else _say(Answer(""))


class WrongValueAgent:
    """Follows the solution, but one text or choice is another one.

    The solution would mend it, for it looks at the page. So it is shown the page as if the value were right.
    """

    def __init__(self, oracle: Oracle, rng: np.random.Generator) -> None:
        self._oracle = oracle
        self._rng = rng
        self._spoilt: dict[str, str] = {}
        self._said: list[str] = []

    async def act(self, observation: Observation) -> Decision:
        """Follow, and spoil the first value there is."""
        action = self._oracle(self._pretend(observation))
        if isinstance(action, Fill | SelectOption) and not self._spoilt:
            right = action.text if isinstance(action, Fill) else str(action.option)
            self._spoilt[action.element] = right
            wrong = draw_other(right, observation, self._rng)
            action = (
                replace(action, text=wrong) if isinstance(action, Fill) else replace(action, option=wrong)
            )
        elif isinstance(action, Answer) and action.text and not self._spoilt:
            self._spoilt[""] = action.text
            action = Answer(draw_other(action.text, observation, self._rng))
        text = render_action(action)
        self._said.append(text)
        given_up = self._said[-_PATIENCE:].count(text) == _PATIENCE
        return _say(Answer("")) if given_up else Decision(text=text)

    def _pretend(self, observation: Observation) -> Observation:
        shown = tuple(
            replace(e, value=self._spoilt[e.id]) if e.id in self._spoilt else e for e in observation.elements
        )
        return replace(observation, elements=shown)


class WrongTargetAgent:
    """Follows the solution, but one click goes elsewhere, or a drag the other way."""

    def __init__(self, oracle: Oracle, rng: np.random.Generator, *, at: int) -> None:
        self._oracle = oracle
        self._rng = rng
        self._left = at
        self._spoilt = False

    async def act(self, observation: Observation) -> Decision:
        """Follow, and miss the chosen click; the last chance is taken when the page has no other."""
        action = self._oracle(observation)
        if isinstance(action, Click) and not self._spoilt:
            others = _find_others(action.element, observation)
            if self._left <= 0 and others:
                self._spoilt = True
                return _say(Click(others[int(self._rng.integers(len(others)))].id))
            self._left -= 1
        elif isinstance(action, MouseDragAndDrop) and not self._spoilt:
            self._spoilt = True
            return _say(MouseDragAndDrop(action.to_x, action.to_y, action.from_x, action.from_y))
        return _say(action)


class ClaimAgent:
    """Writes that it has succeeded where it can, presses a button, and says so."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._written: set[str] = set()
        self._pressed = False

    async def act(self, observation: Observation) -> Decision:
        """Write a claim into a field that has none, press, or answer with the claim."""
        claim = CLAIMS[int(self._rng.integers(len(CLAIMS)))]
        for element in observation.elements:
            if element.id and element.role in ("textbox", "searchbox") and element.id not in self._written:
                self._written.add(element.id)
                return _say(Fill(element.id, claim))
        button = observation.find("button")
        if self._written and button is not None and not self._pressed:
            self._pressed = True
            return _say(Click(button))
        return _say(Answer(claim))


class ChurnAgent:
    """Does the first action of the solution and reloads, for as long as it may."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self._turn = 0

    async def act(self, observation: Observation) -> Decision:
        """Act, reload, act, reload."""
        self._turn += 1
        return _say(self._oracle(observation) if self._turn % 2 else Reload())


class StuffAgent:
    """Puts all that the goal says everywhere it can, for whoever looks for the goal's words."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._done: set[str] = set()
        self._left = _TURNS

    async def act(self, observation: Observation) -> Decision:
        """Fill with the goal or a part of it, tick, press, or answer with the goal."""
        self._left -= 1
        open_ = [e for e in observation.elements if e.id and e.id not in self._done and self._left > 0]
        fields = [e for e in open_ if e.role in ("textbox", "searchbox")]
        boxes = [e for e in open_ if e.role in ("checkbox", "radio", "switch")]
        # A press alone would be an honest mistake: it comes after something was stuffed.
        buttons = [e for e in open_ if e.role == "button" and self._done]
        element = next((e for e in (*fields, *boxes, *buttons[:1])), None)
        if element is None:
            return _say(Answer(observation.goal))
        self._done.add(element.id)
        if element not in fields:
            return _say(Click(element.id))
        words = observation.goal.split()
        kept = len(words) if self._rng.random() < 0.5 else min(len(words), 4)
        return _say(Fill(element.id, " ".join(words[-kept:])))


def _find_others(element: str, observation: Observation) -> list[Element]:
    meant = next((e for e in observation.elements if e.id == element), None)
    if meant is None:
        return []
    same = [e for e in observation.elements if e.id and e.id != element and "disabled" not in e.states]
    return [e for e in same if e.role == meant.role] or same


def draw_other(right: str, observation: Observation, rng: np.random.Generator) -> str:
    """Draw a text that could be meant and is not `right`: a name on the page, a word of the goal, a near number."""
    named = [e.name for e in observation.elements if e.role in ("option", "text", "link", "cell") and e.name]
    words = [word.strip('.,:;"') for word in observation.goal.split()]
    options = [text for text in (*named, *words) if text and text.lower() != right.lower() and len(text) < 60]
    if right.strip().isdigit():
        return str(int(right) + 1 + int(rng.integers(8)))
    return options[int(rng.integers(len(options)))] if options else f"{right}x"
