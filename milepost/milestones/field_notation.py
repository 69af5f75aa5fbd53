"""The JSON form of tests of fields, and what every reader of a form needs: its word, its entries, its lists."""

from collections.abc import Callable, Collection, Mapping, Sequence
from fractions import Fraction
from typing import Any

from milepost.milestones.normal_form import write_number
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
    at_least,
    at_most,
    between,
    eq,
    fields,
    items,
    matches,
    number,
    one_of,
    text,
    url,
)
from milepost.milestones.spec_error import SpecError, at, suggest
from milepost.milestones.typed import Date, FilePath, Money, Phone, date, file_path, money, phone


def write_test(test: Test) -> dict[str, Any]:  # noqa: C901, PLR0911, PLR0912 - one case per test
    """Give a field test's JSON object."""
    match test:
        case Eq(value):
            return {"eq": value}
        case OneOf(values):
            return {"one_of": list(values)}
        case Matches(pattern):
            return {"matches": pattern}
        case Text(wanted):
            return {"text": wanted}
        case Number(amount):
            return {"number": write_number(amount)}
        case AtLeast(amount):
            return {"at_least": write_number(amount)}
        case AtMost(amount):
            return {"at_most": write_number(amount)}
        case Between(least, most):
            return {"between": [write_number(least), write_number(most)]}
        case Money(size, currency):
            return {"money": f"{write_number(size)} {currency}".strip()}
        case Date(earliest, latest, first):
            written = {"date": earliest.isoformat()}
            if latest != earliest:
                written["until"] = latest.isoformat()
            return {**written, "first": first} if first else written
        case Phone(wanted, country):
            return {"phone": wanted, "country": country} if country else {"phone": wanted}
        case FilePath(wanted):
            return {"file_path": wanted}
        case Url(address, ignore_query):
            return {"url": address, "ignore_query": ignore_query}
        case Fields(tests):
            return {"fields": {name: write_test(inner) for name, inner in tests}}
        case Items(tests):
            return {"items": [write_test(inner) for inner in tests]}


def _read_between(limits: object) -> Test:
    ends = read_list("between", limits)
    if len(ends) != 2:
        raise SpecError(f"between expects two numbers, got {len(ends)}")
    return between(read_fraction(ends[0]), read_fraction(ends[1]))


def _read_fields(tests: object) -> Test:
    read = {}
    for name, test in read_entries("fields", tests).items():
        with at(name):
            read[name] = read_test(test)
    return fields(**read)


def _read_items(tests: object) -> Test:
    read = []
    for index, test in enumerate(read_list("items", tests)):
        with at(index):
            read.append(read_test(test))
    return items(*read)


READERS: Mapping[str, Callable[[Any], Test]] = {
    "eq": eq,
    "one_of": lambda values: one_of(*read_list("one_of", values)),
    "matches": matches,
    "text": text,
    "number": lambda value: number(read_fraction(value)),
    "at_least": lambda value: at_least(read_fraction(value)),
    "at_most": lambda value: at_most(read_fraction(value)),
    "between": _read_between,
    "money": money,
    "file_path": file_path,
    "fields": _read_fields,
    "items": _read_items,
}
"""The tests that are one word and its value."""

OPTIONS: Mapping[str, tuple[Callable[..., Test], Mapping[str, type]]] = {
    "url": (url, {"ignore_query": bool}),
    "date": (date, {"until": str, "first": str}),
    "phone": (phone, {"country": str}),
}
"""The tests that take more than a value, with the names and types of what they take."""


def read_test(record: object) -> Test:
    """Read a field test back; a plain value means `eq`.

    Raises:
        SpecError: not the documented form, or a test that cannot be meant.
    """
    if isinstance(record, str | int):
        return eq(record)
    word = read_word("a test", record, (*READERS, *OPTIONS))
    if word in READERS:
        value = read_entries(word, record, (word,))[word]
        with at(word):
            return READERS[word](value)
    make, options = OPTIONS[word]
    entries = read_entries(word, record, (word,), tuple(options))
    for name, expected in options.items():
        if name in entries and not isinstance(entries[name], expected):
            raise SpecError(f"{word}: {name} expects a {expected.__name__}, got {entries[name]!r}", name)
    with at(word):
        return make(entries[word], **{name: entries[name] for name in options if name in entries})


def read_fraction(value: object) -> Any:
    """Turn `1/5`, which only the stored form uses, into a Fraction; leave the rest to the constructor."""
    if isinstance(value, str) and value.count("/") == 1:
        upper, lower = value.split("/")
        if upper.lstrip("-").isdecimal() and lower.isdecimal() and int(lower):
            return Fraction(int(upper), int(lower))
    return value


def read_word(what: str, record: object, words: Sequence[str], also: Collection[str] = ()) -> str:
    """Find the one word that says what a record is; `also` are further words that may have been meant.

    Raises:
        SpecError: none or several of the words; names the nearest.
    """
    found = [word for word in words if isinstance(record, Mapping) and word in record]
    if len(found) == 1:
        return found[0]
    hint = ""
    path: tuple[str, ...] = ()
    if isinstance(record, Mapping) and record and not found:
        hint = f"; {suggest(next(iter(record)), (*words, *also))}"
        path = (str(next(iter(record))),)
    shown = repr(record)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    raise SpecError(f"{what} is an object with one of {', '.join(words)}, got {shown}{hint}", *path)


def read_entries(
    what: str, record: object, needed: Sequence[str] = (), allowed: Sequence[str] | None = None
) -> Mapping[str, Any]:
    """Check that a record is an object with the needed keys and, when there is a list of keys, no others.

    Raises:
        SpecError: it is not; names the nearest key.
    """
    if not isinstance(record, Mapping):
        raise SpecError(f"{what} is an object, got {type(record).__name__} {record!r}")
    missing = [key for key in needed if key not in record]
    if missing:
        raise SpecError(f"{what} lacks {missing[0]!r}; it has {sorted(record)}")
    if needed or allowed is not None:
        known = (*needed, *(allowed or ()))
        for key in record:
            if key not in known:
                raise SpecError(f"{what} has no entry {key!r}; {suggest(key, known)}", key)
    return record


def read_list(what: str, value: object) -> Sequence[Any]:
    """Check that a value is a list.

    Raises:
        SpecError: it is not.
    """
    if not isinstance(value, list | tuple):
        raise SpecError(f"{what} is a list, got {type(value).__name__} {value!r}")
    return value
