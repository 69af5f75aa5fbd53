"""Delivers an input event to a tab, and knows when the page has handled it."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from milepost.sandbox.cdp import CDPConnection, CDPError, ConnectionLostError
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.follower import Follower

ACK_CEILING_S = 1.0
"""How long an input event's answer is waited for after the event opened a tab, or another document came."""


async def deliver_input(
    connection: CDPConnection, session: str, follower: Follower, method: str, params: Mapping[str, Any]
) -> None:
    """Send an input event and wait until the page has handled it, or a dialog opened.

    Raises:
        SandboxError: the browser is gone.
    """
    loop = asyncio.get_running_loop()
    future = connection.send(method, params, session)
    try:
        async with asyncio.timeout(None) as ceiling:
            # A tab that the event opens may swallow the answer together with the focus; so may the next document.
            follower.on_turn = lambda: ceiling.reschedule(loop.time() + ACK_CEILING_S)
            await follower.unless_dialog(future)
        follower.interrupted = None if future.done() else future
    except TimeoutError:
        return
    except ConnectionLostError as error:
        raise SandboxError(Failure.INFRASTRUCTURE, str(error)) from error
    except CDPError:
        # The target went away while it handled the event (the page closed itself, or its process was swapped): who
        # reads the page next finds out what became of it.
        return
    finally:
        follower.on_turn = _nothing


async def finish_input(follower: Follower) -> None:
    """Wait until the page has handled the input that a dialog interrupted, or opens another dialog.

    What the page does with the dialog's answer, such as to submit a form, it does before that.
    """
    future = follower.interrupted
    if future is None:
        return
    with contextlib.suppress(TimeoutError, CDPError):
        async with asyncio.timeout(ACK_CEILING_S):
            await follower.unless_dialog(future)
    if follower.dialog is None:
        follower.interrupted = None


def _nothing() -> None:
    return
