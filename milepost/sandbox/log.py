"""The append-only log of an episode: hash-chained events, one JSON object a line."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson

from milepost.sandbox.events import (
    GENESIS,
    Event,
    EventFormatError,
    Fact,
    Requested,
    Responded,
    Source,
    Trust,
    canonical,
    chain,
    from_record,
    to_record,
)


class LogError(ValueError):
    """A stored log is not what was written: truncated, altered, or out of order."""


TRUST_OF: dict[Source, Trust] = {
    Source.SESSION: Trust.HARNESS,
    Source.AGENT: Trust.AGENT,
    Source.INPUT: Trust.BROWSER,
    Source.PROXY: Trust.HARNESS,
    Source.SERVER: Trust.HARNESS,
    Source.BROWSER: Trust.BROWSER,
    Source.PAGE: Trust.PAGE,
    Source.FILES: Trust.HARNESS,
}
"""What each instrument's word is worth."""


class EventLog:
    """Collects the facts of a step and appends them in canonical order.

    Instruments report at their own pace (a proxy thread of control, a socket, a file watcher), so the
    order of arrival inside a step is an accident. `commit` sorts a step's facts by instrument, each
    instrument's own order kept, which makes the log of the same actions the same log. A page loads its parts
    side by side, so the proxy's own order is an accident too: its facts are sorted by URL.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._pending: list[tuple[Source, Fact]] = []
        self._order = {source: index for index, source in enumerate(Source)}

    @property
    def events(self) -> Sequence[Event]:
        """Everything committed so far."""
        return self._events

    @property
    def head(self) -> str:
        """Hash of the newest event; it identifies the whole log."""
        return self._events[-1].hash if self._events else GENESIS

    def note(self, source: Source, fact: Fact) -> None:
        """Take a fact into the current step."""
        self._pending.append((source, fact))

    @property
    def pending(self) -> Sequence[tuple[Source, Fact]]:
        """Facts of the current step that are not committed yet."""
        return self._pending

    def commit(self, step: int) -> Sequence[Event]:
        """Append the pending facts as events of `step` and give those."""
        start = len(self._events)
        for source, fact in sorted(self._pending, key=self._place):
            self._events.append(
                chain(
                    fact,
                    seq=len(self._events),
                    step=step,
                    source=source,
                    trust=TRUST_OF[source],
                    prev=self.head,
                )
            )
        self._pending.clear()
        return self._events[start:]

    def _place(self, item: tuple[Source, Fact]) -> tuple[int, str, str]:
        """Say where in its step a fact stands."""
        source, fact = item
        if isinstance(fact, Requested | Responded):
            return self._order[source], fact.url, fact.method
        return self._order[source], "", ""


def write_log(events: Iterable[Event], path: Path) -> None:
    """Write events as JSON lines."""
    path.write_bytes(b"".join(canonical(to_record(event)) + b"\n" for event in events))


def read_log(path: Path) -> list[Event]:
    """Read a stored log and check its chain.

    Raises:
        LogError: the file is truncated, an event was altered, or the order is wrong; names the line.
    """
    events: list[Event] = []
    prev = GENESIS
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line:
            continue
        try:
            record = orjson.loads(line)
            event = from_record(record)
        except (orjson.JSONDecodeError, EventFormatError, TypeError, ValueError) as error:
            raise LogError(f"{path}:{number}: not an event ({error})") from None
        del record["hash"]
        if hashlib.sha256(canonical(record)).hexdigest() != event.hash:
            raise LogError(
                f"{path}:{number}: event {event.seq} was altered: its hash does not match its content"
            )
        if event.prev != prev or event.seq != len(events):
            raise LogError(f"{path}:{number}: event {event.seq} does not follow event {len(events) - 1}")
        prev = event.hash
        events.append(event)
    if not events or events[-1].kind != "episode_ended":
        raise LogError(f"{path}: the log is cut: it does not end with episode_ended")
    return events
