"""The agent's hand: mouse and keyboard on a page, by trusted input events.

Every method gives an error text for the agent, empty when the action was delivered.
"""

from collections.abc import Mapping
from typing import Any

from milepost.sandbox.events import Selected, Source
from milepost.sandbox.keyboard import Key
from milepost.sandbox.page import Page


class Hand:
    """Acts on a page's elements by their ids."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def click(self, element: str) -> str:
        """Click an element where it is; gives an error text, empty when the click was delivered."""
        spot = await self._page.ask("point", element)
        if "error" in spot:
            return str(spot["error"])
        at = {"x": spot["x"], "y": spot["y"]}
        button = {**at, "button": "left", "clickCount": 1}
        # The answer to a lone move waits for a frame (16 ms); the press flushes it, so nobody waits for it.
        self._page.post_input("Input.dispatchMouseEvent", {"type": "mouseMoved", **at})
        self._page.post_input("Input.dispatchMouseEvent", {"type": "mousePressed", **button})
        await self._page.dispatch("Input.dispatchMouseEvent", {"type": "mouseReleased", **button})
        return ""

    async def fill(self, element: str, text: str) -> str:
        """Replace a field's content by trusted text input."""
        answer = await self._page.ask("take", element)
        if "error" in answer:
            return str(answer["error"])
        if text:
            await self._page.dispatch("Input.insertText", {"text": text})
        elif answer["filled"]:
            await self._press_keys((Key(key="Backspace", code="Backspace", number=8),))
        return ""

    async def press(self, element: str, keys: tuple[Key, ...]) -> str:
        """Focus an element and press a key, the keys before the last held as modifiers."""
        answer = await self._page.ask("focus", element)
        if "error" in answer:
            return str(answer["error"])
        await self._press_keys(keys)
        return ""

    async def _press_keys(self, keys: tuple[Key, ...]) -> None:
        held = 0
        for key in keys[:-1]:
            held |= key.modifier
            self._page.post_input("Input.dispatchKeyEvent", key.event("rawKeyDown", held))
        last = keys[-1]
        down = "keyDown" if last.text and not held & ~8 else "rawKeyDown"
        self._page.post_input("Input.dispatchKeyEvent", last.event(down, held))
        await self._page.dispatch("Input.dispatchKeyEvent", last.event("keyUp", held))
        for key in reversed(keys[:-1]):
            held &= ~key.modifier
            await self._page.dispatch("Input.dispatchKeyEvent", key.event("keyUp", held))

    async def select(self, element: str, option: str) -> str:
        """Choose an option of a select element by its visible text."""
        answer = await self._page.ask("choose", element, option)
        if "error" in answer:
            return str(answer["error"])
        # Set from the harness's own world and read back there: a fact, though no input event carries it.
        fact = Selected(tab=self._page.tab, role=answer["role"], name=answer["name"], value=answer["value"])
        self._page.note(Source.INPUT, fact)
        return ""

    async def scroll(self, dx: int, dy: int) -> str:
        """Scroll what stands in the middle of the viewport, as a wheel there would."""
        answer = await self._page.ask("scroll", dx, dy)
        return str(answer.get("error", ""))

    async def extract(self, element: str) -> tuple[str, Mapping[str, Any]]:
        """Read an element's text: an error, or the mapping with role, name and text."""
        answer = await self._page.ask("read", element)
        return str(answer.get("error", "")), answer
