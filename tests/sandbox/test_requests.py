"""Which requests are waited for, and which answers make a page be read again."""

import pytest

from milepost.sandbox.events import Requested, Responded
from milepost.sandbox.pool import Pool
from milepost.sandbox.requests import Requests
from tests.sandbox.conftest import build_world


def begin(requests: Requests, kind: str, loader: str = "loader") -> None:
    requests.begin({"requestId": kind, "type": kind, "loaderId": loader})


@pytest.mark.parametrize("kind", ["Fetch", "XHR"])
def test_a_scripts_request_is_waited_for_and_its_answer_read(kind: str) -> None:
    requests = Requests()
    begin(requests, kind)
    assert (requests.fetching, requests.outstanding, requests.answered) == (True, True, False)
    requests.end({"requestId": kind}, loading=True)
    assert (requests.outstanding, requests.answered) == (False, True)
    assert (requests.take(), requests.take(), requests.answered) == (True, False, False)


@pytest.mark.parametrize("kind", ["Image", "Stylesheet", "Script", "Font", "TextTrack", "Ping", "Other"])
@pytest.mark.parametrize("loading", [True, False])
def test_a_part_is_waited_for_and_read_if_it_comes_after_its_document(kind: str, loading: bool) -> None:
    requests = Requests()
    begin(requests, kind)
    assert (requests.fetching, requests.outstanding) == (False, True)
    requests.end({"requestId": kind}, loading=loading)
    assert (requests.outstanding, requests.answered) == (False, not loading)
    assert (requests.take(), requests.answered) == (False, False)


@pytest.mark.parametrize("kind", ["Media", "EventSource", "WebSocket", "Document", "Script of a worker"])
def test_what_may_never_end_is_not_waited_for(kind: str) -> None:
    requests = Requests()
    begin(requests, kind.split()[0], loader="" if "worker" in kind else "loader")
    requests.end({"requestId": kind.split()[0]}, loading=False)
    assert (requests.outstanding, requests.answered) == (False, False)


def test_what_is_forgiven_stays_unread_and_another_document_has_nothing() -> None:
    requests = Requests()
    begin(requests, "Image")
    begin(requests, "XHR")
    requests.forgive()
    requests.end({"requestId": "XHR"}, loading=False)
    assert (requests.outstanding, requests.answered) == (False, False)
    requests.fetched = requests.parts_came = True
    requests.clear()
    assert not requests.answered


LATE = """<title>x</title><style>.late { background: url(/slow) }</style><p id=p>text</p>
<button onclick="p.className = 'late'">Picture of the style</button>
<button onclick="navigator.sendBeacon('/slow', 'a')">Beacon</button>
<button onclick="document.head.append(Object.assign(document.createElement('link'), {rel: 'prefetch', href: '/slow?'}))">Ahead</button>
<button onclick="new Worker('/slow')">Worker</button>"""


@pytest.mark.browser
@pytest.mark.parametrize("page_time_ms", [None, 500])
async def test_what_a_page_asks_for_late_is_answered_in_the_step_that_asks(
    pool: Pool, page_time_ms: int | None
) -> None:
    world = build_world({"/late": LATE}, "/late", page_time_ms=page_time_ms)
    told = {}
    async with pool.session(world) as (session, view):
        for button in [element for element in view.elements if element.role == "button"]:
            before = len(session.log.events)
            await session.step(f'click("{button.id}")')
            facts = [event.fact for event in session.log.events[before:]]
            told[button.name] = [
                sum(isinstance(fact, kind) for fact in facts) for kind in (Requested, Responded)
            ]
            assert session.settled
    assert told.pop("Worker")
    assert told == {"Picture of the style": [1, 1], "Beacon": [1, 1], "Ahead": [1, 1]}
