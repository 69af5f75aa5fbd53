"""Serves the labelling desk on the loopback, to whoever has the token that stands in the address."""

import hmac
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit

from milepost.training.reward_model.labelling.desk import Desk, DeskError
from milepost.training.reward_model.pairs import PreferenceError

_MOST_BYTES = 10_000
"""A longer form is refused."""


class LabelServer:
    """The desk behind an address such as `http://127.0.0.1:40123/TOKEN/`; use it with `with`."""

    def __init__(self, desk: Desk, *, port: int = 0, token: str = "") -> None:
        """Bind the port.

        Args:
            desk: what is served.
            port: 0 takes a free one.
            token: drawn when empty.

        Raises:
            OSError: the port is taken.
        """
        self._token = token or secrets.token_urlsafe(16)
        about = {"desk": desk, "token": self._token, "lock": threading.Lock()}
        self._server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), about))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where the page is, token included."""
        return f"http://127.0.0.1:{self._server.server_port}/{self._token}/"

    def __enter__(self) -> "LabelServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self) -> None:
        """Serve until interrupted."""
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers one request; the three below are set by the server."""

    desk: Desk
    token: str
    lock: threading.Lock

    def do_GET(self) -> None:
        if self._refuse():
            return
        query = parse_qs(urlsplit(self.path).query)
        name, problem = (query.get(key, [""])[0] for key in ("annotator", "problem"))
        self._show(name, problem)

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if self._refuse(posted=True):
            return
        if length > _MOST_BYTES:
            self.send_error(413)
            return
        form = parse_qs(self.rfile.read(length).decode("utf-8", "replace"))
        name, about, key = (form.get(key, [""])[0] for key in ("annotator", "comparison", "key"))
        problem = ""
        try:
            with self.lock:
                self.desk.take(name, about, key)
        except DeskError as wrong:
            problem = str(wrong)
        target = f"/{self.token}/?annotator={quote(name)}" + (f"&problem={quote(problem)}" if problem else "")
        self.send_response(303)
        self.send_header("location", target)
        self.send_header("content-length", "0")
        self.end_headers()

    def _show(self, name: str, problem: str) -> None:
        nonce = secrets.token_urlsafe(12)
        try:
            with self.lock:
                body = self.desk.render(name, nonce=nonce, problem=problem).encode()
        except PreferenceError as broken:
            self.send_error(500, explain=str(broken))
            return
        self.send_response(200)
        # Trees come from hostile pages: they are escaped, and the policy below lets nothing of them run or load.
        self.send_header(
            "content-security-policy",
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        )
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.send_header("cache-control", "no-store")
        self.send_header("referrer-policy", "same-origin")
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, *, posted: bool = False) -> bool:
        """Refuse who lacks the token, a name rebound to the loopback, and forms of other sites."""
        host = self.headers.get("host", "")
        known = host in (f"127.0.0.1:{self.server.server_port}", f"localhost:{self.server.server_port}")  # type: ignore[attr-defined]
        given = urlsplit(self.path).path.strip("/")
        ours = not posted or self.headers.get("origin") == f"http://{host}"
        if known and ours and hmac.compare_digest(given.encode(), self.token.encode()):
            return False
        self.send_error(403, explain="Open the address that milepost preferences label printed.")
        return True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the address holds the token."""
