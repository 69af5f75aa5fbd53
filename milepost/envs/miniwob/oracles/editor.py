"""A page with a text editor: a word of its text, or all of it, gets a style or a colour."""

import re
from collections.abc import Mapping

from milepost.envs.miniwob.oracles.sight import elements, submit
from milepost.sandbox.actions import Action, Click, KeyboardPress, KeyboardType, Noop, Press
from milepost.sandbox.observation import Element, Observation

_STYLES = ("bold", "italics", "underlined")
"""The styles that have a button, in order."""

_COLORS: Mapping[str, int] = {"red": 2, "orange": 3, "yellow": 4, "green": 5, "blue": 6, "purple": 7}
"""Where colours are among the pictures, once the palette is open: behind its own picture and the default colour."""
_DEFAULT = 1


def _switch_style(view: Observation, *, on: bool) -> Action | None:
    """Click the style, or the palette and a colour; None when that was done last, which nothing else shows."""
    pictures, buttons = elements(view, "generic"), elements(view, "button")
    style = next((place for place, name in enumerate(_STYLES) if f"style {name}" in view.goal), None)
    color = re.search(r"color (\w+)", view.goal)
    if style is not None:
        return None if view.last_action == f'click("{buttons[style].id}")' else Click(buttons[style].id)
    if color is None or not pictures:
        return Noop()
    if len(pictures) > 1:
        return Click(pictures[_COLORS[color[1]] if on else _DEFAULT].id)
    return None if view.last_action.startswith("click") else Click(pictures[0].id)


def _style_all(view: Observation, editor: Element) -> Action:
    if not view.last_action:
        return Press(editor.id, "Control+a")
    return _switch_style(view, on=True) or submit(view)


def _read_progress(value: str, word: str) -> tuple[str, str, str]:
    """Split what the editor shows: what was typed, and what stands before and behind the word in the old text.

    Where a style ends, the tree may show a space, so what was typed is compared and given without any.
    """
    for cut in range((len(value) + 1) // 2, -1, -1):
        typed, (head, found, tail) = (
            value[:cut].replace(" ", ""),
            f" {value[cut:].lstrip()} ".partition(f" {word} "),
        )
        if found and typed in ("", *_stages(head, word, tail)):
            return typed, head, tail
    return value, "", ""


def _stages(head: str, word: str, tail: str) -> tuple[str, str, str]:
    """Give what is there when the words before are typed, the word is, and all is."""
    before, after = head.replace(" ", ""), tail.replace(" ", "")
    return before, before + word, before + word + after


def _style_word(view: Observation, editor: Element, word: str) -> Action:
    """Type the text anew before the old one, the word with the style on, and take the old one away.

    Where the caret is cannot be seen; what was typed can, and what is to come as well, as the old text is still there.
    """
    typed, head, tail = _read_progress(editor.value, word)
    before, styled, done = _stages(head, word, tail)
    if not view.last_action:
        return Press(editor.id, "Control+Home")
    if view.last_action == 'keyboard_press("Delete")':
        return submit(view)
    if typed and typed == done:
        selected = view.last_action == 'keyboard_press("Control+Shift+End")'
        return KeyboardPress("Delete" if selected else "Control+Shift+End")
    if typed and typed == styled:
        return _switch_style(view, on=False) or KeyboardType(f" {tail.rstrip()}")
    if typed == before:
        return _switch_style(view, on=True) or KeyboardType(word)
    return KeyboardType(f"{head.lstrip()} ")


def style_text(view: Observation) -> Action:
    """Give the text, or a word of it, the style or colour that the goal names, and submit."""
    word, fields = re.search(r"the text (\S+) the ", view.goal), elements(view, "textbox")
    if not fields or len(elements(view, "button")) < 3:
        return Noop()
    return _style_word(view, fields[0], word[1]) if word else _style_all(view, fields[0])
