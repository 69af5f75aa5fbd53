"""What an agent sees after a step."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import orjson

ELIDED = "elided"
"""Role of a line that counts what was left out of the tree, see `elision`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One line of the tree: an element with an id, or (id empty) a piece of text, or what was left out."""

    id: str
    """Stable for the element's life; goes straight into an action: `click("12")`."""
    depth: int
    """Nesting depth, from 0."""
    role: str
    """Accessible role; `text` for a piece of text."""
    name: str
    """Accessible name, or the text itself."""
    value: str = ""
    """Current value of a field."""
    states: tuple[str, ...] = ()
    """Of `checked, mixed, disabled, expanded, collapsed, focused, invalid, selected, pressed, offscreen`."""

    @property
    def line(self) -> str:
        """The element as the tree shows it: `[12] button "Submit" disabled`."""
        if self.role == ELIDED:
            return " " * self.depth + f"(... {self.name})"
        if not self.id:
            return " " * self.depth + quote(self.name)
        parts = [f"[{self.id}]", self.role]
        if self.name:
            parts.append(quote(self.name))
        if self.value:
            parts.append("value=" + quote(self.value))
        parts.extend(self.states)
        return " " * self.depth + " ".join(parts)


def quote(text: str) -> str:
    """Quote page text as a JSON string, so that no page can forge a line of the tree."""
    return orjson.dumps(text).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of the workspace and what the last step did to it."""

    path: str
    size: int
    change: str = ""
    """`created`, `modified`, `moved` or empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialog:
    """An open alert, confirm, prompt or beforeunload dialog, which blocks its page."""

    type: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The state of the sandbox after a step, as the agent may see it."""

    goal: str
    """The task's goal text."""
    url: str
    title: str
    tabs: tuple[str, ...] = ()
    """Titles of the open tabs, the active one marked with `*`."""
    elements: tuple[Element, ...] = ()
    changes: tuple[str, ...] = ()
    """Tree lines that were not there after the last step, without indentation."""
    dialog: Dialog | None = None
    files: tuple[File, ...] = ()
    last_action: str = ""
    """Canonical text of the last action, or the raw text when it could not be parsed."""
    last_effect: str = "none"
    """`none`, `dom`, `navigation`, `dialog`, `file` or `tab`."""
    last_error: str = ""
    """Why the last action could not be carried out; empty when it was."""
    last_text: str = ""
    """What the last action read: an extracted element, a file, the list of files."""
    screenshot: bytes | None = field(default=None, repr=False)
    """Encoded image, when asked for."""

    @property
    def tree(self) -> str:
        """The visible elements, one a line, indented by nesting."""
        return "\n".join(element.line for element in self.elements)

    def find(self, role: str, name: str | None = None, *, nth: int = 0) -> str | None:
        """Find the id of the nth element with a role and (if given) exactly this name."""
        matches = (e.id for e in self.elements if e.id and e.role == role and name in (None, e.name))
        for index, element_id in enumerate(matches):
            if index == nth:
                return element_id
        return None

    def element(self, role: str, name: str | None = None) -> Element | None:
        """Find the first element with a role and (if given) exactly this name."""
        for e in self.elements:
            if e.id and e.role == role and name in (None, e.name):
                return e
        return None

    def as_dict(self) -> dict[str, object]:
        """Give the observation as the plain dict that the Gymnasium env returns."""
        return {
            "goal": self.goal,
            "url": self.url,
            "title": self.title,
            "tabs": self.tabs,
            "tree": self.tree,
            "changes": self.changes,
            "dialog": "" if self.dialog is None else f"{self.dialog.type} {quote(self.dialog.message)}",
            "files": tuple(_describe_file(file) for file in self.files),
            "last_action": self.last_action,
            "last_effect": self.last_effect,
            "last_error": self.last_error,
            "last_text": self.last_text,
        }


def _describe_file(file: File) -> str:
    return f"{file.path} {file.size} B" + (f" {file.change}" if file.change else "")


_WORD = r'(?:"(?:[^"\\]|\\.)*")'
_LINE = re.compile(
    rf"^(?P<depth> *)(?:\[(?P<id>\w+)\] (?P<role>[\w-]+)(?: (?P<name>{_WORD}))?"
    rf"(?: value=(?P<value>{_WORD}))?(?P<states>(?: [a-z]+)*)|(?P<text>{_WORD})"
    r"|\(\.\.\. (?P<elided>[\w ,:-]+)\))$"
)


def parse_tree(tree: str) -> tuple[Element, ...]:
    """Read a rendered tree back into elements (the inverse of `Observation.tree`).

    Raises:
        ValueError: a line that no tree contains; the message quotes it.
    """
    return tuple(_parse_line(line) for line in tree.split("\n") if line)


def _parse_line(line: str) -> Element:
    match = _LINE.match(line)
    if match is None:
        raise ValueError(
            f'not a tree line: {line!r}; expected like [12] button "Save" disabled, or "some text"'
        )
    groups: Mapping[str, str | None] = match.groupdict()
    depth = len(groups["depth"] or "")
    if groups["text"] is not None:
        return Element(id="", depth=depth, role="text", name=orjson.loads(groups["text"]))
    if groups["elided"] is not None:
        return Element(id="", depth=depth, role=ELIDED, name=groups["elided"])
    return Element(
        id=groups["id"] or "",
        depth=depth,
        role=groups["role"] or "",
        name=orjson.loads(groups["name"] or '""'),
        value=orjson.loads(groups["value"] or '""'),
        states=tuple((groups["states"] or "").split()),
    )


def describe_changes(before: Iterable[Element], after: Iterable[Element]) -> tuple[str, ...]:
    """List the lines of `after` that `before` lacks, without indentation and in order."""
    known = {element.line.strip() for element in before}
    return tuple(line for line in (element.line.strip() for element in after) if line not in known)
