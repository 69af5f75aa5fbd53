"""Normal forms in which texts, amounts and URLs are compared, so that a right answer may be written in any way."""

import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

MAX_NUMBER_CHARS = 64
"""Longer texts are no amounts; the limit bounds the arithmetic a page can cause."""


def fold_text(value: str) -> str:
    """Bring a text into the form in which two texts are compared."""
    return " ".join(unicodedata.normalize("NFKC", value).casefold().split())


_CURRENCY = r"(?:[$€£¥₹]|[A-Z]{3})?"
_AMOUNT = re.compile(
    rf"{_CURRENCY}\s*(?P<sign>[-\u2212+]?)\s*{_CURRENCY}\s*(?P<digits>[0-9][0-9.,'\u2019\s]*)\s*{_CURRENCY}"
)
_GROUPED = re.compile(r"[0-9]{1,3}(?:(?P<mark>[,.'\u2019 ])[0-9]{3})(?:(?P=mark)[0-9]{3})*")


@lru_cache(maxsize=4096)
def _read_amount(value: str) -> Fraction | None:
    found = _AMOUNT.fullmatch(value.strip())
    if found is None:
        return None
    digits = re.sub(r"\s", " ", found["digits"].strip())
    whole, mark, part = digits, "", ""
    cut = max(digits.rfind("."), digits.rfind(","))
    if cut >= 0 and not _is_grouping(digits, digits[cut]):
        whole, mark, part = digits[:cut], digits[cut], digits[cut + 1 :]
    grouped = _GROUPED.fullmatch(whole)
    if grouped is not None and grouped["mark"] != mark:
        whole = whole.replace(grouped["mark"], "")
    if not (whole.isascii() and whole.isdigit()) or (mark and not (part.isascii() and part.isdigit())):
        return None
    size = Fraction(Decimal(f"{whole}.{part or '0'}"))
    return -size if found["sign"] in ("-", "\u2212") else size


def _is_grouping(digits: str, mark: str) -> bool:
    """Whether the last `,` of `1,234` (or of several marks alike) groups digits; `.` alone is decimal."""
    repeated = digits.count(mark) > 1
    return _GROUPED.fullmatch(digits) is not None and (mark == "," or repeated)


def read_number(value: object) -> Fraction | None:
    """Read a number or an amount of money exactly; None when the value is not one.

    Currency signs and codes, grouping (`1,234.50`, `1.234,50`, `1 234,50`) and leading zeros do not matter.
    A single comma before exactly three digits groups them: `1,234` is 1234.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Fraction(value)
    if not isinstance(value, str) or len(value) > MAX_NUMBER_CHARS:
        return None
    return _read_amount(value)


def write_number(value: Fraction) -> str:
    """Write a number as a decimal where that is exact, otherwise as a fraction such as `1/3`."""
    decimal = f"{Decimal(value.numerator) / Decimal(value.denominator):f}"
    return decimal if Fraction(decimal) == value else str(value)


_DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@lru_cache(maxsize=4096)
def split_url(value: str) -> tuple[Any, ...] | None:
    """Split a URL into comparable parts `(scheme, host, port, user, path, query, fragment)`.

    Gives None when it cannot be read.
    """
    try:
        parts = urlsplit(value.strip())
        scheme, port = parts.scheme.lower(), parts.port
        return (
            scheme,
            (parts.hostname or "").rstrip("."),
            None if port == _DEFAULT_PORTS.get(scheme) else port,
            (parts.username, parts.password),
            _fold_path(parts.path) or "/",
            tuple(sorted(parse_qsl(parts.query, keep_blank_values=True))),
            unquote(parts.fragment),
        )
    except ValueError:
        return None


def _fold_path(path: str) -> str:
    """Write each character of a path in one way; an escaped delimiter such as `%2F` stays escaped."""
    quoted = quote(path, safe="/%:@!$&'()*+,;=~-._")
    return re.sub("%[0-9A-Fa-f]{2}", lambda escape: _fold_escape(escape[0]), quoted)


def _fold_escape(escape: str) -> str:
    char = chr(int(escape[1:], 16))
    return char if re.fullmatch(r"[A-Za-z0-9._~-]", char) else escape.upper()
