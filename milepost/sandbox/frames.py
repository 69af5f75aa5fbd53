"""Frames of other origins: each has a walker in a world of its own, and its lines stand below its frame's line.

The tab's walker reads frames of its own origin itself. Another origin's document it cannot reach, and one of another
site lives in another process: Chromium announces that as a target of its own. Both run our script, so both can be
asked. An element there is named by its frame's number and its own: `2f7`. A document gets a number when it is first
read, and the number is never used again.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from milepost.sandbox.cdp import FLOODED, CDPConnection, CDPError, ConnectionLostError, forget
from milepost.sandbox.follower import BINDING, WORLD, Follower

MAX_FRAMES = 16
"""Most frames of other origins that are read in one tab; further ones stay the one line they are."""

ANSWER_CEILING_S = 1.0
"""A frame that takes longer is not asked again until it shows another document."""

_ID = re.compile(r"^(?:(\d+)f)?(\d+)$")

_TOLD = frozenset(
    {
        "Network.requestWillBeSent",
        "Network.loadingFinished",
        "Network.loadingFailed",
        "Page.frameRequestedNavigation",
        "Page.frameStartedNavigating",
        "Page.frameStoppedLoading",
        "Page.frameDetached",
        "Page.windowOpen",
        FLOODED,
    }
)
"""What a frame of another process tells that concerns the whole tab."""


@dataclass(frozen=True, slots=True)
class Place:
    """A world that our script runs in: a session's execution context."""

    session: str
    context: int


@dataclass(frozen=True, slots=True)
class Owner:
    """The element that a frame stands in."""

    place: Place | None
    """Where that element is; None in the tab's own document."""
    element: str


@dataclass(frozen=True, slots=True)
class Spot:
    """An element that an id names."""

    place: Place | None
    element: str


class Frames:
    """The foreign frames of one tab."""

    def __init__(
        self,
        connection: CDPConnection,
        session: str,
        follower: Follower,
        *,
        target: str,
        prepare: Callable[[str], None],
    ) -> None:
        """Begin with none.

        Args:
            connection: to the browser.
            session: the tab's own.
            follower: takes what concerns the whole tab.
            target: the tab's DevTools id, which its main frame has too.
            prepare: sets a new session up, as the tab's own was.
        """
        self._connection = connection
        self._session = session
        self._follower = follower
        self._target = target
        self._prepare = prepare
        self._places: dict[str, Place] = {}
        self._numbers: dict[Place, int] = {}
        self._given = 0
        self._owners: dict[Place, Owner] = {}
        self._frame_ids: dict[tuple[Place | None, int | None, str], str] = {}
        self._silent: set[Place] = set()

    # -- what the browser tells ---------------------------------------------------------------------

    def on_event(self, session: str, method: str, params: Mapping[str, Any]) -> None:
        """Take an event of the tab's session, or of one of its frames'."""
        match method:
            case "Runtime.executionContextCreated":
                self._on_context(session, params["context"])
            case "Runtime.executionContextDestroyed":
                self._forget(lambda place: place == Place(session, params["executionContextId"]))
            case "Runtime.executionContextsCleared":
                self._forget(lambda place: place.session == session)
            case "Runtime.bindingCalled":
                place = Place(session, params["executionContextId"])
                if params["name"] == BINDING and place in self._numbers:
                    self._follower.note_input(params["payload"])
            case "Target.attachedToTarget":
                self._on_attached(params["sessionId"], params["targetInfo"]["targetId"])
            case "Target.detachedFromTarget":
                gone = params["sessionId"]
                self._connection.off(gone)
                self._forget(lambda place: place.session == gone)
            case _:
                if method == FLOODED:
                    # The tab disturbs others, whatever the agent does meanwhile.
                    self._connection.post("Target.closeTarget", {"targetId": self._target})
                if session != self._session and method in _TOLD:
                    self._follower.on_event(method, params)

    def _on_context(self, session: str, context: Mapping[str, Any]) -> None:
        frame = context.get("auxData", {}).get("frameId", "")
        if context["name"] == WORLD and frame != self._target:
            self._places[frame] = Place(session, context["id"])

    def _on_attached(self, session: str, frame: str) -> None:
        self._connection.on(session, partial(self.on_event, session))
        self._prepare(session)
        self._connection.post("Runtime.runIfWaitingForDebugger", {}, session)
        # It may have loaded before we listened, so it is asked; our script is there when it answers.
        self._follower.frames.add(frame)
        release = partial(self._follower.release_frame, frame)
        ceiling = asyncio.get_running_loop().call_later(ANSWER_CEILING_S, release)

        def on_answer(answer: "asyncio.Future[dict[str, Any]]") -> None:
            ceiling.cancel()
            lost = answer.cancelled() or answer.exception() is not None
            if lost or answer.result()["result"].get("value") == "complete":
                release()

        asked = self._connection.send("Runtime.evaluate", {"expression": "document.readyState"}, session)
        asked.add_done_callback(on_answer)

    def _forget(self, gone: Callable[[Place], bool]) -> None:
        self._places = {frame: place for frame, place in self._places.items() if not gone(place)}
        for known in (self._numbers, self._owners):
            for place in [place for place in known if gone(place)]:
                known.pop(place)
        self._silent = {place for place in self._silent if not gone(place)}
        self._frame_ids = {
            key: frame for key, frame in self._frame_ids.items() if key[0] is None or not gone(key[0])
        }

    # -- reading ------------------------------------------------------------------------------------

    async def read(self, value: Mapping[str, Any], call: str) -> tuple[list[Any], bool]:
        """Put the lines of foreign frames below their frames'.

        Args:
            value: what the tab's walker answered.
            call: how a frame's walker is asked, but for its last arguments: `milepost.look(true`.

        Returns:
            The rows, and whether every frame has settled.

        Raises:
            CDPError: the document went away meanwhile.
        """
        self._frame_ids = {k: v for k, v in self._frame_ids.items() if k[1] in (None, self._follower.world)}
        budget = [MAX_FRAMES]
        return await self._join(orjson.loads(value["rows"]), value["foreign"], None, call, budget)

    async def _join(
        self,
        rows: list[Any],
        foreign: Sequence[Sequence[Any]],
        place: Place | None,
        call: str,
        budget: list[int],
    ) -> tuple[list[Any], bool]:
        out, settled, start = list[Any](), True, 0
        for index, element, clip, focused in foreign:
            out += rows[start : index + 1]
            start = index + 1
            if not budget[0]:
                continue
            budget[0] -= 1
            inner = await self._find(place, element)
            if inner is None or inner in self._silent:
                continue
            self._owners[inner] = Owner(place, element)
            answer = await self._ask(inner, f"{call}, {orjson.dumps([clip, focused]).decode()})")
            if answer is None:
                continue
            if inner not in self._numbers:
                self._given += 1
                self._numbers[inner] = self._given
            lines, calm = await self._join(
                orjson.loads(answer["rows"]), answer["foreign"], inner, call, budget
            )
            settled = settled and calm and answer["settled"]
            out += [_indent(line, f"{self._numbers[inner]}f", rows[index][1] + 1) for line in lines]
        return out + rows[start:], settled

    async def _find(self, place: Place | None, element: str) -> Place | None:
        """Find the world of the document in a frame; None while it has none."""
        key = (place, self._follower.world if place is None else None, element)
        if key not in self._frame_ids:
            found = await self._describe(place, element)
            if not found:
                return None
            self._frame_ids[key] = found
        return self._places.get(self._frame_ids[key])

    async def _describe(self, place: Place | None, element: str) -> str:
        session = self._session if place is None else place.session
        context = self._follower.world if place is None else place.context
        expression = {"expression": f"milepost.element({element})", "contextId": context}
        reply = await self._connection.send("Runtime.evaluate", expression, session)
        handle = reply["result"].get("objectId")
        if handle is None:
            return ""
        node = await self._connection.send("DOM.describeNode", {"objectId": handle}, session)
        self._connection.post("Runtime.releaseObject", {"objectId": handle}, session)
        return str(node["node"].get("frameId", ""))

    async def _ask(self, place: Place, expression: str) -> Mapping[str, Any] | None:
        """Ask a frame's walker; None from one that is gone, hangs, or has a dialog open."""
        try:
            async with asyncio.timeout(ANSWER_CEILING_S):
                answer: Mapping[str, Any] | None = await self.evaluate(place, expression)
        except TimeoutError:
            self._silent.add(place)
            return None
        except ConnectionLostError:
            raise
        except CDPError:
            return None
        return answer

    async def evaluate(self, place: Place, expression: str) -> Any:
        """Evaluate in a frame's world; None when a dialog opened instead.

        Raises:
            CDPError: the document went away under the call.
        """
        params = {
            "expression": expression,
            "returnByValue": True,
            "awaitPromise": True,
            "contextId": place.context,
        }
        future = self._connection.send("Runtime.evaluate", params, place.session)
        future.add_done_callback(forget)
        reply = await self._follower.unless_dialog(future)
        if reply is None:
            return None
        if "exceptionDetails" in reply:
            details = reply["exceptionDetails"]
            raise CDPError(details.get("exception", {}).get("description", details.get("text", "")))
        return reply["result"].get("value")

    # -- ids ----------------------------------------------------------------------------------------

    def locate(self, element: str) -> Spot | None:
        """Find what an id names, without its tab's prefix; None for what is no id, or of a document that is gone."""
        match = _ID.match(element)
        if match is None:
            return None
        if match[1] is None:
            return Spot(None, match[2])
        number = int(match[1])
        place = next((place for place, given in self._numbers.items() if given == number), None)
        return None if place is None else Spot(place, match[2])

    @property
    def places(self) -> tuple[Place, ...]:
        """The worlds that were read."""
        return tuple(self._numbers)

    def owner(self, place: Place) -> Owner | None:
        """Give the element that a frame stands in; None when it is gone."""
        return self._owners.get(place)

    def detach(self) -> None:
        """Stop to listen."""
        for session in {place.session for place in self._places.values()} - {self._session}:
            self._connection.off(session)


def _indent(line: list[Any], prefix: str, depth: int) -> list[Any]:
    number, own, *rest = line
    # A line of a frame inside this one has its own frame's number already.
    return [prefix + number if number.isdigit() else number, own + depth, *rest]


def name_prefix(tab: int) -> str:
    """Name the prefix of a tab's ids: none for the first, then b, c, ... z, ba, bb, ..."""
    letters = ""
    while tab:
        tab, digit = divmod(tab, 26)
        letters = chr(ord("a") + digit) + letters
    return letters
