"""Values that people write in many ways, read into one: money, dates, phone numbers, paths.

Every reader takes whatever a page, a server or an agent wrote and gives None for what it cannot read without
guessing; none raises.
"""

import datetime
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from milepost.milestones.normal_form import MAX_NUMBER_CHARS, read_number

MAX_CHARS = 64
"""Longer texts are no dates and no phone numbers."""

_CODES: Mapping[str, str] = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR"}
_CURRENCY = re.compile(r"[$€£¥₹]|(?<![A-Za-z])[A-Z]{3}(?![A-Za-z])")


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of money; the currency is an ISO code, or empty where none was written."""

    size: Fraction
    currency: str


def read_money(value: object) -> Amount | None:
    """Read an amount such as `$48.20`, `48,20 EUR` or `48.20`; None when it is not one."""
    size = read_number(value)
    if size is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_NUMBER_CHARS:
        return Amount(size, "")
    named = {_CODES.get(mark, mark) for mark in _CURRENCY.findall(value)}
    return Amount(size, next(iter(named), "")) if len(named) < 2 else None


_LONG_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ISO = re.compile(r"(?P<y>[0-9]{4})(?P<mark>[-/.])(?P<m>[0-9]{1,2})(?P=mark)(?P<d>[0-9]{1,2})")
_NUMERIC = re.compile(r"(?P<a>[0-9]{1,2})(?P<mark>[-/.])(?P<b>[0-9]{1,2})(?P=mark)(?P<y>[0-9]{4})")
_DAY_FIRST = re.compile(r"(?P<d>[0-9]{1,2})(?:st|nd|rd|th)?\.? (?:of )?(?P<m>[a-z]+)\.?,? (?P<y>[0-9]{4})")
_MONTH_FIRST = re.compile(r"(?P<m>[a-z]+)\.? (?P<d>[0-9]{1,2})(?:st|nd|rd|th)?,? (?P<y>[0-9]{4})")
_WEEKDAY = re.compile(r"(?P<day>[a-z]+)\.?,? (?P<rest>.+)")
_DASHED = re.compile(r"(?P<d>[0-9]{1,2})-(?P<m>[a-z]+)-(?P<y>[0-9]{4})")

ORDERS = ("", "day", "month")
"""What may come first in a date such as `05/01/2026`; empty when such a date is read only if it is unambiguous."""


@lru_cache(maxsize=4096)
def read_date(value: object, first: str = "") -> datetime.date | None:
    """Read a calendar date: `2026-01-05`, `5 January 2026`, `Jan 5th, 2026`, `Mon, 5 Jan 2026`, `5.1.2026`.

    With dots the day comes first. With slashes or dashes nobody knows, so such a date is read only when one of
    its numbers cannot be a month, when both are the same, or when `first` says which it is. A weekday must be
    the right one.
    """
    if not isinstance(value, str) or len(value) > MAX_CHARS:
        return None
    text = " ".join(unicodedata.normalize("NFKC", value).casefold().split())
    weekday = _WEEKDAY.fullmatch(text)
    index = _find_name(weekday["day"], _DAYS, 3) if weekday else None
    if weekday is None or index is None:
        return _read_plain_date(text, first)
    found = _read_plain_date(weekday["rest"], first)
    return found if found is not None and found.weekday() == index else None


def _read_plain_date(text: str, first: str) -> datetime.date | None:
    if found := _ISO.fullmatch(text):
        return _make_date(found["y"], int(found["m"]), found["d"])
    if found := _NUMERIC.fullmatch(text):
        return _read_numeric(found, "day" if found["mark"] == "." else first)
    found = _DAY_FIRST.fullmatch(text) or _MONTH_FIRST.fullmatch(text) or _DASHED.fullmatch(text)
    if found is None:
        return None
    index = _find_name(found["m"], _LONG_MONTHS, 3)
    return None if index is None else _make_date(found["y"], index + 1, found["d"])


def _read_numeric(found: re.Match[str], first: str) -> datetime.date | None:
    one, other = int(found["a"]), int(found["b"])
    if not first and one <= 12 and other <= 12 and one != other:
        return None
    month_first = first == "month" or (not first and other > 12)
    month, day = (one, found["b"]) if month_first else (other, found["a"])
    return _make_date(found["y"], month, day)


def _find_name(word: str, names: tuple[str, ...], least: int) -> int | None:
    """Find the one name that a word is, or begins with at least so many letters."""
    if len(word) < least:
        return None
    hits = [index for index, name in enumerate(names) if name.startswith(word)]
    return hits[0] if len(hits) == 1 else None


def _make_date(year: str, month: int, day: str) -> datetime.date | None:
    try:
        return datetime.date(int(year), month, int(day))
    except ValueError:
        return None


_PHONE = re.compile(
    r"(?P<plus>\+?)(?P<digits>[0-9 ().\-/]{3,40}?)(?:\s*(?:x|ext\.?|extension)\s*(?P<ext>[0-9]{1,8}))?"
)


@lru_cache(maxsize=4096)
def read_phone(value: object, country: str = "") -> tuple[str, str] | None:
    """Read a phone number as `(digits, extension)`; digits begin with `+` where the country is known.

    Args:
        value: what was written.
        country: the calling code, such as `49`, that a number without one belongs to; a leading 0 is then
            dropped. Without it a number that names no country stays as it is.
    """
    if not isinstance(value, str) or len(value) > MAX_CHARS:
        return None
    text = re.sub("[\u2010-\u2015\u2212]", "-", unicodedata.normalize("NFKC", value)).casefold().strip()
    found = _PHONE.fullmatch(text.removeprefix("tel:"))
    if found is None:
        return None
    # In "+44 (0)20 ..." the bracketed zero is for callers at home.
    shown = found["digits"].replace("(0)", "") if found["plus"] else found["digits"]
    digits = re.sub("[^0-9]", "", shown)
    if not 3 <= len(digits) <= 17:
        return None
    if found["plus"] or digits.startswith("00"):
        digits = "+" + (digits if found["plus"] else digits[2:])
    elif country:
        digits = f"+{country}{digits.removeprefix('0')}"
    return digits, found["ext"] or ""


def read_path(value: object) -> str | None:
    """Read a path of the workspace into normal form; None for one that leaves it.

    `./a//b`, `a/./b` and `a/b` are the same path; `..`, `~`, a leading slash, a backslash and a NUL are refused.
    Letter case counts.
    """
    if not isinstance(value, str) or value.startswith(("/", "~")) or "\\" in value or "\0" in value:
        return None
    parts = [part for part in unicodedata.normalize("NFC", value).split("/") if part not in ("", ".")]
    return "/".join(parts) if parts and ".." not in parts else None
