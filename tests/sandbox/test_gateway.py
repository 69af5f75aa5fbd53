"""The way out, with a server of our own in the place of the world."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from milepost.sandbox.events import Requested, Responded
from milepost.sandbox.gateway import Gateway
from milepost.sandbox.pool import Pool
from milepost.sandbox.world import World

PAGE = b"<title>Live</title><h1>Live page</h1><a href='http://closed.test/'>Away</a>"


@pytest.mark.parametrize(
    ("netloc", "scheme", "allowed"),
    [
        ("example.com", "http", True),
        ("EXAMPLE.com:80", "http", True),
        ("example.com:443", "https", True),
        ("example.com:8080", "http", False),
        ("sub.example.com", "http", False),
        ("a.shop.test", "https", True),
        ("shop.test", "https", False),
        ("evilshop.test", "https", False),
        ("localhost:3000", "http", True),
        ("localhost", "http", False),
        ("example.com@evil.test", "http", False),
        ("", "http", False),
        ("127.0.0.1", "http", False),
    ],
)
def test_only_named_hosts_are_reached(netloc: str, scheme: str, allowed: bool) -> None:
    gateway = Gateway(hosts=("example.com", "*.shop.test", "localhost:3000"))
    assert gateway.allows(netloc, scheme=scheme) is allowed


def test_without_hosts_there_is_no_way_out() -> None:
    assert not Gateway(hosts=()).allows("example.com", scheme="http")


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    moved = head.startswith(b"GET /moved")
    status = b"302 Found\r\nlocation: /" if moved else b"200 OK\r\ncontent-type: text/html"
    body = b"" if moved else PAGE
    writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()
    writer.close()


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield int(server.sockets[0].getsockname()[1])
    server.close()


async def test_redirects_are_left_to_the_browser(port: int) -> None:
    url = f"http://127.0.0.1:{port}/moved"
    status, headers, _ = await Gateway(hosts=()).fetch("GET", url, [(b"host", b"x"), (b"te", b"x")], b"")
    assert status == 302
    assert (b"location", b"/") in headers


async def test_a_server_that_is_not_there_is_answered_for() -> None:
    status, _, body = await Gateway(hosts=()).fetch("GET", "http://127.0.0.1:9/", [], b"")
    assert status == 502
    assert b"127.0.0.1:9 cannot be reached" in body


async def test_an_endless_answer_is_cut(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("milepost.sandbox.gateway.MAX_ANSWER_BYTES", 10)
    status, _, body = await Gateway(hosts=()).fetch("GET", f"http://127.0.0.1:{port}/", [], b"")
    assert status == 502
    assert body.endswith(b"is larger than 10 bytes")


async def test_a_tunnel_joins_two_connections(port: int) -> None:
    gateway = Gateway(hosts=())

    async def dig(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gateway.dig(f"127.0.0.1:{port}", reader, writer)
        writer.close()

    proxy = await asyncio.start_server(dig, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*proxy.sockets[0].getsockname()[:2])
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 Connection established\r\n\r\n"
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert (await reader.read()).endswith(PAGE)
    writer.close()
    proxy.close()


@pytest.mark.browser
async def test_an_episode_visits_its_live_host_and_no_other(port: int, pool: Pool) -> None:
    world = World(
        task="live",
        seed=0,
        split="train",
        goal="look",
        start_url=f"http://127.0.0.1:{port}/",
        sites={},
        live=(f"127.0.0.1:{port}",),
    )
    async with pool.session(world) as (session, view):
        assert view.find("heading", "Live page")
        view = await session.step(f'goto("http://127.0.0.1:{port}/moved")')
        assert view.url == f"http://127.0.0.1:{port}/"
        view = await session.step(f'click("{view.find("link", "Away")}")')
        assert view.find("heading", "Live page") is None
        view = await session.step('goto("http://closed.test/")')
        assert f"its sites: 127.0.0.1:{port}" in view.last_error
        requested = [e.fact for e in session.log.events if isinstance(e.fact, Requested)]
        assert {(r.url.split("/")[2], r.allowed) for r in requested} >= {
            (f"127.0.0.1:{port}", True),
            ("closed.test", False),
        }
        assert 302 in [e.fact.status for e in session.log.events if isinstance(e.fact, Responded)]
