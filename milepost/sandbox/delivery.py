"""Delivers an input event to a tab, and knows when the page has handled it."""

import asyncio
from collections.abc import Mapping
from typing import Any

from milepost.sandbox.cdp import CDPConnection, CDPError, ConnectionLostError, forget
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.follower import Follower

ACK_CEILING_S = 1.0
"""How long an input event's answer is waited for after the event opened a tab."""


async def deliver_input(
    connection: CDPConnection, session: str, follower: Follower, method: str, params: Mapping[str, Any]
) -> None:
    """Send an input event and wait until the page has handled it, or a dialog opened.

    Raises:
        SandboxError: the browser is gone.
        TimeoutError: the caller's deadline passed.
    """
    opened = len(follower.opened)
    future = connection.send(method, params, session)
    try:
        async with asyncio.timeout(None) as ceiling:
            # A tab that the event opens may swallow the answer together with the focus.
            follower.on_open = lambda: ceiling.reschedule(asyncio.get_running_loop().time() + ACK_CEILING_S)
            await follower.unless_dialog(future)
    except TimeoutError:
        if len(follower.opened) == opened:
            raise
        future.add_done_callback(forget)
    except ConnectionLostError as error:
        raise SandboxError(Failure.INFRASTRUCTURE, str(error)) from error
    except CDPError:
        # The target went away while it handled the event (the page closed itself, or its process was swapped): who
        # reads the page next finds out what became of it.
        return
    finally:
        follower.on_open = _nothing


def _nothing() -> None:
    return
