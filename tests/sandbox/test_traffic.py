"""The archive: what the proxy saw, in the form that HAR 1.2 prescribes."""

from collections.abc import Mapping
from typing import Any

import pytest

from milepost.sandbox.pool import Pool
from milepost.sandbox.traffic import MAX_EXCHANGES, MAX_TEXT_BYTES, Exchange, Traffic
from tests.sandbox.conftest import build_world

REQUIRED: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "entry": {
        "startedDateTime": str,
        "time": (int, float),
        "request": dict,
        "response": dict,
        "cache": dict,
        "timings": dict,
    },
    "request": {
        "method": str,
        "url": str,
        "httpVersion": str,
        "cookies": list,
        "headers": list,
        "queryString": list,
        "headersSize": int,
        "bodySize": int,
    },
    "response": {
        "status": int,
        "statusText": str,
        "httpVersion": str,
        "cookies": list,
        "headers": list,
        "content": dict,
        "redirectURL": str,
        "headersSize": int,
        "bodySize": int,
    },
    "content": {"size": int, "mimeType": str},
    "timings": {"send": (int, float), "wait": (int, float), "receive": (int, float)},
}
"""The members that the specification does not call optional, and their types."""


def check(har: Mapping[str, Any]) -> None:
    log = har["log"]
    assert log["version"] == "1.2"
    assert set(log["creator"]) == {"name", "version"}
    for entry in log["entries"]:
        parts = {"entry": entry, "request": entry["request"], "response": entry["response"]}
        parts |= {"content": entry["response"]["content"], "timings": entry["timings"]}
        for kind, members in REQUIRED.items():
            for member, type_ in members.items():
                assert isinstance(parts[kind][member], type_), (kind, member)


def exchange(**changes: Any) -> Exchange:
    plain: dict[str, Any] = {
        "method": "GET",
        "url": "http://shop.test/a?q=tea&q=&n=1",
        "asked": [(b"Cookie", b"a=1; b=x=y")],
        "sent": b"",
        "status": 200,
        "answered": [(b"Content-Type", b"text/plain"), (b"set-cookie", b"s=1; Path=/; HttpOnly")],
        "content": b"hello",
        "began_s": 1_767_603_600.25,
        "took_ms": 12.5,
    }
    return Exchange(**(plain | changes))


def archive(*exchanges: Exchange) -> dict[str, Any]:
    traffic = Traffic()
    for one in exchanges:
        traffic.add(one)
    har = traffic.to_har(version="1")
    check(har)
    return har


def test_an_exchange_becomes_an_entry() -> None:
    entry = archive(exchange())["log"]["entries"][0]
    assert entry["startedDateTime"] == "2026-01-05T09:00:00.250Z"
    assert entry["time"] == 12.5
    assert entry["request"]["queryString"] == [
        {"name": "q", "value": "tea"},
        {"name": "q", "value": ""},
        {"name": "n", "value": "1"},
    ]
    assert entry["request"]["cookies"] == [{"name": "a", "value": "1"}, {"name": "b", "value": "x=y"}]
    assert entry["response"]["content"] == {"size": 5, "mimeType": "text/plain", "text": "hello"}
    cookie = {"name": "s", "value": "1", "path": "/", "httpOnly": True, "secure": False}
    assert entry["response"]["cookies"] == [cookie]


def test_what_is_no_text_is_base64_and_what_is_long_is_left_out_and_said() -> None:
    binary, long = archive(exchange(content=b"\xff\x00"), exchange(content=b"x" * (MAX_TEXT_BYTES + 1)))[
        "log"
    ]["entries"]
    assert binary["response"]["content"] == {
        "size": 2,
        "mimeType": "text/plain",
        "text": "/wA=",
        "encoding": "base64",
    }
    assert long["response"]["content"]["comment"] == f"{MAX_TEXT_BYTES + 1} bytes are left out"


def test_a_tunnel_says_that_it_is_one() -> None:
    entry = archive(exchange(method="CONNECT", url="live.test:443", content=b""))["log"]["entries"][0]
    assert entry["request"]["url"] == "https://live.test:443/"
    assert "encrypted" in entry["comment"]


def test_what_is_posted_is_there() -> None:
    asked = [(b"content-type", b"application/x-www-form-urlencoded")]
    entry = archive(exchange(method="POST", asked=asked, sent=b"a=1"))["log"]["entries"][0]
    assert entry["request"]["postData"] == {"mimeType": "application/x-www-form-urlencoded", "text": "a=1"}


def test_a_storm_of_requests_is_counted_and_not_kept() -> None:
    har = archive(*[exchange()] * (MAX_EXCHANGES + 2))
    assert len(har["log"]["entries"]) == MAX_EXCHANGES
    assert har["log"]["comment"] == "2 later exchanges are left out"


@pytest.mark.browser
async def test_an_episodes_traffic_is_an_archive(pool: Pool) -> None:
    async with pool.session(build_world(traffic=True)) as (session, view):
        await session.step(f'click("{view.find("button", "Fetch")}")')
        await session.step(f'click("{view.find("link", "Two")}")')
        assert session.traffic is not None
        har = session.traffic.to_har(version="1")
    check(har)
    asked = [
        (e["request"]["method"], e["request"]["url"], e["response"]["status"]) for e in har["log"]["entries"]
    ]
    slow = ("GET", "http://shop.test/slow", 200)
    home, two = (("GET", f"http://shop.test/{path}", 200) for path in ("", "two"))
    assert [one for one in asked if "favicon" not in one[1]] == [home, slow, slow, slow, two]
    async with pool.session(build_world()) as (session, _):
        assert session.traffic is None
