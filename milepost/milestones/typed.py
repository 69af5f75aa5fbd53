"""Tests of values that people write in many ways: money, dates, phone numbers, paths. Plain data, like all tests."""

import datetime
from dataclasses import dataclass
from fractions import Fraction

from milepost.milestones.spec_error import SpecError
from milepost.milestones.values import ORDERS, read_date, read_money, read_path, read_phone


@dataclass(frozen=True, slots=True)
class Money:
    """The value is this amount; where both name a currency, it is the same one."""

    size: Fraction
    currency: str

    def accepts(self, value: object) -> bool:
        """Say whether a field's value passes."""
        found = read_money(value)
        if found is None or found.size != self.size:
            return False
        return not self.currency or found.currency in ("", self.currency)


@dataclass(frozen=True, slots=True)
class Date:
    """The value is a day from `earliest` to `latest`, however it is written."""

    earliest: datetime.date
    latest: datetime.date
    first: str
    """What comes first in a date such as `05/01/2026`: `day`, `month`, or empty for nobody knows."""

    def accepts(self, value: object) -> bool:
        """Say whether a field's value passes."""
        found = read_date(value, self.first)
        return found is not None and self.earliest <= found <= self.latest


@dataclass(frozen=True, slots=True)
class Phone:
    """The value is this phone number, however it is spaced."""

    wanted: str
    country: str

    def accepts(self, value: object) -> bool:
        """Say whether a field's value passes."""
        found = read_phone(value, self.country)
        return found is not None and found == read_phone(self.wanted, self.country)


@dataclass(frozen=True, slots=True)
class FilePath:
    """The value is this path of the workspace."""

    wanted: str

    def accepts(self, value: object) -> bool:
        """Say whether a field's value passes."""
        return read_path(value) == self.wanted


def money(wanted: str | int) -> Money:
    """Accept the same amount of money: `money("48.20 EUR")` accepts `€48,20` and `48.20`, and not `$48.20`.

    Raises:
        SpecError: not an amount.
    """
    found = read_money(wanted)
    if found is None:
        raise SpecError(f"money expects an amount such as '48.20 EUR', got {wanted!r}")
    return Money(found.size, found.currency)


def date(wanted: str, *, until: str = "", first: str = "") -> Date:
    """Accept the same day, or with `until` any day from `wanted` to it.

    Args:
        wanted: an ISO date such as `2026-01-05`.
        until: the last day of a range.
        first: `day` or `month` where the site writes `05/01/2026`; without it such a value is not accepted.

    Raises:
        SpecError: not an ISO date, an empty range, or another word for `first`.
    """
    earliest = _read_iso(wanted)
    latest = _read_iso(until) if until else earliest
    if latest < earliest:
        raise SpecError(f"date: the range ends on {until}, before it begins on {wanted}")
    if first not in ORDERS:
        raise SpecError(f"date: first is 'day' or 'month', got {first!r}")
    return Date(earliest, latest, first)


def _read_iso(value: object) -> datetime.date:
    try:
        return datetime.date.fromisoformat(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise SpecError(f"date expects a day such as '2026-01-05', got {value!r}") from None


def phone(wanted: str, *, country: str = "") -> Phone:
    """Accept the same phone number; `country` is the calling code of numbers that are written without one.

    Raises:
        SpecError: not a phone number or not a calling code.
    """
    if not isinstance(country, str) or (country and not (country.isascii() and country.isdigit())):
        raise SpecError(f"phone: country is a calling code such as '49', got {country!r}")
    if read_phone(wanted, country) is None:
        raise SpecError(f"phone expects a number such as '+1 555 010 0199', got {wanted!r}")
    return Phone(wanted, country)


def file_path(wanted: str) -> FilePath:
    """Accept the same path of the workspace: `./Downloads//q3.csv` is `Downloads/q3.csv`.

    Raises:
        SpecError: not a relative path inside the workspace.
    """
    found = read_path(wanted)
    if found is None:
        raise SpecError(
            f"file_path expects a path inside the workspace such as 'Downloads/q3.csv', got {wanted!r}"
        )
    return FilePath(found)
