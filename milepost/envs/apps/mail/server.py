"""The mail site: a list of messages that a script fills, drafts with attachments, and the record of what was sent."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from milepost.envs.apps.pages import Link, Look, render
from milepost.sandbox.sites import ASGIApp, Recorder

APP = "mail"
"""Its name in events."""

_ADDRESS = r"[\w.+-]+@[\w-]+(\.[\w-]+)+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that has come in."""

    id: str
    sender: str
    address: str
    day: str
    subject: str
    text: str
    file: str = ""
    """Name of the attached file; empty for none."""
    content: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the site looks, what its controls are called, and what is in the mailbox."""

    look: Look
    inbox: str
    """Heading of the list of messages, and label of the link to it."""
    compose: str
    """Label of the link to a new message."""
    to: str
    subject: str
    text: str
    """Labels of a draft's fields."""
    attach: str
    """Label of a draft's file field."""
    send: str
    """Caption of the button that sends."""
    sent: str
    """Text of the banner after sending."""
    messages: tuple[Message, ...]
    contacts: tuple[tuple[str, str], ...]
    """People and their addresses."""
    page_size: int = 6
    """Messages a page."""
    others: tuple[Link, ...] = ()
    """Links to other sites."""


@dataclass(slots=True, kw_only=True)
class Draft:
    """A message that is being written."""

    kind: str
    """`new`, `reply` or `forward`."""
    message: str
    """Id of the message that it answers or passes on; empty for none."""
    to: str
    subject: str
    files: dict[str, str]
    """Attached files: name to sha256."""


def describe_files(files: Mapping[str, str]) -> str:
    """Say which files are attached, as the record has it: `a.csv <sha256>, b.csv <sha256>`."""
    return ", ".join(f"{name} {digest}" for name, digest in sorted(files.items()))


def digest(content: bytes) -> str:
    """Give the sha256 of a file."""
    return hashlib.sha256(content).hexdigest()


def build(layout: Layout, record: Recorder) -> ASGIApp:
    """Make the site, with nothing sent yet."""
    site = _Site(layout, record)
    return Starlette(
        routes=[
            Route("/", site.show_inbox),
            Route("/api/messages", site.send_messages),
            Route("/messages/{id}", site.show_message),
            Route("/contacts", site.show_contacts),
            Route("/sent", site.show_sent),
            Route("/compose", site.compose),
            Route("/drafts/{number:int}/files", site.attach, methods=["POST"]),
            Route("/drafts/{number:int}/forwarded", site.include, methods=["POST"]),
            Route("/drafts/{number:int}/removed", site.remove, methods=["POST"]),
            Route("/drafts/{number:int}/send", site.send, methods=["POST"]),
        ]
    )


_MISSING = PlainTextResponse("There is nothing here.", status_code=404)


class _Site:
    """One episode's mailbox and pages."""

    def __init__(self, layout: Layout, record: Recorder) -> None:
        self._layout = layout
        self._record = record
        self._messages = {message.id: message for message in layout.messages}
        self._drafts: list[Draft] = []
        self._sent: list[Mapping[str, str]] = []
        self._links = (
            Link(label=layout.inbox, href="/"),
            Link(label=layout.compose, href="/compose"),
            Link(label="Sent", href="/sent"),
            Link(label="Contacts", href="/contacts"),
            *layout.others,
        )

    def _page(self, template: str, here: str, **context: object) -> Response:
        layout = self._layout
        return render(template, look=layout.look, links=self._links, here=here, layout=layout, **context)

    async def show_inbox(self, request: Request) -> Response:
        return self._page("mail/inbox.html", "/", banner="sent" in request.query_params)

    async def send_messages(self, request: Request) -> Response:
        messages, size = self._layout.messages, self._layout.page_size
        asked = request.query_params.get("page", "")
        pages = max(1, -(-len(messages) // size))
        page = min(max(1, int(asked) if asked.isdecimal() and len(asked) < 6 else 1), pages)
        rows = [[m.id, m.sender, m.subject, m.day] for m in messages[(page - 1) * size : page * size]]
        return JSONResponse({"rows": rows, "page": page, "pages": pages})

    async def show_message(self, request: Request) -> Response:
        message = self._messages.get(request.path_params["id"])
        return self._page("mail/message.html", "", message=message) if message else _MISSING

    async def show_contacts(self, request: Request) -> Response:
        return self._page("mail/contacts.html", "/contacts")

    async def show_sent(self, request: Request) -> Response:
        return self._page("mail/sent.html", "/sent", sent=self._sent)

    async def compose(self, request: Request) -> Response:
        kind = next((k for k in ("reply", "forward") if k in request.query_params), "new")
        message = self._messages.get(request.query_params.get(kind, ""))
        if kind != "new" and message is None:
            return _MISSING
        draft = Draft(kind=kind, message="", to="", subject="", files={})
        if message is not None:
            draft.message = message.id
            draft.to = message.address if kind == "reply" else ""
            draft.subject = f"{'Re' if kind == 'reply' else 'Fwd'}: {message.subject}"
        self._drafts.append(draft)
        self._record("draft.opened", {"kind": kind, "message": draft.message})
        offered = message.file if message is not None and kind == "forward" else ""
        number = len(self._drafts) - 1
        here = "/compose" if kind == "new" else ""
        return self._page("mail/compose.html", here, draft=draft, number=number, offered=offered)

    def _draft(self, request: Request) -> Draft | None:
        number = request.path_params["number"]
        return self._drafts[number] if number < len(self._drafts) else None

    def _attach(self, draft: Draft, name: str, content: bytes) -> Response:
        draft.files[name] = digest(content)
        self._record("file.attached", {"name": name, "sha256": digest(content), "kind": draft.kind})
        return JSONResponse(sorted(draft.files))

    async def attach(self, request: Request) -> Response:
        draft, name = self._draft(request), request.query_params.get("name", "")
        return self._attach(draft, name, await request.body()) if draft is not None and name else _MISSING

    async def include(self, request: Request) -> Response:
        draft = self._draft(request)
        message = self._messages.get(draft.message) if draft is not None else None
        if draft is None or message is None or not message.file:
            return _MISSING
        return self._attach(draft, message.file, message.content)

    async def remove(self, request: Request) -> Response:
        draft, name = self._draft(request), request.query_params.get("name", "")
        if draft is None or name not in draft.files:
            return _MISSING
        del draft.files[name]
        self._record("file.removed", {"name": name})
        return JSONResponse(sorted(draft.files))

    async def send(self, request: Request) -> Response:
        draft = self._draft(request)
        if draft is None:
            return _MISSING
        values = _read_values(await request.body())
        errors = {key: "This field is required" for key in ("to", "subject") if not values[key]}
        if values["to"] and not re.fullmatch(_ADDRESS, values["to"], re.ASCII):
            errors["to"] = "Enter an address such as ada@acme.test"
        if errors:
            return JSONResponse(errors, status_code=422)
        sent = {**values, "files": describe_files(draft.files), "kind": draft.kind, "message": draft.message}
        self._sent.append(sent)
        self._record("mail.sent", sent)
        return JSONResponse({})


def _read_values(body: bytes) -> dict[str, str]:
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError:
        sent = {}
    given = sent if isinstance(sent, dict) else {}
    return {key: str(given.get(key, "")).strip() for key in ("to", "subject", "text")}
