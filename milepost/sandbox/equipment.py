"""What every document of an episode gets: our script in a world of its own, our instruments, the episode's time and chance."""

import asyncio
from pathlib import Path
from typing import Any

from milepost.sandbox.cdp import CDPConnection
from milepost.sandbox.follower import BINDING, WORLD

_SCRIPTS = ("members.js", "names.js", "walker.js")

WALKER = "".join(Path(__file__).with_name(n).read_text("utf-8") for n in _SCRIPTS)

RESIZE = "Emulation.setDeviceMetricsOverride"

_ON_NEW_DOCUMENT = "Page.addScriptToEvaluateOnNewDocument"

_FRAMES_TOO = {
    "autoAttach": True,
    # To hold frames until our script is there would also hold windows that pages open, and block who opens many.
    "waitForDebuggerOnStart": False,
    "flatten": True,
    "filter": [{"type": "iframe"}],
}


def size(viewport: tuple[int, int]) -> dict[str, Any]:
    """Write a viewport's width and height as `RESIZE` takes them."""
    return {"width": viewport[0], "height": viewport[1], "deviceScaleFactor": 1, "mobile": False}


def equip(connection: CDPConnection, session: str, steady: str) -> list[asyncio.Future[dict[str, Any]]]:
    """Put our script and our instruments into a session's documents: a tab's, or those of a frame of another site.

    Args:
        connection: to the browser.
        session: the tab's or the frame's.
        steady: script that runs first in its documents, see `steady`; its answer, if there is one, is the last.
    """
    send, post = connection.send, connection.post
    if steady:
        # Of a process, not of a tab: refused where the tab that opened this one has set them.
        post("Emulation.setTimezoneOverride", {"timezoneId": "UTC"}, session)
        post("Emulation.setLocaleOverride", {"locale": "en-US"}, session)
    return [
        send("Page.enable", {}, session),
        send("Runtime.enable", {}, session),
        send("Network.enable", {"maxTotalBufferSize": 0, "maxResourceBufferSize": 0}, session),
        send("Runtime.addBinding", {"name": BINDING, "executionContextName": WORLD}, session),
        send("Target.setAutoAttach", _FRAMES_TOO, session),
        _add(connection, session, {"source": WALKER, "worldName": WORLD}),
        *([_add(connection, session, {"source": steady})] if steady else []),
    ]


def _add(connection: CDPConnection, session: str, script: dict[str, Any]) -> asyncio.Future[dict[str, Any]]:
    return connection.send(_ON_NEW_DOCUMENT, {**script, "runImmediately": True}, session)


async def replace_steady(connection: CDPConnection, session: str, old: str, steady: str) -> str:
    """Give a session's next documents another time and chance; gives the script's id.

    Raises:
        CDPError: the tab is gone.
    """
    gone = connection.send("Page.removeScriptToEvaluateOnNewDocument", {"identifier": old}, session)
    # Not in the document that is there: it is blank, and has lived in the old time.
    made = connection.send(_ON_NEW_DOCUMENT, {"source": steady}, session)
    await asyncio.gather(gone, made)
    return str(made.result()["identifier"])
