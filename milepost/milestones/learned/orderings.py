"""Goals that ask for the least, the most, or something within bounds: which way they point, and what is compared."""

import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

_MOST = re.compile(
    r"\b(highest|most|largest|biggest|greatest|longest|latest|newest|last(?= \w)|maximum|best|(?<!least )expensive)\b",
    re.IGNORECASE,
)
_LEAST = re.compile(
    r"\b(lowest|least|smallest|shortest|cheapest|earliest|oldest|first(?= \w)|fewest|minimum|fastest|nearest|soonest)\b",
    re.IGNORECASE,
)
_BELOW = re.compile(
    r"\b(?:less|lower|smaller|fewer|cheaper) than \$?(\d[\d,.]*\d|\d)|\b(?:below|under|at most) \$?(\d[\d,.]*\d|\d)",
    re.IGNORECASE,
)
_ABOVE = re.compile(
    r"\b(?:greater|higher|larger|bigger|more) than \$?(\d[\d,.]*\d|\d)|\b(?:above|over|at least) \$?(\d[\d,.]*\d|\d)",
    re.IGNORECASE,
)

_ODD = re.compile(r"\bodd\b", re.IGNORECASE)
_EVEN = re.compile(r"\beven\b(?! if| though| when)", re.IGNORECASE)

_SUM = re.compile(r"(-?\d+(?:\.\d+)?)\s*([-+*/x:\u00d7\u00f7\u2212])\s*(-?\d+(?:\.\d+)?)\s*=\s*\??")

_DURATION = re.compile(r"\b(?:(\d+)\s*h(?:ours?)?\b)?\s*(?:(\d+)\s*m(?:in(?:utes?)?)?\b)?", re.IGNORECASE)
_MONEY = re.compile(r"[$€£]\s?(\d[\d,]*(?:\.\d+)?)")
_DATE = re.compile(r"\b(\d{1,2} [A-Z][a-z]+ \d{4}|[A-Z][a-z]+ \d{1,2}, \d{4}|\d{4}-\d{2}-\d{2})\b")
_NUMBER = re.compile(r"(?<![\w.,-])\d[\d,]*(?:\.\d+)?(?![\w.-])")
_FORMS = ("%d %B %Y", "%d %b %Y", "%B %d, %Y", "%b %d, %Y", "%Y-%m-%d")


class Quantity(StrEnum):
    """What is compared."""

    DURATION = "duration"
    MONEY = "money"
    DATE = "date"
    NUMBER = "number"


_ASKED = (
    (Quantity.MONEY, re.compile(r"\b(cheap\w*|expensive|price\w*|cost\w*)\b", re.IGNORECASE)),
    (Quantity.DATE, re.compile(r"\b(latest|newest|oldest|earliest|recent\w*)\b", re.IGNORECASE)),
    (Quantity.DURATION, re.compile(r"\b(duration|shortest|longest|fastest)\b", re.IGNORECASE)),
)


@lru_cache(maxsize=1024)
def find_direction(goal: str) -> int:
    """Give 1 when a goal asks for the most of something, -1 for the least, 0 for neither or both."""
    return bool(_MOST.search(goal)) - bool(_LEAST.search(goal))


@lru_cache(maxsize=1024)
def find_quantity(goal: str) -> Quantity:
    """Give what a goal compares by; a plain number when it names no other."""
    return next((quantity for quantity, words in _ASKED if words.search(goal)), Quantity.NUMBER)


@lru_cache(maxsize=1024)
def find_bounds(goal: str) -> tuple[float, float] | None:
    """Give the open interval a goal asks for, or None."""
    low, high = _ABOVE.search(goal), _BELOW.search(goal)
    if low is None and high is None:
        return None
    return (
        _number(low[1] or low[2]) if low else float("-inf"),
        _number(high[1] or high[2]) if high else float("inf"),
    )


@lru_cache(maxsize=1024)
def find_remainder(goal: str) -> int | None:
    """Give what is left of a number asked for when it is halved: 1 of odd ones, 0 of even ones, None of neither or both."""
    odd, even = bool(_ODD.search(goal)), bool(_EVEN.search(goal))
    return int(odd) if odd != even else None


@lru_cache(maxsize=4096)
def find_result(text: str) -> float | None:
    """Give what a sum, difference, product or quotient of two numbers comes to that a text asks for: `4 - 8 =`."""
    asked = _SUM.fullmatch(text.strip())
    if asked is None:
        return None
    one, sign, other = float(asked[1]), asked[2], float(asked[3])
    if sign in "/:\u00f7":
        return one / other if other else None
    return one + other if sign == "+" else one - other if sign in "-\u2212" else one * other


@lru_cache(maxsize=4096)
def read_amounts(text: str, quantity: Quantity) -> tuple[float, ...]:
    """Give the amounts of one quantity in a text, in order: minutes, money, days, or numbers."""
    if quantity is Quantity.DURATION:
        found = (match for match in _DURATION.finditer(text) if match[1] or match[2])
        return tuple(60.0 * int(match[1] or 0) + int(match[2] or 0) for match in found)
    if quantity is Quantity.MONEY:
        return tuple(_number(match[1]) for match in _MONEY.finditer(text))
    if quantity is Quantity.DATE:
        return tuple(day for match in _DATE.finditer(text) for day in _read_day(match[1]))
    return tuple(_number(match[0]) for match in _NUMBER.finditer(text))


def is_extreme(own: str, others: Sequence[str], goal: str, header: str = "") -> bool | None:
    """Whether a row has the most or least of what the goal compares by.

    Args:
        own: text of the row.
        others: texts of the rows beside it.
        goal: what asks for the most or the least.
        header: names of the columns; one that the goal quotes says which number counts, counted from the right.

    Returns:
        None when the goal does not ask, or the rows cannot be compared.
    """
    direction, quantity = find_direction(goal), find_quantity(goal)
    if not direction:
        return None
    rows = [read_amounts(text, quantity) for text in (own, *others)]
    if not rows[0]:
        return None
    place = _find_column(header, goal) if quantity is Quantity.NUMBER else -1
    if place is None:
        return None
    column = [row[place] for row in rows if len(row) >= -place]
    return (
        len(column) > 1
        and len(rows[0]) >= -place
        and column[0] * direction >= max(c * direction for c in column)
    )


def _find_column(header: str, goal: str) -> int | None:
    names = header.split()
    for back, name in enumerate(reversed(names), 1):
        if re.search(rf'"{re.escape(name)}"', goal, re.IGNORECASE):
            return -back
    return None if names else -1


def _number(text: str) -> float:
    return float(text.replace(",", "").rstrip(".") or 0)


def _read_day(text: str) -> list[float]:
    for form in _FORMS:
        try:
            return [float(datetime.strptime(text, form).toordinal())]  # noqa: DTZ007 - a day has no time zone
        except ValueError:
            continue
    return []
