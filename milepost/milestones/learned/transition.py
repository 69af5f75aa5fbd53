"""What the learned model is shown of a step. Not the agent's reasoning, nor the task's id, nor any reward."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from milepost.milestones.trust import TRUST_OF_KIND
from milepost.sandbox.actions import Action, Answer, Fill, SelectOption, Type
from milepost.sandbox.dialect import ActionError, parse_action
from milepost.sandbox.events import Event, Source
from milepost.sandbox.observation import Element, parse_tree

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
    touched: tuple[str, ...] = ()
    """What the actions before this one named: fields, what was entered, what was pressed or chosen."""
    last: bool = False
    """Whether the episode ends here."""


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
    if actions and actions[-1] == _GIVEN_UP:
        actions.pop()
    made = []
    touched: list[str] = []
    for index, action in enumerate(actions):
        tree = turns[index]["tree"]
        made.append(
            Transition(
                goal=goal,
                tree=tree,
                action=action,
                changes=tuple(seen.get(index + 1, ())),
                previous=tuple(actions[max(0, index - 3) : index]),
                touched=tuple(touched),
                last=index == len(actions) - 1,
            )
        )
        touched.extend(name_touched(tree, action))
    return tuple(made)


FIELDS = ("textbox", "searchbox", "combobox", "spinbutton", "listbox")
"""Roles of what takes a text or a choice."""

_LABEL = re.compile(r"[^\W\d_]{2,}(?: [^\W\d_]+){0,3} ?:?")
"""A few words: what may be the label of a field."""

_ICONS = frozenset({"generic", "img", "button"})
"""Roles of what is often drawn and not named."""


def _is_label(element: Element) -> bool:
    return not element.id and _LABEL.fullmatch(element.name) is not None


@lru_cache(maxsize=256)
def read_elements(tree: str) -> tuple[Element, ...]:
    """Parse a tree; trees that were asked for lately are remembered.

    An icon has no name of its own: it takes that of what it is in, such as the row of the message that it flags.
    A field without a name takes the label right before it.
    """
    found: list[Element] = []
    around: list[Element] = []
    for element in parse_tree(tree):
        while around and around[-1].depth >= element.depth:
            around.pop()
        if element.role in _ICONS and element.id and not element.name:
            outer = next((e.name for e in reversed(around) if e.name), "")
            found.append(replace(element, name=outer))
        elif element.role in FIELDS and not element.name and found and _is_label(found[-1]):
            found.append(replace(element, name=found[-1].name))
        else:
            found.append(element)
        around.append(element)
    return tuple(found)


def find_target(tree: str, action: Action | None) -> Element | None:
    """Give the element that an action is about."""
    element_id = getattr(action, "element", None)
    return next((e for e in read_elements(tree) if e.id == element_id), None) if element_id else None


def find_text(action: Action | None) -> str:
    """Give what an action enters, chooses by name or answers."""
    match action:
        case Fill() | Type() | Answer():
            return action.text
        case SelectOption(option=option):
            return option if isinstance(option, str) else " ".join(option)
        case _:
            return ""


def name_touched(tree: str, action: str) -> tuple[str, ...]:
    """Give the target's name and the text of an action, what there is of them."""
    parsed = parse_action(action) if action else None
    target = find_target(tree, parsed)
    return tuple(text for text in (target.name if target else "", find_text(parsed)) if text)


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
