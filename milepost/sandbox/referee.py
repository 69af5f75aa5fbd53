"""Pages that keep score themselves: benchmarks whose own script draws the task and says how it went.

Such a page is asked a question, its `referee` expression, when it has opened and again after every action. The
question is evaluated in the page's own world, where the page's rules live, and so its answer is only what the
page says: it enters the log as a fact of page level. Asking also gives the page its turn, in which time passes.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from milepost.sandbox.cdp import CDPError, ConnectionLostError, ScriptError
from milepost.sandbox.events import PageScored, Source
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.log import EventLog
from milepost.sandbox.page import Page
from milepost.sandbox.tabs import Sight, Tabs


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What a page answered."""

    goal: str
    """What it asks for, in words."""
    scored: PageScored | None
    """How it went, once: in the first answer after the page ended its own episode."""


async def consult(page: Page, referee: str) -> Ruling | None:
    """Give a page its turn and hear what it says; None from a document that knows no such question.

    Raises:
        SandboxError: the page's own rules broke.
    """
    try:
        answer = await page.evaluate(referee, own=True)
    except ConnectionLostError as error:
        raise SandboxError(Failure.INFRASTRUCTURE, str(error)) from error
    except ScriptError as error:
        raise SandboxError(Failure.TASK, f"the page's own rules broke: {error}") from error
    except CDPError:
        # The document went away under the question.
        return None
    return _read(page.tab, answer) if isinstance(answer, Mapping) else None


async def open_match(page: Page, referee: str) -> str:
    """Wait for the start page, let it draw its task, and give its goal.

    Raises:
        SandboxError: the page has no rules, or they broke.
    """
    await page.read()
    ruling = await consult(page, referee)
    if ruling is None:
        raise SandboxError(Failure.TASK, "the start page does not keep score: its referee gave no answer")
    # What it showed before it drew its task has no part in the numbers of its elements.
    await page.call("forget")
    return ruling.goal


async def read_in_turn(tabs: Tabs, referee: str, log: EventLog) -> Sight:
    """Read the settled tab; a page that keeps score itself has its turn before.

    Args:
        tabs: the episode's.
        referee: the question; empty for pages that keep no score.
        log: takes what the page says.

    Raises:
        SandboxError: the tab does not answer, or the page's own rules broke.
    """
    page = tabs.active
    if not referee:
        return await tabs.read()
    page.forget_look()
    if not page.idle:
        sight = await tabs.read()
        if sight.after is None:
            return sight
        _hear(await consult(tabs.active, referee), log)
        again = await tabs.read()
        return replace(again, before=sight.before) if again.tab == sight.tab else again
    # Both questions at once: the page answers them one after the other, its turn first.
    turn = asyncio.create_task(consult(page, referee))
    try:
        await asyncio.sleep(0)
        sight = await tabs.read()
        _hear(await turn, log)
    finally:
        turn.cancel()
    return sight


def _hear(ruling: Ruling | None, log: EventLog) -> None:
    if ruling is not None and ruling.scored is not None:
        log.note(Source.PAGE, ruling.scored)


def _read(tab: int, answer: Mapping[str, Any]) -> Ruling:
    score = answer["score"]
    scored = None if score is None else PageScored(tab=tab, score=_write(score), reason=str(answer["reason"]))
    return Ruling(goal=str(answer["goal"]), scored=scored)


def _write(score: float) -> str:
    """Write a score as a fact holds it: facts have no floats, and every number one notation."""
    return str(int(score)) if score == int(score) else repr(float(score))
