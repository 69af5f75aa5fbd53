"""What a goal says, read without a model: what it names, in which order, and what belongs to what."""

import re
from collections.abc import Mapping
from functools import lru_cache

WORD = re.compile(r"\w+")

FINAL = frozenset(
    {
        "submit",
        "ok",
        "search",
        "login",
        "confirm",
        "save",
        "send",
        "export",
        "book",
        "done",
        "apply",
        "buy",
        "finish",
    }
)
"""Words of buttons that end something."""

_KEY = re.compile(
    r'"([^"]+)"|('
    r"(?<!\w)-?\d[\d.,/:-]*\d(?!\w)|(?<!\w)-?\d(?!\w)|\b\d+(?=(?:st|nd|rd|th)\b)|"
    r"\b[A-Z][\w-]*|\b(?=\w*[A-Z\d])\w[\w-]*|(?<!\S)\.\w+(?:\.\w+)*)"
)
"""A quoted text, or a number, the number of an ordinal, a name such as `Ada`, `rP` or `31VBH5`, the ending of a file."""

_THEN = re.compile(r"\b(and|then|when|after)\b|[,.;!?]", re.IGNORECASE)
"""Where a clause ends."""

_ORDINAL = re.compile(
    r"\b((?:first|last)(?= \w)|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|(\d+)(?:st|nd|rd|th))\b",
    re.IGNORECASE,
)
_PLACES = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


@lru_cache(maxsize=1024)
def find_keys(goal: str) -> tuple[str, ...]:
    """Give what a goal names, folded: quoted texts, words with capitals or digits, numbers, endings of files.

    A capitalised word that begins a sentence is none, nor is the button that ends all: `click Submit`.
    """
    found = []
    for match in _KEY.finditer(goal):
        first = goal[: match.start()].rstrip()[-1:] in ("", ".", "!", "?")
        if match[1] or not ((first and match[2][0].isalpha()) or match[2].lower() in FINAL):
            found += _split_list((match[1] or match[2]).lower())
    return tuple(dict.fromkeys(found))


def _split_list(key: str) -> list[str]:
    """Take `8,16,0` apart, but not `7,816`."""
    apart = re.fullmatch(r"\d+(,\d+)+", key) and not re.fullmatch(r"\d{1,3}(,\d{3})+", key)
    return key.split(",") if apart else [key]


@lru_cache(maxsize=1024)
def find_ordinal(goal: str) -> int:
    """Give the place a goal asks for, from 1; -1 is the last, 0 that it asks for none or for several."""
    found = {match[1].lower(): match[2] for match in _ORDINAL.finditer(goal)}
    if len(found) != 1:
        return 0
    word, digits = next(iter(found.items()))
    if digits:
        return int(digits)
    return -1 if word == "last" else _PLACES.index(word) + 1


@lru_cache(maxsize=4096)
def find_slot(goal: str, label: str) -> tuple[str, ...]:
    """Give the key that follows a label in the goal, or, when a clause ends before it, the key before the label.

    `Set "Kind" to "Office"` has `office` in the slot `kind`. What stands in brackets behind the key is a second name
    of it: `to "Ada" ("ada@a.test")`. Empty if there is none.
    """
    folded, label = goal.lower(), label.strip(" :*").lower()
    place = re.search(rf"(?<!\w){re.escape(label)}(?!\w)", folded) if label else None
    if place is None:
        return ()
    keys = {*find_keys(goal)} - {label}
    spots = [(match, (match[1] or match[2]).lower()) for match in _KEY.finditer(goal)]
    after = [spot for spot in spots if spot[1] in keys and spot[0].start() >= place.end()]
    if after and not _THEN.search(goal, place.end(), after[0][0].start()):
        first, *others = after
        return (first[1], *(key for match, key in others[:1] if goal[first[0].end() : match.start()] == " ("))
    return tuple(key for match, key in spots if key in keys and match.end() <= place.start())[-1:]


_KINDS: Mapping[str, frozenset[str]] = {
    "button": frozenset({"button"}),
    "checkbox": frozenset({"checkbox"}),
    "radio": frozenset({"radio"}),
    "link": frozenset({"link"}),
    "text": frozenset({"textbox"}),
    "textbox": frozenset({"textbox"}),
    "textarea": frozenset({"textbox"}),
    "slider": frozenset({"slider"}),
    "switch": frozenset({"switch"}),
    "tab": frozenset({"tab"}),
    "list": frozenset({"listbox", "combobox"}),
    "dropdown": frozenset({"listbox", "combobox"}),
}
"""Words for kinds of elements, as people say them, with the roles that they mean."""


@lru_cache(maxsize=1024)
def find_kinds(goal: str) -> Mapping[str, frozenset[str]]:
    """Give the kinds of elements that a goal names as it names anything else, `a "radio" widget`, with their roles.

    A word inside the sentence is none: `the "no" button` names `no`.
    """
    return {key: _KINDS[key] for key in find_keys(goal) if key in _KINDS}


@lru_cache(maxsize=4096)
def asks_before(goal: str, name: str) -> bool:
    """Whether a goal asks for something before a button of this name, or does not name it: `Pick one and press Submit`."""
    words = split_words(name)
    place = next((match.start() for match in WORD.finditer(goal) if match[0].lower() in words), None)
    return place is None or _THEN.search(goal, 0, place) is not None


@lru_cache(maxsize=8192)
def split_words(text: str) -> frozenset[str]:
    """Give the words of a text, folded."""
    return frozenset(WORD.findall(text.lower()))


def share_words(text: str, goal: str) -> float:
    """Give the part of a text's words that the goal has."""
    words = split_words(text)
    return len(words & split_words(goal)) / len(words) if words else 0.0


@lru_cache(maxsize=16384)
def stands_in(text: str, goal: str) -> bool:
    """Whether the goal has the text, whole words only."""
    folded = text.strip().lower()
    # The ending of a file's name follows a word.
    start = "" if folded.startswith(".") else r"(?<!\w)"
    return bool(folded) and re.search(rf"{start}{re.escape(folded)}(?!\w)", goal.lower()) is not None


_DAY = re.compile(r"(?<![\w/])(\d{1,2})/(\d{1,2})/(\d{4})(?![\w/])")
_HOUR = re.compile(r"(?<![\w:])(\d{1,2}):(\d\d) ?([ap])\.?m\b", re.IGNORECASE)


@lru_cache(maxsize=1024)
def spell_times(text: str) -> str:
    """Write days and times of day in one way: `05/13/2011` is `2011-05-13`, as fields have it, and `1:30 PM` is `13:30`."""
    text = _DAY.sub(lambda day: f"{day[3]}-{day[1]:0>2}-{day[2]:0>2}", text)
    return _HOUR.sub(lambda time: f"{int(time[1]) % 12 + 12 * (time[3] in 'pP'):02}:{time[2]}", text)


def fit_goal(text: str, goal: str) -> float:
    """Say how well a name fits a goal, in [0, 1]."""
    return 0.5 * stands_in(text, goal) + 0.5 * share_words(text, goal)
