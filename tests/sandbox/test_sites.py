"""The episode's proxy: its own sites answer, everything else is refused."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from milepost.sandbox.events import AppChanged, Fact, Requested, Responded, Source
from milepost.sandbox.sites import MAX_BODY_BYTES, Site, SiteProxy
from tests.sandbox.conftest import build_site

Facts = list[tuple[Source, Fact]]


@pytest.fixture
def facts() -> Facts:
    return []


@pytest.fixture
async def port(facts: Facts) -> AsyncIterator[int]:
    proxy = SiteProxy({"shop.test": build_site()}, lambda source, fact: facts.append((source, fact)))
    yield await proxy.open()
    await proxy.close()


async def ask(port: int, request: str, body: bytes = b"") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.replace("\n", "\r\n").encode() + body)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer


async def test_a_site_of_the_episode_answers(port: int, facts: Facts) -> None:
    answer = await ask(port, "GET http://shop.test/two HTTP/1.1\nHost: shop.test\nConnection: close\n\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"<a href='/'>Home</a>")
    assert facts == [
        (Source.PROXY, Requested(method="GET", url="http://shop.test/two", allowed=True)),
        (Source.PROXY, Responded(method="GET", url="http://shop.test/two", status=200)),
    ]


async def test_a_sites_record_becomes_a_fact_of_its_server(port: int, facts: Facts) -> None:
    await ask(
        port,
        "POST http://shop.test/api HTTP/1.1\nHost: shop.test\nContent-Length: 1\nConnection: close\n\n",
        b"x",
    )
    assert (Source.SERVER, AppChanged(app="shop", change="order.placed", data={"amount": "1"})) in facts


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.test/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://shop.test:8080/",
        "http://shop.test@evil.test/",
        "https://shop.test/",
        "ftp://shop.test/",
        "/two",
    ],
)
async def test_every_other_target_is_refused_and_recorded(port: int, facts: Facts, target: str) -> None:
    answer = await ask(port, f"GET {target} HTTP/1.1\nHost: shop.test\nConnection: close\n\n")
    assert answer.startswith(b"HTTP/1.1 403")
    assert facts[0] == (Source.PROXY, Requested(method="GET", url=target, allowed=False))


async def test_a_site_that_raises_answers_with_an_error_and_its_fault_is_noted_once(
    facts: Facts, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        raise KeyError("rom")

    broken = Site(app="shop", build=lambda recorder: app)
    proxy = SiteProxy({"shop.test": broken}, lambda source, fact: facts.append((source, fact)))
    port = await proxy.open()
    for _ in range(2):
        answer = await ask(port, "GET http://shop.test/two HTTP/1.1\nHost: shop.test\nConnection: close\n\n")
        assert answer.startswith(b"HTTP/1.1 500")
        assert answer.endswith(b"Internal Server Error")
    (fault,) = proxy.faults
    assert fault.startswith("GET http://shop.test/two: KeyError: 'rom' (sandbox/test_sites.py, line ")
    assert caplog.messages == [f"a site of the task is broken: {fault}"]
    assert facts[1] == (Source.PROXY, Responded(method="GET", url="http://shop.test/two", status=500))
    proxy.build({"shop.test": build_site()})
    assert list(proxy.faults) == []
    await proxy.close()


async def test_a_tunnel_is_refused(port: int) -> None:
    answer = await ask(port, "CONNECT shop.test:443 HTTP/1.1\nHost: shop.test:443\nConnection: close\n\n")
    assert answer.startswith(b"HTTP/1.1 403")


async def test_a_body_that_is_too_large_is_refused(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST http://shop.test/api HTTP/1.1\r\nHost: shop.test\r\nContent-Length: {MAX_BODY_BYTES + 9}\r\n\r\n"
    writer.write(head.encode())
    writer.write(b"x" * (MAX_BODY_BYTES + 9))
    assert (await asyncio.wait_for(reader.read(12), 10)) == b"HTTP/1.1 413"
    writer.close()


async def test_nonsense_closes_the_connection_and_hurts_nobody(port: int) -> None:
    assert await ask(port, "\x00\x01 nonsense\n\n") == b""
    assert (
        await ask(port, "GET http://shop.test/ HTTP/1.1\nHost: shop.test\nConnection: close\n\n")
    ).startswith(b"HTTP/1.1 200")
