import asyncio
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from milepost.envs.task import Task
from milepost.sandbox.sites import ASGIApp


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One episode's only site, called without a browser or a network."""

    app: ASGIApp
    records: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def get(self, target: str) -> Answer:
        return self.call("GET", target, b"")

    def post(self, target: str, body: bytes) -> Answer:
        return self.call("POST", target, body)

    def call(self, method: str, target: str, body: bytes) -> Answer:
        parts = urlsplit(target)
        sent: list[MutableMapping[str, Any]] = []
        scope = {
            "type": "http",
            "method": method,
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "scheme": "http",
            "server": ("site.test", 80),
            "headers": [(b"host", b"site.test")],
        }

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        asyncio.run(self.app(scope, receive, send))  # type: ignore[arg-type]
        headers = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
        return Answer(
            status=sent[0]["status"], headers=headers, body=b"".join(m.get("body", b"") for m in sent[1:])
        )


@pytest.fixture
def visit() -> Callable[[Task], Visit]:
    def open_site(task: Task) -> Visit:
        (site,) = task.sites.values()
        records: list[tuple[str, Mapping[str, Any]]] = []
        return Visit(app=site.build(lambda change, data: records.append((change, data))), records=records)

    return open_site
