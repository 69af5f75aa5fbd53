"""A real HTTP server on a port of this machine, whose answers a test scripts."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A request."""

    path: str
    body: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response: an object becomes JSON, bytes stay as they are."""

    body: Any = field(default_factory=dict)
    status: int = 200


class WebServer:
    """Serves inside `with`, and keeps what it heard."""

    def __init__(self, answer: Callable[[Heard, int], Answer]) -> None:
        """Answer each request by a function of the request and its number, from 0."""
        self.heard: list[Heard] = []
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._serve()

            def do_POST(self) -> None:
                self._serve()

            def _serve(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length", 0)))
                one = Heard(path=self.path, body=json.loads(raw or b"null"), headers=dict(self.headers))
                heard.append(one)
                reply = answer(one, len(heard) - 1)
                data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
