"""The chain: what was written is what is read, or an error names the line."""

from pathlib import Path

import orjson
import pytest

from milepost.sandbox.events import (
    FACT_TYPES,
    GENESIS,
    Clicked,
    EpisodeEnded,
    EpisodeStarted,
    EventFormatError,
    Fact,
    FileCreated,
    NavigationCompleted,
    Requested,
    Responded,
    Source,
    Trust,
    from_record,
    to_record,
)
from milepost.sandbox.log import EventLog, LogError, read_log, write_log


def build_log() -> EventLog:
    log = EventLog()
    log.note(Source.SESSION, EpisodeStarted(task="t", seed=1, split="train", goal="g"))
    log.commit(0)
    log.note(Source.FILES, FileCreated(path="a", size=1, sha256="00"))
    log.note(Source.BROWSER, NavigationCompleted(tab=0, url="http://a.test/"))
    log.note(Source.INPUT, Clicked(tab=0, role="button", name="Go"))
    log.commit(1)
    log.note(Source.SESSION, EpisodeEnded(reason="goal"))
    log.commit(1)
    return log


def test_a_steps_facts_are_ordered_by_instrument_whatever_their_arrival() -> None:
    kinds = [event.kind for event in build_log().events]
    assert kinds == ["episode_started", "clicked", "navigation_completed", "file_created", "episode_ended"]


def test_events_are_chained_and_carry_the_trust_of_their_instrument() -> None:
    events = build_log().events
    assert events[0].prev == GENESIS
    assert [e.prev for e in events[1:]] == [e.hash for e in events[:-1]]
    assert [e.trust for e in events] == [
        Trust.HARNESS,
        Trust.BROWSER,
        Trust.BROWSER,
        Trust.HARNESS,
        Trust.HARNESS,
    ]


def test_the_hash_of_a_log_is_the_same_everywhere() -> None:
    assert build_log().head == "e71f85ae8155d22d26552743cdae2e15db549d231ed654b09da457ac20d22edc"


def test_every_kind_survives_a_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_log(build_log().events, path)
    assert read_log(path) == list(build_log().events)


def test_kinds_are_named_after_their_class() -> None:
    assert "dom_content_loaded" in FACT_TYPES
    assert len(FACT_TYPES) == 37


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:-1], "does not end with episode_ended"),
        (lambda lines: lines[:1] + lines[2:], "event 2 does not follow event 0"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "does not follow"),
        (lambda lines: [lines[0].replace(b'"seed":1', b'"seed":2'), *lines[1:]], "was altered"),
        (lambda lines: [lines[0][:40], *lines[1:]], "not an event"),
    ],
)
def test_a_damaged_log_is_detected(tmp_path: Path, change: object, message: str) -> None:
    path = tmp_path / "events.jsonl"
    write_log(build_log().events, path)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join(change(lines)) + b"\n")  # type: ignore[operator]
    with pytest.raises(LogError, match=message):
        read_log(path)


def test_an_unknown_kind_is_refused_by_name() -> None:
    record = orjson.loads(orjson.dumps(to_record(build_log().events[0]))) | {"kind": "teleported"}
    with pytest.raises(EventFormatError, match="unknown event kind 'teleported'"):
        from_record(record)


def test_requests_of_a_step_stand_in_the_order_of_their_urls() -> None:
    facts: list[Fact] = [
        Requested(method="GET", url="http://a.test/z.js", allowed=True),
        Requested(method="GET", url="http://a.test/a.css", allowed=True),
        Responded(method="GET", url="http://a.test/z.js", status=200),
        Responded(method="GET", url="http://a.test/a.css", status=200),
    ]
    heads = set()
    for order in ((0, 1, 2, 3), (1, 0, 3, 2), (0, 2, 1, 3), (1, 3, 0, 2)):
        log = EventLog()
        for place in order:
            log.note(Source.PROXY, facts[place])
        assert [event.fact for event in log.commit(0)] == [facts[1], facts[3], facts[0], facts[2]]
        heads.add(log.head)
    assert len(heads) == 1
