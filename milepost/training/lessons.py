"""Synthetic lessons: made-up pages with a goal and the right next action, drawn without a browser.

They teach what every task needs and no task in particular: look up the element a goal names, say its
role, name and id, copy a value from the goal, see which parts of the goal are done. The pages are ordinary
observations, so the prompt is the one a real page gives.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from milepost.sandbox.actions import AcceptDialog, Action, Noop
from milepost.sandbox.dialect import render_action
from milepost.sandbox.observation import Dialog, Element, Observation
from milepost.training.scenes import Line, Page, draw_choice, draw_clicks, draw_form, draw_line, draw_search
from milepost.training.wordbook import Wordbook, pick

_OTHERS = (
    "heading",
    "row",
    "listitem",
    "link",
    "link",
    "button",
    "text",
    "text",
    "textbox",
    "option",
    "status",
    "list",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One observation and the right next action."""

    observation: Observation
    action: Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Difficulty:
    """How hard lessons may be."""

    elements: int = 3
    """About the most tree lines of a page."""
    steps: int = 1
    """Most sub-goals of a goal."""
    plain: bool = False
    """One-word names and values, and no words that mean nothing: where the lookup forms first."""


def draw_lesson(rng: np.random.Generator, book: Wordbook, difficulty: Difficulty) -> Lesson:
    """Draw a lesson: a goal of one or more sub-goals, some of them done, and the page where the next one waits."""
    if difficulty.plain:
        book = book.plain()
    count = 1 + int(rng.integers(difficulty.steps))
    kind = rng.random()
    if kind < 0.4:
        goal, page = draw_form(rng, book, count)
    elif kind < 0.65 or difficulty.plain:
        goal, page = draw_clicks(rng, book, count)
    elif kind < 0.85:
        goal, page = draw_choice(rng, book, count)
    else:
        goal, page = draw_search(rng, book)
    if book.fillers and rng.random() < 0.5:
        goal = f"{book.filler(rng)}{pick(rng, (': ', ', ', '. ', ' '))}{goal}"
    return _finish(rng, book, page, goal + ("." if rng.random() < 0.6 else ""), difficulty)


def _finish(
    rng: np.random.Generator, book: Wordbook, page: Page, goal: str, difficulty: Difficulty
) -> Lesson:
    """Add what is not asked for, number the elements, and tell what was done last."""
    lines = page.lines
    if not page.modal:
        lines = _mix_in(rng, lines, _draw_others(rng, book, lines, difficulty))
    ids = _draw_ids(rng, len(lines), guessable=not difficulty.plain)
    elements = tuple(replace(e, id=i) if e.id else e for (e, _), i in zip(lines, ids, strict=True))
    id_of = {id(step): e.id for e, (_, step) in zip(elements, lines, strict=True) if step is not None}
    last = ""
    if page.previous is not None:
        last = render_action(page.previous.act(id_of.get(id(page.previous), str(rng.integers(1, 40)))))
    elif rng.random() < 0.05:
        last = render_action(Noop())
    observation = Observation(
        goal=goal,
        url=book.url(rng),
        title=page.title or book.name(rng),
        elements=elements,
        dialog=None if page.target else Dialog(type="confirm", message=book.name(rng) + "?"),
        last_action=last,
        last_effect="navigation" if page.moved else "dom",
    )
    action = page.target.act(id_of[id(page.target)]) if page.target else AcceptDialog()
    return Lesson(observation=observation, action=action)


def _draw_others(
    rng: np.random.Generator,
    book: Wordbook,
    lines: Sequence[Line],
    difficulty: Difficulty,
) -> list[Element]:
    spare = max(0, int(rng.integers(1, difficulty.elements + 1)) - len(lines))
    taken = {element.name for element, _ in lines}
    names = [name for name in taken if name] or [book.name(rng)]
    names.sort()
    others = []
    for _ in range(spare):
        name = book.vary(rng, pick(rng, names)) if rng.random() < 0.4 else book.name(rng)
        role = pick(rng, _OTHERS)
        value = book.value(rng) if role == "textbox" and rng.random() < 0.4 else ""
        if name not in taken:
            others.append(draw_line(rng, role, name, value=value))
    return others


def _mix_in(rng: np.random.Generator, lines: Sequence[Line], others: Sequence[Element]) -> list[Line]:
    """Put the others before, after, or anywhere among the lines, whose own order stays."""
    mixed = list(lines)
    scattered = rng.random() < 0.3
    for other in others:
        place = int(rng.integers(len(mixed) + 1)) if scattered else 0 if rng.random() < 0.6 else len(mixed)
        mixed.insert(place, (other, None))
    return mixed


def _draw_ids(rng: np.random.Generator, count: int, *, guessable: bool) -> list[str]:
    """Draw ids: mostly one after the other, as on a fresh page, sometimes with gaps or in any order.

    Ids that can be guessed from the place on the page would teach guessing before the lookup has formed.
    """
    kind = rng.random() if guessable else 1.0
    if kind < 0.45:
        start = 1 if rng.random() < 0.6 else int(rng.integers(1, 60))
        return [str(start + i) for i in range(count)]
    ids = 1 + rng.choice(count + pick(rng, (4, 12, 60, 120, 220)), size=count, replace=False)
    if kind < 0.75:
        ids.sort()
    return [str(i) for i in ids]
