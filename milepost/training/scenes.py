"""Scenes of synthetic lessons: forms, ways through pages, searches; each with its goal in words."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from milepost.sandbox.actions import Action, Click, Fill, SelectOption
from milepost.sandbox.observation import Element
from milepost.training.wordbook import Wordbook, pick

_CLICKABLE = (
    "button",
    "link",
    "button",
    "link",
    "link",
    "tab",
    "menuitem",
    "checkbox",
    "radio",
    "option",
    "row",
)
_FILL_WORDINGS = (
    "set {label} to {value}",
    "{label}: {value}",
    "{label} = {value}",
    "{label} {value}",
    "{label} {value}",
    "fill {label} with {value}",
    "fill in {value} for {label}",
    "enter {value} as {label}",
    "type {value} into {label}",
    "{value} as the {label}",
    "with {label} {value}",
    "choose {value} for {label}",
    "{label} should be {value}",
)
_CLICK_WORDINGS = (
    "click {name}",
    "press {name}",
    "click the {role} {name}",
    "press the {name} {role}",
    "open {name}",
    "open the {name} page",
    "go to {name}",
    "use {name}",
    "follow the {role} {name}",
    "finish with {name}",
    "send it with {name}",
    "choose {name} at the end",
)
_SEARCH_WORDINGS = (
    "find {name}",
    "search for {name}",
    "look up {name} and open it",
    "show me {name}",
    "where is {name}",
)
_CONFIRM_WORDINGS = ("confirm", "accept the dialog", "confirm it", "say yes when asked", "accept")
_JOINS = (", then ", " and ", ", ", "; ", ". Then ", ", and ", ". ")
_AFFIRM = ("OK", "Yes", "Confirm", "Continue", "Accept", "Agree", "Apply", "Done")
_REFUSE = ("Cancel", "No", "Back", "Close", "Dismiss", "Discard", "Later")
_BLANK = ("Choose", "Select", "None", "")
_SUBMITS = (
    *_AFFIRM,
    "Submit",
    "Save",
    "Send",
    "Create",
    "Add",
    "Next",
    "Go",
    "Book",
    "Register",
    "Update",
    "Start",
)
_CHOICE_WORDINGS = (
    "for {value}",
    "in {value}",
    "as {value}",
    "{value}",
    "with {value}",
    "by {value}",
    "to {value}",
)
_CHOICE_VERBS = ("show", "get", "make", "send", "print", "book", "add", "prepare", "order", "share", "create")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One sub-goal: fill or choose when it has a value, else click."""

    role: str
    name: str
    value: str = ""
    said: str = ""
    """What the goal calls it."""

    def act(self, element_id: str) -> Action:
        """Give the action that does it."""
        if not self.value:
            return Click(element_id)
        return (
            SelectOption(element_id, self.value) if self.role == "combobox" else Fill(element_id, self.value)
        )


Line = tuple[Element, Step | None]
"""A line of a page, not yet numbered, and the sub-goal it stands for, if any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page under construction: lines in order, some of them sub-goals."""

    lines: list[Line]
    target: Step | None
    """The sub-goal to do next; None when a native dialog is to be accepted."""
    previous: Step | None = None
    """The sub-goal just done."""
    moved: bool = False
    """The last action led to this page, and the ids of the last one mean nothing here."""
    title: str = ""
    modal: bool = False
    """Only the lines of a dialog are shown."""


def draw_form(rng: np.random.Generator, book: Wordbook, count: int) -> tuple[str, Page]:
    """A form: fields in the page's order, then its button, then perhaps a dialog."""
    names = book.names(rng, count + 1)
    fields = [_draw_field(rng, book, name) for name in names[: max(1, count - 1)]]
    submit = Step(role="button" if rng.random() < 0.9 else "link", name=names[-1])
    confirm = rng.random() < 0.3
    wanted = [*fields, submit] if count > 1 else [*fields] if rng.random() < 0.7 else [submit]
    said = wanted
    if count > 1 and book.longest > 1 and rng.random() < 0.25:
        # Whoever asks for a form to be filled in wants it sent, said or not.
        submit = replace(submit, role="button", name=pick(rng, _SUBMITS))
        wanted, said = [*fields, submit], fields
    goal = _word_goal(rng, said) + (pick(rng, _JOINS) + pick(rng, _CONFIRM_WORDINGS)) * (
        confirm and rng.random() < 0.4
    )
    shown = [fields[int(i)] for i in rng.permutation(len(fields))]
    todo = [step for step in shown if step in wanted]
    at = int(rng.integers(len(todo) + (submit in wanted) + (submit in wanted and confirm)))
    if at > len(todo):
        return goal, _draw_confirmation(rng, book, shown, submit)
    done = todo[:at] if rng.random() < 0.85 else [todo[int(i)] for i in rng.permutation(len(todo))[:at]]
    target = next((step for step in todo if step not in done), submit)
    lines: list[Line] = []
    for step in shown:
        lines += _show_field(rng, book, step, done=step in done)
    lines.append((draw_line(rng, "button", submit.name), submit))
    if rng.random() < 0.5:
        lines.append(
            (draw_line(rng, "button", pick(rng, _REFUSE) if rng.random() < 0.3 else book.name(rng)), None)
        )
    return goal, Page(lines=lines, target=target, previous=done[-1] if done else None)


def _draw_field(rng: np.random.Generator, book: Wordbook, name: str) -> Step:
    role = pick(rng, ("textbox", "textbox", "textbox", "spinbutton", "combobox", "searchbox"))
    return Step(role=role, name=name, value=book.value(rng))


def _show_field(rng: np.random.Generator, book: Wordbook, step: Step, *, done: bool) -> list[Line]:
    blank = pick(rng, _BLANK) if step.role == "combobox" else ""
    wrong = book.value(rng) if rng.random() < 0.1 else blank
    field = draw_line(rng, step.role, step.name, value=step.value if done else wrong)
    lines: list[Line] = [(field, step)]
    if step.role == "combobox" and book.longest > 1 and rng.random() < 0.6:
        options = [
            blank or book.value(rng),
            step.value,
            *(book.value(rng) for _ in range(int(rng.integers(1, 4)))),
        ]
        for i in rng.permutation(len(options)):
            states = ("selected",) if options[i] == field.value else ()
            lines.append(
                (replace(draw_line(rng, "option", options[i]), depth=field.depth + 1, states=states), None)
            )
    return lines


def _draw_confirmation(rng: np.random.Generator, book: Wordbook, shown: Sequence[Step], submit: Step) -> Page:
    """The dialog after a form's button: a native one, or one in the page that repeats the values."""
    if rng.random() < 0.3:
        return Page(lines=[(draw_line(rng, submit.role, submit.name), None)], target=None, previous=submit)
    accept = Step(role="button", name=pick(rng, _AFFIRM))
    buttons: list[Line] = [(draw_line(rng, "button", accept.name), accept)]
    buttons.insert(int(rng.integers(2)), (draw_line(rng, "button", pick(rng, _REFUSE)), None))
    lines: list[Line] = [(draw_line(rng, "dialog", book.name(rng) + "?"), None)]
    if rng.random() < 0.6:
        lines += [(draw_line(rng, "text", f"{step.name}: {step.value}"), None) for step in shown]
    return Page(lines=[*lines, *buttons], target=accept, previous=submit, moved=True, modal=True)


def draw_clicks(rng: np.random.Generator, book: Wordbook, count: int) -> tuple[str, Page]:
    """A way through pages: the first thing named that is not behind us."""
    steps = []
    for name in book.names(rng, count):
        role = pick(rng, _CLICKABLE)
        longer = f"{pick(rng, book.labels)} {name}" if book.longest > 1 and rng.random() < 0.15 else ""
        steps.append(Step(role=role, name=longer or name, said=name))
    goal = _word_goal(rng, steps)
    at = int(rng.integers(count))
    target, previous = steps[at], steps[at - 1] if at else None
    moved = previous is not None and rng.random() < 0.8
    lines = [*_wrap(rng, book, target)]
    if target.said != target.name:
        verb = target.name.split(" ")[0]
        lines += [
            (draw_line(rng, target.role, f"{verb} {pick(rng, book.words)}"), None)
            for _ in range(rng.integers(3))
        ]
    lines += [(draw_line(rng, step.role, step.name), step) for step in steps[at + 1 :] if rng.random() < 0.3]
    if previous is not None and (not moved or rng.random() < 0.5):
        role = "heading" if moved else previous.role
        lines.insert(0, (draw_line(rng, role, previous.name), None if moved else previous))
    title = previous.name if moved and previous and rng.random() < 0.5 else ""
    return goal, Page(lines=lines, target=target, previous=previous, moved=moved, title=title)


def _wrap(rng: np.random.Generator, book: Wordbook, step: Step) -> list[Line]:
    """Show a thing to click, sometimes inside a row that holds its name and more."""
    lines: list[Line] = [(draw_line(rng, step.role, step.name), step)]
    if step.role == "link" and rng.random() < 0.25:
        lines.insert(0, (draw_line(rng, "row", f"{step.name} {book.value(rng)}"), None))
    return lines


def draw_choice(rng: np.random.Generator, book: Wordbook, count: int) -> tuple[str, Page]:
    """A thing with lists to choose from: the goal names options and no lists, then one button does it."""
    title = Step(role="heading", name=book.name(rng))
    fields = [_draw_list(rng, book) for _ in range(max(1, min(count, 3)))]
    values = [field.value for field in fields]
    submit = Step(role="button", name=pick(rng, _SUBMITS if rng.random() < 0.6 else book.labels))
    quoted = 0.65 if rng.random() < 0.8 else 0.0
    parts = [pick(rng, _CHOICE_WORDINGS).format(value=_quote(rng, field.value, quoted)) for field in fields]
    asked = [parts[int(i)] for i in rng.permutation(len(parts))]
    goal = f"{pick(rng, _CHOICE_VERBS)} {_quote(rng, title.name, quoted)} {' '.join(asked)}"
    at = int(rng.integers(len(fields) + 1))
    lines: list[Line] = []
    if rng.random() < 0.8:
        lines.append((draw_line(rng, "heading", title.name), None))
    for place, field in enumerate(fields):
        lines += _show_list(rng, book, field, done=place < at, taken=values)
    lines.append((draw_line(rng, "button", submit.name), submit))
    opened = Step(role="link", name=title.name)
    return goal, Page(
        lines=lines,
        target=fields[at] if at < len(fields) else submit,
        previous=fields[at - 1] if at else opened if rng.random() < 0.7 else None,
        moved=at == 0,
        title=title.name if rng.random() < 0.5 else "",
    )


def _draw_list(rng: np.random.Generator, book: Wordbook) -> Step:
    return Step(role="combobox", name=book.name(rng), value=book.choice(rng))


def _show_list(
    rng: np.random.Generator, book: Wordbook, field: Step, *, done: bool, taken: Sequence[str]
) -> list[Line]:
    """Show a list with its options; one that nobody asked for is chosen until the right one is."""
    others = [book.choice(rng) for _ in range(int(rng.integers(2, 5)))]
    options = dict.fromkeys(
        [pick(rng, (*_BLANK, "All")), *(o for o in others if o not in taken), field.value]
    )
    shown = [list(options)[int(i)] for i in rng.permutation(len(options))]
    value = field.value if done else next(option for option in shown if option != field.value)
    line = draw_line(rng, field.role, field.name, value=value)
    lines: list[Line] = [(line, field)]
    for option in shown:
        states = ("selected",) if option == value else ()
        lines.append((replace(draw_line(rng, "option", option), depth=line.depth + 1, states=states), None))
    return lines


def draw_search(rng: np.random.Generator, book: Wordbook) -> tuple[str, Page]:
    """A search: type the name, press the button beside the field, open the entry of exactly this name."""
    found = Step(role="link", name=book.name(rng))
    query = Step(role="searchbox", name=book.name(rng), value=found.name)
    button = Step(role="button", name=book.name(rng))
    goal = pick(rng, _SEARCH_WORDINGS).format(name=_quote(rng, found.name, 0.7))
    at = int(rng.integers(3))
    typed = draw_line(rng, query.role, query.name, value=query.value if at else "")
    lines: list[Line] = [
        (typed, query),
        (draw_line(rng, button.role, button.name), button),
    ]
    if at == 2:
        lines += [
            entry for _ in range(int(rng.integers(3))) for entry in _wrap(rng, book, _alike(rng, book, found))
        ]
        lines += _wrap(rng, book, found)
        lines += [
            entry for _ in range(int(rng.integers(3))) for entry in _wrap(rng, book, _alike(rng, book, found))
        ]
    previous = (None, query, button)[at]
    return goal, Page(
        lines=lines,
        target=(query, button, found)[at],
        previous=previous,
        moved=at == 2 and rng.random() < 0.5,
    )


def _alike(rng: np.random.Generator, book: Wordbook, step: Step) -> Step:
    name = book.vary(rng, step.name)
    return replace(step, name=name if name != step.name else book.name(rng) + " 2")


def _word_goal(rng: np.random.Generator, steps: Sequence[Step]) -> str:
    quoted_name, quoted_value = float(rng.random() < 0.65), float(rng.random() < 0.65)
    wording, join = pick(rng, _FILL_WORDINGS), pick(rng, _JOINS)
    parts = []
    for step in steps:
        name = _quote(rng, step.said or step.name, quoted_name)
        if step.value:
            parts.append(wording.format(label=name, value=_quote(rng, step.value, quoted_value)))
        else:
            parts.append(pick(rng, _CLICK_WORDINGS).format(name=name, role=step.role))
    return join.join(parts)


def _quote(rng: np.random.Generator, text: str, share: float) -> str:
    return f'"{text}"' if rng.random() < share else text


def draw_line(rng: np.random.Generator, role: str, name: str, value: str = "") -> Element:
    """Draw a line's depth and states; its id comes later."""
    depth = int(rng.integers(1, 4)) if rng.random() < 0.3 else 0
    states = (pick(rng, ("focused", "required", "offscreen", "expanded")),) if rng.random() < 0.06 else ()
    if role == "text":
        return Element(id="", depth=depth, role=role, name=name)
    return Element(id="0", depth=depth, role=role, name=name, value=value, states=states)
