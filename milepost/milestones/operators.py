"""Tests of one field of a fact: a closed set of operators, each pure data.

There is deliberately no "contains": a rule that pays for a substring pays for a page that lists everything.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Scalar = str | int | bool


class SpecError(ValueError):
    """A rule that cannot work as it is written; the message says what was expected and how to mend it."""


@dataclass(frozen=True, slots=True)
class Eq:
    """Exactly this value."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of these values."""

    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Matches:
    """A regular expression that matches the whole value."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Text:
    """The same words, whatever their case and the white space around and between them."""

    value: str


@dataclass(frozen=True, slots=True)
class Number:
    """The same number, whatever its notation: `1,284.50`, `$1284.5`."""

    value: str


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A number not below this one."""

    value: str


@dataclass(frozen=True, slots=True)
class AtMost:
    """A number not above this one."""

    value: str


@dataclass(frozen=True, slots=True)
class Url:
    """The same address: host, path, and these query parameters in any order."""

    value: str
    ignore_query: bool = False


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping in which each named entry passes its test; entries that are not named are free."""

    tests: tuple[tuple[str, "Test"], ...]


Test = Eq | OneOf | Matches | Text | Number | AtLeast | AtMost | Url | Fields
"""Everything that can be asked of a field."""

_TYPES: Mapping[str, type] = {
    "eq": Eq,
    "one_of": OneOf,
    "matches": Matches,
    "text": Text,
    "number": Number,
    "at_least": AtLeast,
    "at_most": AtMost,
    "url": Url,
    "fields": Fields,
}
_NAMES = {cls: name for name, cls in _TYPES.items()}


def eq(value: Scalar) -> Eq:
    """Test for exactly this value."""
    return Eq(value)


def one_of(*values: Scalar) -> OneOf:
    """Test for one of these values."""
    return OneOf(values)


def matches(pattern: str) -> Matches:
    """Test with a regular expression that must match the whole value.

    Raises:
        SpecError: the pattern is not a regular expression.
    """
    try:
        re.compile(pattern)
    except re.error as error:
        raise SpecError(f"{pattern!r} is not a regular expression: {error}") from None
    return Matches(pattern)


def text(value: str) -> Text:
    """Test for the same words, whatever case and white space."""
    return Text(value)


def number(value: str | int) -> Number:
    """Test for the same number, whatever its notation.

    Raises:
        SpecError: the value is not a number.
    """
    return Number(_decimal_text(value))


def at_least(value: str | int) -> AtLeast:
    """Test for a number not below this one."""
    return AtLeast(_decimal_text(value))


def at_most(value: str | int) -> AtMost:
    """Test for a number not above this one."""
    return AtMost(_decimal_text(value))


def url(value: str, *, ignore_query: bool = False) -> Url:
    """Test for the same address, query parameters in any order."""
    return Url(value, ignore_query)


def fields(**tests: "Test | Scalar") -> Fields:
    """Test the entries of a mapping; plain values mean `eq`."""
    return Fields(tuple((name, as_test(test)) for name, test in sorted(tests.items())))


def as_test(value: "Test | Scalar") -> "Test":
    """Take a plain value for `eq`."""
    if isinstance(value, str | int | bool):
        return Eq(value)
    if type(value) not in _NAMES:
        raise SpecError(f"expected a value or a test such as matches(...), got {value!r}")
    return value


def passes(test: "Test", value: Any) -> bool:  # noqa: PLR0911 - one case per operator
    """Whether a field's value passes a test; a value of the wrong type does not."""
    match test:
        case Eq():
            return type(value) is type(test.value) and bool(value == test.value)
        case OneOf():
            return any(type(value) is type(v) and value == v for v in test.values)
        case Matches():
            return isinstance(value, str) and re.fullmatch(test.pattern, value) is not None
        case Text():
            return isinstance(value, str) and _words(value) == _words(test.value)
        case Number():
            given = _decimal(value)
            return given is not None and given == Decimal(test.value)
        case AtLeast():
            given = _decimal(value)
            return given is not None and given >= Decimal(test.value)
        case AtMost():
            given = _decimal(value)
            return given is not None and given <= Decimal(test.value)
        case Url():
            return isinstance(value, str) and _same_url(value, test)
        case Fields():
            return isinstance(value, Mapping) and all(
                name in value and passes(inner, value[name]) for name, inner in test.tests
            )


def encode_test(test: "Test") -> dict[str, Any]:
    """Give a test as plain data."""
    name = _NAMES[type(test)]
    if isinstance(test, Fields):
        return {name: {key: encode_test(inner) for key, inner in test.tests}}
    if isinstance(test, Url):
        return {name: test.value, "ignore_query": test.ignore_query}
    if isinstance(test, OneOf):
        return {name: list(test.values)}
    return {name: test.pattern if isinstance(test, Matches) else test.value}


def decode_test(data: Mapping[str, Any]) -> "Test":
    """Read a test back.

    Raises:
        SpecError: an unknown operator.
    """
    name = next(iter(data))
    if name not in _TYPES:
        raise SpecError(f"unknown operator {name!r}; expected one of {', '.join(_TYPES)}")
    value = data[name]
    if name == "fields":
        return Fields(tuple((key, decode_test(inner)) for key, inner in sorted(value.items())))
    if name == "url":
        return Url(value, bool(data.get("ignore_query", False)))
    if name == "one_of":
        return OneOf(tuple(value))
    built: Test = _TYPES[name](value)
    return built


def _words(value: str) -> str:
    return " ".join(value.split()).casefold()


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    plain = re.sub(r"[\s,$€£]", "", str(value))
    try:
        result = Decimal(plain)
    except InvalidOperation:
        return None
    return result if result.is_finite() else None


def _decimal_text(value: str | int) -> str:
    given = _decimal(value)
    if given is None:
        raise SpecError(f"expected a number, got {value!r}")
    return str(given)


def _same_url(value: str, test: Url) -> bool:
    try:
        given, wanted = urlsplit(value), urlsplit(test.value)
    except ValueError:
        return False
    same_place = (given.scheme, given.netloc, given.path or "/") == (
        wanted.scheme,
        wanted.netloc,
        wanted.path or "/",
    )
    return same_place and (
        test.ignore_query or sorted(parse_qsl(given.query)) == sorted(parse_qsl(wanted.query))
    )
