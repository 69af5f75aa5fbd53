"""Tests of one field of a fact: a closed set of plain data, so that a rule can be stored and read back.

Every test accepts or refuses a value and never raises: pages and servers choose the values. There is no
substring test, because an answer that lists everything would pass it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from milepost.milestones.normal_form import fold_text, read_number, split_url
from milepost.milestones.spec_error import SpecError
from milepost.milestones.typed import Date, FilePath, Money, Phone

Scalar = str | int | bool
"""What a field may be compared with."""


@dataclass(frozen=True, slots=True)
class Eq:
    """The value is exactly this one, and of the same type (`True` is not `1`)."""

    value: Scalar

    def accepts(self, value: object) -> bool:
        """Say whether a field's value passes."""
        return type(value) is type(self.value) and value == self.value


@dataclass(frozen=True, slots=True)
class OneOf:
    """The value is exactly one of these."""

    values: tuple[Scalar, ...]

    def accepts(self, value: object) -> bool:
        """Say whether a field's value passes."""
        return any(type(value) is type(v) and value == v for v in self.values)


@dataclass(frozen=True, slots=True)
class Matches:
    """The whole value matches a regular expression."""

    pattern: str

    def accepts(self, value: object) -> bool:
        """Say whether a field's value passes."""
        return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True, slots=True)
class Text:
    """The value is this text up to case, spacing and Unicode form (NFKC)."""

    text: str

    def accepts(self, value: object) -> bool:
        """Say whether a field's value passes."""
        return isinstance(value, str) and fold_text(value) == fold_text(self.text)


@dataclass(frozen=True, slots=True)
class Number:
    """The value is this number however written: `48.2`, `$48.20`, `48,20 EUR`, `0048.20`."""

    number: Fraction

    def accepts(self, value: object) -> bool:
        """Say whether a field's value passes."""
        return read_number(value) == self.number


@dataclass(frozen=True, slots=True)
class AtLeast:
    """The value is a number, and this one or larger."""

    number: Fraction

    def accepts(self, value: object) -> bool:
        """Say whether a field's value passes."""
        found = read_number(value)
        return found is not None and found >= self.number


@dataclass(frozen=True, slots=True)
class AtMost:
    """The value is a number, and this one or smaller."""

    number: Fraction

    def accepts(self, value: object) -> bool:
        """Say whether a field's value passes."""
        found = read_number(value)
        return found is not None and found <= self.number


@dataclass(frozen=True, slots=True)
class Between:
    """The value is a number from `least` to `most`, both included."""

    least: Fraction
    most: Fraction

    def accepts(self, value: object) -> bool:
        """Say whether a field's value passes."""
        found = read_number(value)
        return found is not None and self.least <= found <= self.most


@dataclass(frozen=True, slots=True)
class Url:
    """The value is this URL up to letter case of the host, default port, escapes and order of the query."""

    url: str
    ignore_query: bool

    def accepts(self, value: object) -> bool:
        """Say whether a field's value passes."""
        if not isinstance(value, str):
            return False
        found = split_url(value)
        wanted = split_url(self.url)
        if found is None or wanted is None:
            return False
        return found[:-2] == wanted[:-2] if self.ignore_query else found == wanted


@dataclass(frozen=True, slots=True)
class Fields:
    """The value is a mapping, and each of these keys is there and passes its own test."""

    tests: tuple[tuple[str, "Test"], ...]

    def accepts(self, value: object) -> bool:
        """Say whether a field's value passes."""
        if not isinstance(value, Mapping):
            return False
        return all(name in value and test.accepts(value[name]) for name, test in self.tests)


@dataclass(frozen=True, slots=True)
class Items:
    """The value is a list of as many entries as there are tests, in any order, each passing one of its own."""

    tests: tuple["Test", ...]

    def accepts(self, value: object) -> bool:
        """Say whether a field's value passes."""
        if isinstance(value, str | bytes) or not isinstance(value, Sequence) or len(value) != len(self.tests):
            return False
        taken: dict[int, int] = {}
        return all(self._seat(test, value, taken, set()) for test in range(len(self.tests)))

    def _seat(self, test: int, value: Sequence[object], taken: dict[int, int], tried: set[int]) -> bool:
        """Give a test an entry, moving others to entries they pass as well (augmenting paths, Kuhn 1955)."""
        for place, entry in enumerate(value):
            if place in tried or not self.tests[test].accepts(entry):
                continue
            tried.add(place)
            if place not in taken or self._seat(taken[place], value, taken, tried):
                taken[place] = test
                return True
        return False


Test = (
    Eq
    | OneOf
    | Matches
    | Text
    | Number
    | AtLeast
    | AtMost
    | Between
    | Money
    | Date
    | Phone
    | FilePath
    | Url
    | Fields
    | Items
)
"""Every test of a value. Closed: a new one is a new member here and a row in `field_notation`."""


def eq(value: Scalar) -> Eq:
    """Accept exactly this value; a plain value in `when(...)` means the same."""
    _check_scalar("eq", value)
    return Eq(value)


def one_of(*values: Scalar) -> OneOf:
    """Accept exactly one of these values."""
    if not values:
        raise SpecError("one_of needs at least one value, such as one_of('list', 'table')")
    for value in values:
        _check_scalar("one_of", value)
    return OneOf(values)


def matches(pattern: str) -> Matches:
    """Accept a value that a regular expression matches from its first to its last character.

    Raises:
        SpecError: not a regular expression.
    """
    try:
        re.compile(pattern)
    except (re.error, TypeError) as error:
        raise SpecError(f"matches expects a regular expression, got {pattern!r}: {error}") from None
    return Matches(pattern)


def text(wanted: str) -> Text:
    """Accept a text that is the same up to case, spacing and Unicode form."""
    if not isinstance(wanted, str) or not fold_text(wanted):
        raise SpecError(f"text expects words, got {wanted!r}; for an empty value use eq('')")
    return Text(wanted)


def number(wanted: str | int | Fraction) -> Number:
    """Accept the same number or amount of money, however it is written.

    Raises:
        SpecError: not a number; a float, which is not exact, is refused too.
    """
    return Number(_exact("number", wanted))


def at_least(least: str | int | Fraction) -> AtLeast:
    """Accept a number that is this one or larger."""
    return AtLeast(_exact("at_least", least))


def at_most(most: str | int | Fraction) -> AtMost:
    """Accept a number that is this one or smaller."""
    return AtMost(_exact("at_most", most))


def between(least: str | int | Fraction, most: str | int | Fraction) -> Between:
    """Accept a number from `least` to `most`, both included.

    Raises:
        SpecError: not numbers, or none lies between them.
    """
    low, high = _exact("between", least), _exact("between", most)
    if high < low:
        raise SpecError(
            f"between: no number is at least {least} and at most {most}; write the smaller one first"
        )
    return Between(low, high)


def url(wanted: str, *, ignore_query: bool = False) -> Url:
    """Accept the same URL in normal form; `ignore_query` also ignores its fragment.

    Raises:
        SpecError: not an absolute URL.
    """
    parts = split_url(wanted) if isinstance(wanted, str) else None
    if parts is None or not parts[0] or not parts[1]:
        raise SpecError(f"url expects an absolute URL such as 'http://mail.acme.test/inbox', got {wanted!r}")
    return Url(wanted, ignore_query)


def fields(**tests: "Test | Scalar") -> Fields:
    """Accept a mapping whose named entries pass; entries that are not named may be anything."""
    if not tests:
        raise SpecError("fields needs at least one entry, such as fields(amount='48.20')")
    return Fields(tuple(sorted((name, as_test(name, test)) for name, test in tests.items())))


def items(*tests: "Test | Scalar") -> Items:
    """Accept a list with exactly these entries in any order, each test passed by an entry of its own."""
    if not tests:
        raise SpecError("items needs at least one entry, such as items('2 mugs', '1 lamp')")
    return Items(tuple(as_test("an entry of items", test) for test in tests))


def as_test(name: str, test: object) -> Test:
    """Read what an author wrote for a field: a test, or a plain value that means `eq`.

    Raises:
        SpecError: neither of these.
    """
    if isinstance(test, Test):
        return test
    if isinstance(test, str | int):
        return Eq(test)
    raise SpecError(
        f"{name} expects a text, an integer, a boolean or a test such as matches(...), "
        f"got {type(test).__name__} {test!r}"
    )


def _check_scalar(word: str, value: object) -> None:
    if not isinstance(value, str | int):
        raise SpecError(
            f"{word} expects a text, an integer or a boolean, got {type(value).__name__} {value!r}"
        )


def _exact(word: str, value: object) -> Fraction:
    found = value if isinstance(value, Fraction) else read_number(value)
    if found is None:
        raise SpecError(f"{word} expects a number as text or integer, such as '48.20', got {value!r}")
    return found
