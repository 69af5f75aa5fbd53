"""The connection, against a small server of its own that speaks the protocol."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
import pytest
from websockets.asyncio.server import Server, ServerConnection, serve

from milepost.sandbox.cdp import CDPConnection, CDPError, ConnectionLostError


async def _talk(socket: ServerConnection) -> None:
    async for raw in socket:
        message = orjson.loads(raw)
        match message["method"]:
            case "echo":
                answer: dict[str, Any] = {"id": message["id"], "result": message["params"]}
            case "fail":
                answer = {"id": message["id"], "error": {"message": "no such thing"}}
            case "end":
                ended = {
                    "method": "Target.detachedFromTarget",
                    "params": {"sessionId": message["params"]["of"]},
                }
                await socket.send(orjson.dumps(ended).decode())
                answer = {"id": message["id"], "result": {}}
            case "ponder":
                continue
            case "hang up":
                await socket.close()
                return
            case _:
                event = {"method": "happened", "params": {"n": 1}, "sessionId": message["sessionId"]}
                await socket.send(orjson.dumps(event).decode())
                answer = {"id": message["id"], "result": {}}
        await socket.send(orjson.dumps(answer).decode())


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serve(_talk, "127.0.0.1", 0) as server:
        yield server


@pytest.fixture
async def connection(server: Server) -> AsyncIterator[CDPConnection]:
    port = next(iter(server.sockets)).getsockname()[1]
    connection = await CDPConnection.open(f"ws://127.0.0.1:{port}")
    yield connection
    await connection.close()


async def test_answers_find_their_commands(connection: CDPConnection) -> None:
    answers = await asyncio.gather(*(connection.send("echo", {"n": n}) for n in range(5)))
    assert answers == [{"n": n} for n in range(5)]


async def test_a_refusal_carries_the_browsers_words(connection: CDPConnection) -> None:
    with pytest.raises(CDPError, match="no such thing"):
        await connection.send("fail")


async def test_events_go_to_the_handler_of_their_session(connection: CDPConnection) -> None:
    seen: list[tuple[str, Mapping[str, Any]]] = []
    connection.on("a", lambda method, params: seen.append((method, params)))
    await connection.send("poke", session="a")
    await connection.send("poke", session="b")
    assert seen == [("happened", {"n": 1})]
    connection.off("a")
    await connection.send("poke", session="a")
    assert len(seen) == 1


async def test_a_lost_connection_fails_what_waits_and_tells_every_session(connection: CDPConnection) -> None:
    told: list[str] = []
    connection.on("a", lambda method, params: told.append(method))
    with pytest.raises(ConnectionLostError):
        await connection.send("hang up")
    assert connection.closed
    assert told == ["Inspector.detached"]
    with pytest.raises(ConnectionLostError):
        await connection.send("echo")


async def test_what_a_session_was_asked_fails_when_it_ends(connection: CDPConnection) -> None:
    asked, other = connection.send("ponder", session="a"), connection.send("ponder", session="b")
    await connection.send("end", {"of": "a"})
    with pytest.raises(CDPError, match="the tab is gone"):
        await asked
    assert not other.done()


async def test_nobody_hears_of_a_posted_command_that_is_refused(connection: CDPConnection) -> None:
    connection.post("fail")
    assert await connection.send("echo", {"n": 1}) == {"n": 1}
