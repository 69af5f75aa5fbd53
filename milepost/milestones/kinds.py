"""What can be said of each kind of event: its fields, their types, and the tests that fit them."""

import typing
from collections.abc import Mapping

from milepost.milestones.operators import (
    AtLeast,
    AtMost,
    Between,
    Eq,
    Fields,
    Items,
    Matches,
    Number,
    OneOf,
    Test,
    Text,
    Url,
)
from milepost.milestones.spec_error import SpecError, suggest
from milepost.milestones.trust import BOOKKEEPING, TRUST_OF_KIND
from milepost.milestones.typed import Date, FilePath, Money, Phone
from milepost.sandbox.events import FACT_FIELDS, FACT_TYPES

FIELD_TYPES: Mapping[str, Mapping[str, type]] = {
    kind: typing.get_type_hints(FACT_TYPES[kind]) for kind in TRUST_OF_KIND
}
"""By kind: the type of every field; anything but `str`, `int` and `bool` is a mapping."""


def check_kind(kind: str) -> None:
    """Refuse a kind that no rule can rest on.

    Raises:
        SpecError: names the nearest known one.
    """
    if kind in TRUST_OF_KIND:
        return
    if kind in BOOKKEEPING:
        raise SpecError(f"{kind!r} is about the episode itself and happens anyway; no rule can rest on it")
    raise SpecError(f"unknown kind of event {kind!r}; {suggest(kind, TRUST_OF_KIND)}")


def check_field(kind: str, name: str) -> None:
    """Refuse a field that a kind does not have.

    Raises:
        SpecError: names the nearest known one.
    """
    if name not in FACT_FIELDS[kind]:
        raise SpecError(f"{kind} has no field {name!r}; {suggest(name, FACT_FIELDS[kind])}")


def check_test(kind: str, name: str, test: Test) -> None:
    """Refuse a test that no value of the field's type can pass.

    Raises:
        SpecError: says what the field is.
    """
    hint = FIELD_TYPES[kind][name]
    fitting: bool
    match test:
        case Eq(value):
            fitting = type(value) is hint
        case OneOf(values):
            fitting = all(type(value) is hint for value in values)
        case Matches() | Text() | Url() | Date() | Phone() | FilePath():
            fitting = hint is str
        case Number() | AtLeast() | AtMost() | Between() | Money():
            fitting = hint in (str, int)
        case Fields():
            fitting = hint not in (str, int, bool)
        case Items():
            fitting = False
    if not fitting:
        wanted = hint.__name__ if hint in (str, int, bool) else "a mapping: use fields(...)"
        raise SpecError(f"{kind}.{name} is {wanted}; {test} can never pass")


def check_distinct(kind: str, path: str) -> None:
    """Refuse what is no single value of a kind: a field such as `name`, or an entry such as `data.sku`.

    Raises:
        SpecError: no such field, or a mapping as a whole, or an entry of what is no mapping.
    """
    name, _, entry = path.partition(".")
    check_field(kind, name)
    if (FIELD_TYPES[kind][name] in (str, int, bool)) is bool(entry):
        raise SpecError(
            f".count: distinct={path!r} is no single value of {kind}; "
            "name a field such as 'name', or an entry of a mapping such as 'data.sku'"
        )
