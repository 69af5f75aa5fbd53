"""Keys and key combinations, as trusted key events need them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_NAMED: Mapping[str, tuple[str, int, str]] = {
    "Enter": ("Enter", 13, "\r"),
    "Tab": ("Tab", 9, ""),
    "Escape": ("Escape", 27, ""),
    "Backspace": ("Backspace", 8, ""),
    "Delete": ("Delete", 46, ""),
    "ArrowUp": ("ArrowUp", 38, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
    "Insert": ("Insert", 45, ""),
    "Home": ("Home", 36, ""),
    "End": ("End", 35, ""),
    "PageUp": ("PageUp", 33, ""),
    "PageDown": ("PageDown", 34, ""),
    "Space": ("Space", 32, " "),
}
_MARKS: Mapping[str, tuple[str, int]] = {
    mark: (code, number)
    for marks, code, number in (
        *((marks, f"Digit{digit}", 48 + digit) for digit, marks in enumerate(")!@#$%^&*(")),
        (";:", "Semicolon", 186),
        ("=+", "Equal", 187),
        (",<", "Comma", 188),
        ("-_", "Minus", 189),
        (".>", "Period", 190),
        ("/?", "Slash", 191),
        ("`~", "Backquote", 192),
        ("[{", "BracketLeft", 219),
        ("\\|", "Backslash", 220),
        ("]}", "BracketRight", 221),
        ("'\"", "Quote", 222),
    )
    for mark in marks
}
"""Where an American keyboard has marks. By their characters' own numbers, a full stop would be Delete to a script."""
_MODIFIERS: Mapping[str, tuple[str, int, int]] = {
    "Alt": ("AltLeft", 18, 1),
    "Control": ("ControlLeft", 17, 2),
    "Meta": ("MetaLeft", 91, 4),
    "Shift": ("ShiftLeft", 16, 8),
}


class KeyNameError(ValueError):
    """A combination names no known key; shown to the agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a combination."""

    key: str
    """DOM `key` value, e.g. `Enter` or `a`."""
    code: str
    """DOM `code` value, e.g. `KeyA`."""
    number: int
    """Windows virtual key code."""
    text: str = ""
    """The character it types, if it types one."""
    modifier: int = 0
    """Its bit when it is a modifier: Alt 1, Control 2, Meta 4, Shift 8."""

    def event(self, type: str, held: int) -> dict[str, object]:
        """Give the parameters of `Input.dispatchKeyEvent`."""
        event: dict[str, object] = {
            "type": type,
            "key": self.key,
            "code": self.code,
            "windowsVirtualKeyCode": self.number,
            "modifiers": held,
        }
        return event | ({"text": self.text} if type == "keyDown" and self.text else {})


def parse_keys(combination: str) -> tuple[Key, ...]:
    """Read `Control+a` or `Enter` into keys, the last one pressed and the others held.

    Raises:
        KeyNameError: an unknown key; lists the names.
    """
    # "+" itself is a key: "Control++" holds Control and presses +.
    head = combination[:-1] if combination.endswith("+") else combination
    names = [*(n for n in head.split("+") if n), *(["+"] if combination.endswith("+") else [])]
    if not names:
        raise KeyNameError(f"no key in {combination!r}; expected such as Enter or Control+a")
    return (*(_modifier(name) for name in names[:-1]), _key(names[-1]))


def hold(names: Sequence[str]) -> int:
    """Give the bits of the modifiers held, as `Input` commands want them.

    Raises:
        KeyNameError: an unknown modifier; lists the names.
    """
    held = 0
    for name in names:
        held |= _modifier(name).modifier
    return held


def _modifier(name: str) -> Key:
    if name not in _MODIFIERS:
        raise KeyNameError(f"unknown modifier {name!r}; expected one of {', '.join(_MODIFIERS)}")
    code, number, bit = _MODIFIERS[name]
    return Key(key=name, code=code, number=number, modifier=bit)


def _key(name: str) -> Key:
    if name in _MODIFIERS:
        return _modifier(name)
    if name in _NAMED:
        code, number, text = _NAMED[name]
        return Key(key=" " if name == "Space" else name, code=code, number=number, text=text)
    if name in _MARKS:
        code, number = _MARKS[name]
        return Key(key=name, code=code, number=number, text=name)
    if len(name) == 1:
        return Key(key=name, code=_code(name), number=ord(name.upper()) & 0xFF, text=name)
    raise KeyNameError(f"unknown key {name!r}; expected a character or one of {', '.join(_NAMED)}")


def _code(character: str) -> str:
    if character.isascii() and character.isalpha():
        return f"Key{character.upper()}"
    return f"Digit{character}" if character.isdigit() else ""
