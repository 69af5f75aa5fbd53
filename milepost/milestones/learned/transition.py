"""What the learned model is shown of a step. Not the agent's reasoning, nor the task's id, nor any reward."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from milepost.milestones.trust import TRUST_OF_KIND
from milepost.sandbox.actions import Answer
from milepost.sandbox.dialect import ActionError, parse_action
from milepost.sandbox.events import Event, Source

_HIDDEN = frozenset({"page_scored", "action_taken", "infeasible_reported", "answer_given", "element_changed"})
"""Kinds that are a reward already, or prose, or say again what the input did."""

_SEEN = frozenset({Source.INPUT, Source.BROWSER, Source.PAGE, Source.FILES})
"""Instruments that report what can be observed; the sites' own record is for rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One step: the page before it, the action, and what could be seen to change."""

    goal: str
    tree: str
    """The elements before the action, as the agent saw them."""
    action: str
    """Canonical action text; empty when it could not be parsed or carried out."""
    changes: tuple[Event, ...]
    """Events of the step that an observer could see: what was filled, clicked, appeared, opened, saved."""
    previous: tuple[str, ...] = ()
    """The actions before this one, the last three."""


def make_transitions(
    goal: str, turns: Sequence[Mapping[str, str]], events: Sequence[Event]
) -> tuple[Transition, ...]:
    """Make the transitions of an episode.

    An empty answer at the end is left out: it only says that the agent stopped.

    Args:
        goal: the task's goal text.
        turns: for each turn `tree`, `action` and `error`.
        events: the episode's log.
    """
    seen: dict[int, list[Event]] = {}
    for event in events:
        if event.kind in TRUST_OF_KIND and event.kind not in _HIDDEN and event.source in _SEEN:
            seen.setdefault(event.step, []).append(event)
    actions = [_read(turn["action"]) if not turn["error"] else "" for turn in turns]
    made = [
        Transition(
            goal=goal,
            tree=turn["tree"],
            action=actions[index],
            changes=tuple(seen.get(index + 1, ())),
            previous=tuple(actions[max(0, index - 3) : index]),
        )
        for index, turn in enumerate(turns)
    ]
    return tuple(made[:-1] if made and made[-1].action == _GIVEN_UP else made)


_GIVEN_UP = 'answer("")'


def _read(text: str) -> str:
    try:
        action = parse_action(text)
    except ActionError:
        return ""
    return _GIVEN_UP if isinstance(action, Answer) and not action.text else text


def change_goal(transitions: Sequence[Transition], goal: str) -> Iterator[Transition]:
    """Give the same steps as if another goal had been asked for."""
    return (replace(transition, goal=goal) for transition in transitions)
