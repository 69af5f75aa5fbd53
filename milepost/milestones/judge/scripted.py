"""A server that plays a judge from a script: for tests and for work offline. No model is behind it.

It speaks the chat-completions interface over HTTP on the loopback. What it answers is what its script says, so a
run that was judged by it has been judged by a script; the model's name begins with `scripted` to say so.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import h11

MODEL = "scripted"
"""What the name of a scripted judge's model begins with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What the server does with one request."""

    content: str | None = ""
    """Text of the reply; None leaves it out, as a refusal does."""
    finish: str = "stop"
    status: int = 200
    wait_s: float = 0.0
    """Seconds before anything is sent."""
    cut: bool = False
    """Close the connection in the middle of the reply."""
    message: Mapping[str, Any] = field(default_factory=dict)
    """More fields of the message, such as `refusal`."""


Script = Callable[[Mapping[str, Any], int], Act]
"""From the request's JSON and its number, from 0, to what is done."""


class ScriptedJudgeServer:
    """Serves a script. Open it with `async with`; its address is `url`."""

    def __init__(self, script: Script, *, key: str = "") -> None:
        """Take the script.

        Args:
            script: what is answered.
            key: the key that callers must have; any will do when empty.
        """
        self._script = script
        self._key = key
        self._server: asyncio.Server | None = None
        self._closing = asyncio.Event()
        self._handlers: set[asyncio.Task[None] | None] = set()
        self.requests: list[Mapping[str, Any]] = []
        """What was asked, in order."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._closing.set()
        if handlers := {task for task in self._handlers if task is not None}:
            await asyncio.wait(handlers, timeout=1.0)

    @property
    def url(self) -> str:
        """The base address, for `Endpoint.url`."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.current_task()
        self._handlers.add(handler)
        try:
            with suppress(ConnectionError, h11.RemoteProtocolError):
                await self._answer(reader, writer)
        finally:
            writer.close()
            self._handlers.discard(handler)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        request, body = await _receive(connection, reader)
        if request is None:
            return
        act = self._choose(request, body)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), act.wait_s)
        payload = _render(act)
        headers = [("content-type", "application/json"), ("content-length", str(len(payload)))]
        writer.write(connection.send(h11.Response(status_code=act.status, headers=headers)) or b"")
        writer.write(payload[: len(payload) // 2] if act.cut else payload)
        await writer.drain()

    def _choose(self, request: h11.Request, body: bytes) -> Act:
        headers = dict(request.headers)
        if not request.target.endswith(b"/v1/chat/completions"):
            return Act(status=404)
        if self._key and headers.get(b"authorization") != f"Bearer {self._key}".encode():
            return Act(status=401)
        asked = json.loads(body)
        self.requests.append(asked)
        return self._script(asked, len(self.requests) - 1)


async def _receive(
    connection: h11.Connection, reader: asyncio.StreamReader
) -> tuple[h11.Request | None, bytes]:
    request: h11.Request | None = None
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(65536)
            connection.receive_data(data)
            if not data and request is None:
                return None, b""
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        else:
            return request, body


def _render(act: Act) -> bytes:
    if act.status != 200:
        return json.dumps({"error": {"message": f"scripted status {act.status}"}}).encode()
    message = {"role": "assistant", "content": act.content, **act.message}
    choice = {"index": 0, "message": message, "finish_reason": act.finish}
    return json.dumps({"choices": [choice], "usage": {"total_tokens": 100}}).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A question as the server reads it back out of its messages."""

    nonce: str
    claims: Mapping[str, str]
    """Claim by label."""
    facts: Mapping[str, Mapping[str, Any]]
    """Fact by id."""


def hear(request: Mapping[str, Any]) -> Heard:
    """Read a question's nonce, claims and facts out of a request."""
    nonce, claims, facts, inside = "", {}, {}, False
    for line in request["messages"][-1]["content"].split("\n"):
        if line.startswith("--- FACTS"):
            inside = line.endswith("begin ---")
        elif inside:
            fact = json.loads(line)
            facts[fact["id"]] = fact
        elif line.startswith("nonce: "):
            nonce = line.removeprefix("nonce: ")
        elif line.startswith("Q") and ": " in line:
            label, _, claim = line.partition(": ")
            claims[label] = json.loads(claim)
    return Heard(nonce=nonce, claims=claims, facts=facts)


def reply_to(heard: Heard, findings: Mapping[str, tuple[str, tuple[str, ...]]], **changes: Any) -> str:
    """Write a valid reply.

    Args:
        heard: the question.
        findings: by claim, the finding and the cited ids; claims about a fact's kind are answered from the facts,
            any other claim that is not named cannot be determined.
        changes: fields of the reply that are to be otherwise.
    """
    verdicts = []
    for label, claim in heard.claims.items():
        finding, cited = findings.get(claim) or _look_up(heard, claim)
        verdicts.append({"id": label, "observations": list(cited), "reason": "scripted", "finding": finding})
    reply = {
        "nonce": heard.nonce,
        "verdicts": verdicts,
        "uncontrollable": [],
        "suspected_injection": False,
        **changes,
    }
    return json.dumps(reply)


def compare_quotes(request: Mapping[str, Any], number: int) -> Act:
    """Say `met` to every claim if the agent's words hold all that the task's truth puts in quotes.

    Its words are its answer, or else what it sent; without words any fact will do. A script for trying runs out
    offline, no judgement: it knows neither what a claim asks nor what a text means.
    """
    heard = hear(request)
    truths = [str(fact["data"]["text"]) for fact in heard.facts.values() if fact["kind"] == "truth"]
    wanted = {quoted.casefold() for text in truths for quoted in re.findall(r'"([^"]+)"', text)}
    done = {key: fact for key, fact in heard.facts.items() if fact["kind"] != "truth"}
    fit = [key for key, fact in done.items() if _holds_all(fact["data"], wanted)]
    said = [key for key, fact in done.items() if fact["kind"] == "answer_given"] or [
        key for key, fact in done.items() if "text" in fact["data"].get("data", {})
    ]
    if said and said[-1] not in fit:
        fit = []
    finding = ("met", tuple(fit)) if fit else ("not_met", tuple(done)[-1:])
    claims = {claim for claim in heard.claims.values() if not claim.startswith("The fact ")}
    return Act(content=reply_to(heard, dict.fromkeys(claims, finding)))


def _holds_all(data: Mapping[str, Any], wanted: set[str]) -> bool:
    text = json.dumps(data, ensure_ascii=False).casefold()
    return all(quoted in text for quoted in wanted)


def _look_up(heard: Heard, claim: str) -> tuple[str, tuple[str, ...]]:
    words = claim.rstrip(".").split()
    if claim.startswith("The fact ") and " is of kind " in claim and words[2] in heard.facts:
        right = heard.facts[words[2]]["kind"] == words[-1]
        return ("met" if right else "not_met"), (words[2],)
    return "cannot_determine", ()
