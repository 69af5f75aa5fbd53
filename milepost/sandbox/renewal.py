"""Episodes that begin in the document of another: a page that keeps score is asked for its next problem.

Such a page needs no new context, no servers' answers and no loading, if nothing is left of the episode before it. Whether
that is so is read from its log: an episode whose facts are all of the harmless kinds below has opened nothing, loaded
nothing and stored nothing. What was witnessed of the document when it opened is still true of it, so the next log begins with
the same facts, and is the log that a fresh context would have given (decision record 0030).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from milepost.sandbox.events import (
    ActionTaken,
    AnswerGiven,
    AppChanged,
    Clicked,
    DialogClosed,
    DialogOpened,
    DomContentLoaded,
    ElementAppeared,
    ElementChanged,
    ElementDisappeared,
    EpisodeEnded,
    EpisodeStarted,
    Fact,
    Filled,
    Focused,
    InfeasibleReported,
    NavigationCompleted,
    PageScored,
    Requested,
    Responded,
    Selected,
    Source,
    Submitted,
    TextExtracted,
    TitleChanged,
    Toggled,
    Validated,
)
from milepost.sandbox.log import EventLog
from milepost.sandbox.world import World

MAX_RENEWALS = 200
"""Episodes in one document, before its scripts' leftovers fill the memory."""

_OPENING = (Requested, Responded, AppChanged, DomContentLoaded, NavigationCompleted)
"""What is witnessed of a document while it opens."""

_HARMLESS = (
    ActionTaken,
    AnswerGiven,
    Clicked,
    ElementAppeared,
    ElementChanged,
    ElementDisappeared,
    EpisodeEnded,
    EpisodeStarted,
    Filled,
    Focused,
    InfeasibleReported,
    PageScored,
    Selected,
    Submitted,
    TextExtracted,
    Toggled,
    Validated,
)
"""Facts that leave nothing behind which a page's next problem does not replace."""


def find_opening(log: EventLog, before: World, after: World) -> tuple[tuple[Source, Fact], ...] | None:
    """Give the facts of the document's opening; None when the next episode needs a fresh one.

    Args:
        log: of the episode that is over.
        before: its world.
        after: the world of the next.
    """
    if not after.again or not _are_alike(before, after):
        return None
    late = [(source, fact) for source, fact in log.pending if not _is_harmless(source, fact)]
    later = [e for e in log.events if e.step and not _is_harmless(e.source, e.fact)]
    first = [e for e in log.events if e.step == 0]
    opening = tuple((e.source, e.fact) for e in first if isinstance(e.fact, _OPENING))
    strange = [
        e
        for e in first
        if not isinstance(e.fact, (*_OPENING, TitleChanged)) and not _is_harmless(e.source, e.fact)
    ]
    return None if late or later or strange or _count_documents(opening) != 1 else opening


def _count_documents(opening: Sequence[tuple[Source, Fact]]) -> int:
    return sum(isinstance(fact, NavigationCompleted) for _, fact in opening)


def _is_harmless(source: Source, fact: Fact) -> bool:
    # What a page draws as a dialog is a part of it; what the browser opens blocks it.
    drawn = isinstance(fact, DialogOpened | DialogClosed) and source is Source.PAGE
    return drawn or isinstance(fact, _HARMLESS)


def _are_alike(before: World, after: World) -> bool:
    """Whether two worlds differ in what their page can be told only."""
    if before.storage is not None or before.traffic or before.sites.keys() != after.sites.keys():
        return False
    plain: dict[str, Any] = {"seed": 0, "split": "", "goal": "", "sites": {}, "again": ""}
    return replace(before, **plain) == replace(after, **plain)
