"""Which requests are waited for, and which answers make a page be read again."""

import pytest

from milepost.sandbox.events import Requested, Responded
from milepost.sandbox.pool import Pool
from milepost.sandbox.requests import Requests
from tests.sandbox.conftest import build_world


def begin(requests: Requests, kind: str) -> None:
    requests.begin({"requestId": kind, "type": kind})


@pytest.mark.parametrize("kind", ["Fetch", "XHR"])
def test_a_scripts_request_is_waited_for_and_its_answer_read(kind: str) -> None:
    requests = Requests()
    begin(requests, kind)
    assert (requests.fetching, requests.outstanding, requests.answered) == (True, True, False)
    requests.end({"requestId": kind}, loading=True)
    assert (requests.outstanding, requests.answered) == (False, True)
    assert (requests.take(), requests.take(), requests.answered) == (True, False, False)


@pytest.mark.parametrize("kind", ["Image", "Stylesheet", "Script", "Font"])
@pytest.mark.parametrize("loading", [True, False])
def test_a_part_is_waited_for_and_read_if_it_comes_after_its_document(kind: str, loading: bool) -> None:
    requests = Requests()
    begin(requests, kind)
    assert (requests.fetching, requests.outstanding) == (False, True)
    requests.end({"requestId": kind}, loading=loading)
    assert (requests.outstanding, requests.answered) == (False, not loading)
    assert (requests.take(), requests.answered) == (False, False)


@pytest.mark.parametrize("kind", ["Media", "EventSource", "WebSocket", "Ping", "Document", "Other"])
def test_what_may_never_end_is_not_waited_for(kind: str) -> None:
    requests = Requests()
    begin(requests, kind)
    requests.end({"requestId": kind}, loading=False)
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


DRAWN = """<title>x</title><style>.late { background: url(/slow) }</style><button onclick="p.className = 'late'">Go</button>
<p id=p>text</p>"""


@pytest.mark.browser
@pytest.mark.parametrize("page_time_ms", [None, 500])
async def test_a_picture_of_the_style_is_asked_for_and_answered_in_the_step_that_shows_it(
    pool: Pool, page_time_ms: int | None
) -> None:
    world = build_world({"/drawn": DRAWN}, "/drawn", page_time_ms=page_time_ms)
    async with pool.session(world) as (session, view):
        before = len(session.log.events)
        await session.step(f'click("{view.find("button", "Go")}")')
        facts = [event.fact for event in session.log.events[before:]]
        assert len([fact for fact in facts if isinstance(fact, Requested)]) == 1
        assert len([fact for fact in facts if isinstance(fact, Responded)]) == 1
        assert session.settled
