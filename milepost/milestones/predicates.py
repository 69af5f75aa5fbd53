"""Predicates over what has happened so far, as pure data.

A predicate speaks about the past: `when("clicked", role="button", name="Save")` holds from the first event that
matches on. `a & b`, `a | b` and `~a` combine what holds now, `a.then(b)` wants `b` from events strictly after
`a` came to hold, and `when(...).count(n)` wants n matching events. Nothing is called back: a predicate can be
written to JSON and read back, and its verdict depends on the log alone.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from milepost.milestones.operators import Scalar, SpecError, Test, as_test, decode_test, encode_test, passes
from milepost.sandbox.events import FACT_FIELDS, Event, Trust

_AGENT = ("answer_given", "infeasible_reported")
_PAGE = ("element_appeared", "element_disappeared", "title_changed")
_BROWSER = (
    "clicked",
    "copied",
    "dom_content_loaded",
    "download_finished",
    "download_started",
    "filled",
    "focused",
    "history_navigated",
    "navigation_completed",
    "selected",
    "submitted",
    "tab_closed",
    "tab_focused",
    "tab_opened",
    "toggled",
    "validated",
)
_EITHER = ("dialog_opened", "dialog_closed")
"""Browser-level for alert, confirm, prompt and beforeunload; page-level for role=dialog."""

TRUST_OF_KIND: Mapping[str, Trust] = {
    kind: Trust.AGENT
    if kind in _AGENT
    else Trust.PAGE
    if kind in _PAGE or kind in _EITHER
    else Trust.BROWSER
    if kind in _BROWSER
    else Trust.HARNESS
    for kind in FACT_FIELDS
}
"""The least trust an event of a kind must carry to count at all."""


def _and(self: "Predicate", other: "Predicate") -> "And":
    """Want both."""
    return And((*_parts(self, And), *_parts(other, And)))


def _or(self: "Predicate", other: "Predicate") -> "Or":
    """Want one of both."""
    return Or((*_parts(self, Or), *_parts(other, Or)))


def _invert(self: "Predicate") -> "Not":
    """Want that this has not come to hold so far."""
    return Not(self)


def _then(self: "Predicate", later: "Predicate") -> "Then":
    """Want `later` from events strictly after this came to hold."""
    return Then(self, later)


@dataclass(frozen=True, slots=True)
class When:
    """Some event of a kind whose fields pass their tests."""

    kind: str
    tests: tuple[tuple[str, Test], ...] = ()

    __and__ = _and
    __or__ = _or
    __invert__ = _invert
    then = _then

    def count(self, n: int) -> "Count":
        """Want n matching events.

        Raises:
            SpecError: n is below 1.
        """
        if n < 1:
            raise SpecError(f"a count is at least 1, got {n}")
        return Count(self, n)


@dataclass(frozen=True, slots=True)
class And:
    """All of these hold."""

    parts: "tuple[Predicate, ...]"

    __and__ = _and
    __or__ = _or
    __invert__ = _invert
    then = _then


@dataclass(frozen=True, slots=True)
class Or:
    """One of these holds."""

    parts: "tuple[Predicate, ...]"

    __and__ = _and
    __or__ = _or
    __invert__ = _invert
    then = _then


@dataclass(frozen=True, slots=True)
class Not:
    """This has not come to hold so far."""

    part: "Predicate"

    __and__ = _and
    __or__ = _or
    __invert__ = _invert
    then = _then


@dataclass(frozen=True, slots=True)
class Then:
    """The second holds from events after the first came to hold."""

    first: "Predicate"
    later: "Predicate"

    __and__ = _and
    __or__ = _or
    __invert__ = _invert
    then = _then


@dataclass(frozen=True, slots=True)
class Count:
    """At least n events match."""

    part: When
    n: int

    __and__ = _and
    __or__ = _or
    __invert__ = _invert
    then = _then


Predicate = When | And | Or | Not | Then | Count
"""Everything a milestone can wait for."""


def when(kind: str, /, **tests: Test | Scalar) -> When:
    """Wait for an event of a kind; plain values mean equality.

    Raises:
        SpecError: unknown kind or field, with the nearest known one.
    """
    if kind not in FACT_FIELDS:
        raise SpecError(f"unknown event kind {kind!r}{_nearest(kind, FACT_FIELDS)}")
    for name in tests:
        if name not in FACT_FIELDS[kind]:
            known = ", ".join(FACT_FIELDS[kind]) or "none"
            raise SpecError(
                f"{kind} has no field {name!r}{_nearest(name, FACT_FIELDS[kind])}; its fields: {known}"
            )
    return When(kind, tuple((name, as_test(test)) for name, test in sorted(tests.items())))


def all_of(*parts: Predicate) -> Predicate:
    """Want all of these: `all_of(a, b)` is `a & b`, for parts that come from a loop.

    Raises:
        SpecError: no parts.
    """
    if not parts:
        raise SpecError("all_of needs at least one predicate; an empty one would hold at once")
    return And(tuple(inner for part in parts for inner in _parts(part, And)))


def _nearest(word: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _parts(predicate: Any, kind: type) -> "tuple[Predicate, ...]":
    if isinstance(predicate, kind):
        parts: tuple[Predicate, ...] = predicate.parts  # type: ignore[attr-defined]
        return parts
    if not isinstance(predicate, Predicate):
        raise SpecError(f"expected a predicate such as when(...), got {predicate!r}")
    return (predicate,)


def matches_event(predicate: When, event: Event) -> bool:
    """Whether one event is what a `when` waits for, and may be believed."""
    if event.kind != predicate.kind or event.trust < TRUST_OF_KIND[event.kind]:
        return False
    return all(passes(test, getattr(event.fact, name)) for name, test in predicate.tests)


def kinds_of(predicate: Predicate) -> frozenset[str]:
    """Give the event kinds that can change a predicate's verdict."""
    match predicate:
        case When():
            return frozenset((predicate.kind,))
        case And() | Or():
            return frozenset().union(*(kinds_of(part) for part in predicate.parts))
        case Not() | Count():
            return kinds_of(predicate.part)
        case Then():
            return kinds_of(predicate.first) | kinds_of(predicate.later)


def is_grounded(predicate: Predicate) -> bool:
    """Whether it takes at least one browser- or harness-level fact to make the predicate hold."""
    match predicate:
        case When():
            return TRUST_OF_KIND[predicate.kind] >= Trust.BROWSER or _is_browser_dialog(predicate)
        case And():
            return any(is_grounded(part) for part in predicate.parts)
        case Or():
            return all(is_grounded(part) for part in predicate.parts)
        case Not():
            return False
        case Then():
            return is_grounded(predicate.first) or is_grounded(predicate.later)
        case Count():
            return is_grounded(predicate.part)


def _is_browser_dialog(predicate: When) -> bool:
    """A page can open a role=dialog at will; an alert, confirm or prompt is told by the browser process."""
    if predicate.kind not in _EITHER:
        return False
    wanted = dict(predicate.tests).get("type")
    return wanted is not None and not passes(wanted, "dialog")


def encode_predicate(predicate: Predicate) -> dict[str, Any]:
    """Give a predicate as plain data."""
    match predicate:
        case When():
            return {"when": predicate.kind, "tests": {name: encode_test(t) for name, t in predicate.tests}}
        case And():
            return {"all": [encode_predicate(part) for part in predicate.parts]}
        case Or():
            return {"any": [encode_predicate(part) for part in predicate.parts]}
        case Not():
            return {"not": encode_predicate(predicate.part)}
        case Then():
            return {"first": encode_predicate(predicate.first), "then": encode_predicate(predicate.later)}
        case Count():
            return {"count": predicate.n, "of": encode_predicate(predicate.part)}


def decode_predicate(data: Mapping[str, Any]) -> Predicate:
    """Read a predicate back.

    Raises:
        SpecError: not the form of a predicate.
    """
    if "when" in data:
        return when(data["when"], **{name: decode_test(t) for name, t in data.get("tests", {}).items()})
    if "all" in data:
        return And(tuple(decode_predicate(part) for part in data["all"]))
    if "any" in data:
        return Or(tuple(decode_predicate(part) for part in data["any"]))
    if "not" in data:
        return Not(decode_predicate(data["not"]))
    if "first" in data:
        return Then(decode_predicate(data["first"]), decode_predicate(data["then"]))
    if "count" in data:
        part = decode_predicate(data["of"])
        if not isinstance(part, When):
            raise SpecError("`of` of a count is a `when`")
        return part.count(data["count"])
    raise SpecError(f"not a predicate: keys {sorted(data)}; expected when, all, any, not, first or count")
