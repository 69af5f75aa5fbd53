"""The agent's hand: mouse and keyboard on a page, by trusted input events.

Every method gives an error text for the agent, empty when the action was delivered.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from milepost.sandbox.actions import BUTTONS
from milepost.sandbox.clipboard import Clipboard, is_paste
from milepost.sandbox.events import Selected, Source
from milepost.sandbox.keyboard import Key, hold, parse_keys
from milepost.sandbox.page import Page

MAX_TYPED_CHARS = 2000
"""Longest text typed key by key; `fill` and `paste` take longer ones at once."""

_MOUSE = "Input.dispatchMouseEvent"
_KEY = "Input.dispatchKeyEvent"
_TYPED = {"\n": "Enter", "\r": "Enter", "\t": "Tab", " ": "Space"}
_BACKSPACE = Key(key="Backspace", code="Backspace", number=8)


async def withdraw_mouse(page: Page) -> None:
    """Take the mouse off the page, as if it had never been there: for the documents that come, too."""
    away = {"x": -1, "y": -1, "button": "none"}
    page.post_input(_MOUSE, {"type": "mouseMoved", **away})
    # Nothing was pressed, so nothing hears this; but it brings the move along, which would wait for a frame.
    await page.dispatch(_MOUSE, {"type": "mouseReleased", **away})


class Hand:
    """Acts on a page: on its elements by their ids, on its viewport by coordinates, on its focus by keys."""

    def __init__(
        self, page: Page, clipboard: Clipboard, *, on_download: Callable[[], None] = lambda: None
    ) -> None:
        self._page = page
        self._clipboard = clipboard
        self._on_download = on_download
        """Called before a link is clicked whose target is to be downloaded: no navigation will tell of it."""

    # -- mouse --------------------------------------------------------------------------------------

    async def click(
        self, element: str, *, button: str = "left", modifiers: Sequence[str] = (), times: int = 1
    ) -> str:
        """Click an element where it is, once or twice."""
        held = hold(modifiers)
        if button not in BUTTONS:
            return _wrong_button(button)
        spot = await self._page.ask("point", element)
        if "error" in spot:
            return str(spot["error"])
        if spot["download"] and button == "left":
            self._on_download()
        await self._click_at(spot["x"], spot["y"], button, held, times)
        return ""

    async def click_point(self, x: int, y: int, *, button: str = "left", times: int = 1) -> str:
        """Click a point of the viewport, once or twice."""
        if button not in BUTTONS:
            return _wrong_button(button)
        error = self._check_point(x, y)
        if not error:
            await self._click_at(x, y, button, 0, times)
        return error

    async def _click_at(self, x: float, y: float, button: str, held: int, times: int) -> None:
        at = {"x": x, "y": y, "modifiers": held}
        # The answer to a lone move waits for a frame (16 ms); the press flushes it, so nobody waits for it.
        self._page.post_input(_MOUSE, {"type": "mouseMoved", **at})
        # All at once: after the first click of two another document may be on its way, which would get the second.
        for count in range(1, times + 1):
            press = {**at, "button": button, "clickCount": count}
            self._page.post_input(_MOUSE, {"type": "mousePressed", **press})
            if count < times:
                self._page.post_input(_MOUSE, {"type": "mouseReleased", **press})
        last = {**at, "button": button, "clickCount": times}
        await self._page.dispatch(_MOUSE, {"type": "mouseReleased", **last})

    async def hover(self, element: str) -> str:
        """Move the mouse over an element."""
        spot = await self._page.ask("point", element)
        if "error" in spot:
            return str(spot["error"])
        await self._move_to({"x": spot["x"], "y": spot["y"]})
        return ""

    async def _move_to(self, spot: Mapping[str, object]) -> None:
        # A move that nothing follows is delivered with the next frame, or never where none are drawn. The press
        # of no button is no event to a page, and brings the move at once.
        self._page.post_input(_MOUSE, {"type": "mouseMoved", **spot})
        await self._page.dispatch(_MOUSE, {"type": "mousePressed", **spot, "button": "none"})

    async def move(self, x: int, y: int) -> str:
        """Move the mouse to a point of the viewport."""
        error = self._check_point(x, y)
        if not error:
            await self._move_to({"x": x, "y": y})
        return error

    def _check_point(self, x: int, y: int) -> str:
        width, height = self._page.viewport
        if 0 <= x < width and 0 <= y < height:
            return ""
        return f"the point {x}, {y} is outside the viewport of {width} x {height}"

    async def drag(self, element: str, target: str) -> str:
        """Drag an element and drop it on another; both must be in view at once."""
        await self._page.ask("scroll_to", element)
        end = await self._page.ask("point", target)
        start = await self._page.ask("point", element)
        error = start.get("error") or end.get("error")
        if error:
            return str(error)
        # Bringing the first into view may have moved the second.
        end = await self._page.ask("spot", target)
        if "error" in end:
            return str(end["error"])
        return await self.drag_points((start["x"], start["y"]), (end["x"], end["y"]))

    async def drag_points(self, start: tuple[float, float], end: tuple[float, float]) -> str:
        """Drag from one point of the viewport to another; a native drag ends in a drop."""
        for x, y in (start, end):
            error = self._check_point(int(x), int(y))
            if error:
                return error
        page = self._page
        at, to = {"x": start[0], "y": start[1]}, {"x": end[0], "y": end[1]}
        middle = {"x": (start[0] + end[0]) / 2, "y": (start[1] + end[1]) / 2}
        await page.intercept_drags(True)
        page.post_input(_MOUSE, {"type": "mouseMoved", **at})
        await page.dispatch(_MOUSE, {"type": "mousePressed", **at, "button": "left", "clickCount": 1})
        for spot in (middle, to):
            await self._move_to({**spot, "button": "left", "buttons": 1})
        data = await page.intercept_drags(False)
        if data is not None:
            for kind in ("dragEnter", "dragOver", "drop"):
                await page.dispatch("Input.dispatchDragEvent", {"type": kind, **to, "data": data})
        await page.dispatch(_MOUSE, {"type": "mouseReleased", **to, "button": "left", "clickCount": 1})
        return ""

    async def scroll(self, dx: int, dy: int) -> str:
        """Scroll what stands in the middle of the viewport, as a wheel there would."""
        answer = await self._page.call("scroll", dx, dy)
        return str(answer.get("error", ""))

    async def scroll_to(self, element: str) -> str:
        """Scroll an element into view."""
        answer = await self._page.ask("scroll_to", element)
        return str(answer.get("error", ""))

    # -- keyboard -----------------------------------------------------------------------------------

    async def fill(self, element: str, text: str) -> str:
        """Replace a field's content by trusted text input."""
        answer = await self._page.act("fill", element, text)
        match answer.get("left"):
            case "pick":
                return await self._pick(element, text)
            case "text":
                await self._page.dispatch("Input.insertText", {"text": text})
            case "keys":
                await self._press_keys((_BACKSPACE,))
            case _:
                pass
        return str(answer.get("error", ""))

    async def _pick(self, element: str, value: str) -> str:
        """Set a date, a time, a colour or a range, whose own pickers take no text."""
        answer = await self._page.ask("pick", element, value)
        if "error" in answer:
            return str(answer["error"])
        self._note_value(answer)
        return ""

    async def type(self, element: str, text: str) -> str:
        """Focus an element and type behind what is there."""
        answer = await self._page.ask("focus", element, "end")
        return str(answer["error"]) if "error" in answer else await self.type_keys(text)

    async def type_keys(self, text: str) -> str:
        """Type text key by key where the focus is."""
        if len(text) > MAX_TYPED_CHARS:
            return f"{len(text)} characters are too many to type; at most {MAX_TYPED_CHARS}, or use fill"
        for position, character in enumerate(text, start=1):
            key = parse_keys(_TYPED.get(character, character))[0]
            self._page.post_input(_KEY, key.event("keyDown", 0))
            if position < len(text):
                self._page.post_input(_KEY, key.event("keyUp", 0))
            else:
                # Input is handled in order: when the last event is done, all of them are.
                await self._page.dispatch(_KEY, key.event("keyUp", 0))
        return ""

    async def press(self, element: str, keys: str) -> str:
        """Focus an element and press a key, the keys before the last held as modifiers."""
        parsed = parse_keys(keys)
        answer = await self._page.ask("focus", element)
        if "error" in answer:
            return str(answer["error"])
        await self._press_keys(parsed)
        return ""

    async def press_keys(self, keys: str) -> str:
        """Press a key or combination where the focus is."""
        await self._press_keys(parse_keys(keys))
        return ""

    async def _press_keys(self, keys: tuple[Key, ...]) -> None:
        if is_paste(keys):
            await self._page.hold_clipboard(self._clipboard.text)
        held = 0
        for key in keys[:-1]:
            held |= key.modifier
            self._page.post_input(_KEY, key.event("rawKeyDown", held))
        last = keys[-1]
        down = "keyDown" if last.text and not held & ~8 else "rawKeyDown"
        self._page.post_input(_KEY, last.event(down, held))
        await self._page.dispatch(_KEY, last.event("keyUp", held))
        for key in reversed(keys[:-1]):
            held &= ~key.modifier
            await self._page.dispatch(_KEY, key.event("keyUp", held))

    async def focus(self, element: str) -> str:
        """Give an element the keyboard focus."""
        answer = await self._page.ask("focus", element)
        return str(answer.get("error", ""))

    # -- controls -----------------------------------------------------------------------------------

    async def select(self, element: str, option: str | tuple[str, ...]) -> str:
        """Choose options of a select element by their visible text."""
        wanted = [option] if isinstance(option, str) else list(option)
        answer = await self._page.act("choose", element, wanted)
        if "error" in answer:
            return str(answer["error"])
        self._note_value(answer)
        return ""

    def _note_value(self, answer: Mapping[str, Any]) -> None:
        # Set from the harness's own world and read back there: a fact, though no input event carries it.
        fact = Selected(tab=self._page.tab, role=answer["role"], name=answer["name"], value=answer["value"])
        self._page.note(Source.INPUT, fact)

    async def check(self, element: str, *, wanted: bool) -> str:
        """Tick or untick, by a click if it is not so yet."""
        answer = await self._page.ask("checked", element)
        if "error" in answer:
            return str(answer["error"])
        if answer["checked"] == wanted:
            return ""
        if answer["role"] == "radio" and not wanted:
            return f"element {element} is a radio button; choose another one instead"
        return await self.click(element)

    async def upload(self, element: str, path: str) -> str:
        """Choose a file, by its absolute path, in a file field."""
        answer = await self._page.ask("file_field", element)
        if "error" in answer:
            return str(answer["error"])
        await self._page.set_files(element, [path])
        return ""

    async def extract(self, element: str) -> tuple[str, Mapping[str, Any]]:
        """Read an element's text: an error, or the mapping with role, name and text."""
        answer = await self._page.ask("read", element)
        return str(answer.get("error", "")), answer


def _wrong_button(button: str) -> str:
    return f"no mouse button {button!r}; expected one of {', '.join(BUTTONS)}"
