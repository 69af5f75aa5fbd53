"""The front desk: a form that the server checks, a booking in dialogs, a form in steps, and what was filed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from milepost.envs.apps.pages import Link, Look, render
from milepost.sandbox.sites import ASGIApp, Recorder

APP = "bookings"
"""Its name in events."""

REQUIRED = "This field is required"
_MAIL = r"[\w.+-]+@[\w-]+(\.[\w-]+)+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something a form asks: a text, or one of some options."""

    key: str
    label: str
    options: tuple[str, ...] = ()
    pattern: str = ""
    """Regular expression for the whole value; empty accepts any text."""
    hint: str = ""
    """What to say when the value does not match."""


def ask_mail(label: str) -> Question:
    """Ask for a mail address."""
    return Question(key="mail", label=label, pattern=_MAIL, hint="Enter an address such as ada@acme.test")


def ask_count(label: str, most: int) -> Question:
    """Ask for a number of people."""
    return Question(key="people", label=label, pattern=r"[1-9]\d?", hint=f"Enter a number from 1 to {most}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A room to book."""

    name: str
    seats: int
    floor: str
    taken: tuple[tuple[str, str], ...] = ()
    """Days and times at which it is booked already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the site looks, what its controls are called, and what can be booked."""

    look: Look
    home: str
    events: tuple[str, ...]
    events_title: str
    registration: tuple[Question, ...]
    rooms: tuple[Room, ...]
    rooms_title: str
    booking: tuple[Question, ...]
    passes_title: str
    visitor: tuple[Question, ...]
    """First step of a pass."""
    visit: tuple[Question, ...]
    """Second step of a pass."""
    submit: str
    """Caption of what sends a form: it leads to the question."""
    question: str
    """What the dialog asks before anything is filed."""
    confirm: str
    cancel: str
    done: str
    """Text of the banner after filing."""


def name_event(event: str) -> str:
    """Give an event's part of the address."""
    return event.lower().replace(" ", "-")


def find_errors(questions: tuple[Question, ...], values: Mapping[str, str]) -> dict[str, str]:
    """Check values; give a message for each that is wrong."""
    errors = {}
    for question in questions:
        value = values[question.key]
        if not value or (question.options and value not in question.options):
            errors[question.key] = REQUIRED
        elif question.pattern and not re.fullmatch(question.pattern, value, re.ASCII):
            errors[question.key] = question.hint
    return errors


def _pick(questions: tuple[Question, ...], given: Mapping[str, str]) -> dict[str, str]:
    return {q.key: " ".join(given.get(q.key, "").split()) for q in questions}


async def _read_form(request: Request) -> dict[str, str]:
    sent = parse_qs((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    return {key: values[0] for key, values in sent.items()}


async def _read_json(request: Request) -> dict[str, str]:
    try:
        sent = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        sent = {}
    return {key: str(value) for key, value in sent.items()} if isinstance(sent, dict) else {}


def build(layout: Layout, record: Recorder) -> ASGIApp:
    """Make the site, with nothing filed yet."""
    site = _Site(layout, record)
    return Starlette(
        routes=[
            Route("/", site.show_home),
            Route("/help", site.show_help),
            Route("/events", site.show_events),
            Route("/events/{event}", site.show_event),
            Route("/events/{event}", site.register, methods=["POST"]),
            Route("/rooms", site.show_rooms),
            Route("/api/rooms", site.send_rooms),
            Route("/api/rooms/{room}", site.book, methods=["POST"]),
            Route("/passes", site.show_visitor),
            Route("/passes", site.enter_visitor, methods=["POST"]),
            Route("/passes/visit", site.show_visit),
            Route("/passes/visit", site.enter_visit, methods=["POST"]),
            Route("/passes/review", site.show_review),
            Route("/api/passes", site.request_pass, methods=["POST"]),
        ]
    )


_MISSING = PlainTextResponse("There is nothing here.", status_code=404)


class _Site:
    """One episode's state and pages."""

    def __init__(self, layout: Layout, record: Recorder) -> None:
        self._layout = layout
        self._record = record
        self._events = {name_event(event): event for event in layout.events}
        self._rooms = {room.name: room for room in layout.rooms}
        self._taken = {room.name: set(room.taken) for room in layout.rooms}
        self._pass: dict[str, str] = {}
        self._links = (
            Link(label=layout.home, href="/"),
            Link(label=layout.events_title, href="/events"),
            Link(label=layout.rooms_title, href="/rooms"),
            Link(label=layout.passes_title, href="/passes"),
            Link(label="Help", href="/help"),
        )

    def _page(self, template: str, here: str, **context: object) -> Response:
        layout = self._layout
        return render(template, look=layout.look, links=self._links, here=here, layout=layout, **context)

    def _form(self, here: str, heading: str, questions: tuple[Question, ...], **more: object) -> Response:
        context = {"values": {}, "errors": {}, "submit": self._layout.submit, "asks": False, **more}
        return self._page("bookings/form.html", here, heading=heading, questions=questions, **context)

    async def show_home(self, request: Request) -> Response:
        return self._page("bookings/home.html", "/", done="done" in request.query_params)

    async def show_help(self, request: Request) -> Response:
        text = "What is filed here cannot be changed any more, so check it before you confirm."
        return self._page("notice.html", "/help", heading="Help", text=text)

    # -- registration: rendered and checked by the server -------------------------------------------

    async def show_events(self, request: Request) -> Response:
        return self._page("bookings/events.html", "/events", events=self._events)

    async def show_event(self, request: Request) -> Response:
        event = self._events.get(request.path_params["event"])
        return self._form("", event, self._layout.registration, asks=True) if event else _MISSING

    async def register(self, request: Request) -> Response:
        event, questions = self._events.get(request.path_params["event"]), self._layout.registration
        if event is None:
            return _MISSING
        values = _pick(questions, await _read_form(request))
        errors = find_errors(questions, values)
        if errors:
            return self._form("", event, questions, asks=True, values=values, errors=errors)
        self._record("event.registered", {"event": event, **values})
        return RedirectResponse("/?done", status_code=303)

    # -- rooms: rendered by a script ----------------------------------------------------------------

    async def show_rooms(self, request: Request) -> Response:
        return self._page("bookings/rooms.html", "/rooms")

    async def send_rooms(self, request: Request) -> Response:
        return JSONResponse(
            [{"name": r.name, "seats": r.seats, "floor": r.floor} for r in self._layout.rooms]
        )

    async def book(self, request: Request) -> Response:
        room, questions = self._rooms.get(request.path_params["room"]), self._layout.booking
        if room is None:
            return _MISSING
        values = _pick(questions, await _read_json(request))
        errors = find_errors(questions, values)
        if not errors and int(values["people"]) > room.seats:
            errors["people"] = f"{room.name} has {room.seats} seats"
        slot = (values["day"], values["time"])
        if not errors and slot in self._taken[room.name]:
            errors["time"] = f"{room.name} is taken on {slot[0]} at {slot[1]}"
        if errors or request.query_params.get("check"):
            return JSONResponse(errors, status_code=422 if errors else 200)
        self._taken[room.name].add(slot)
        self._record("room.booked", {"room": room.name, **values})
        return JSONResponse({})

    # -- passes: a form in steps --------------------------------------------------------------------

    async def show_visitor(self, request: Request) -> Response:
        return self._step("/passes", self._layout.visitor)

    def _step(self, here: str, questions: tuple[Question, ...], errors: Mapping[str, str] = {}) -> Response:
        number = 1 if here == "/passes" else 2
        heading = f"{self._layout.passes_title}: step {number} of 3"
        return self._form(here, heading, questions, values=self._pass, errors=errors, submit="Next")

    async def enter_visitor(self, request: Request) -> Response:
        values = _pick(self._layout.visitor, await _read_form(request))
        self._pass = {**self._pass, **values}
        errors = find_errors(self._layout.visitor, values)
        if errors:
            return self._step("/passes", self._layout.visitor, errors)
        return RedirectResponse("/passes/visit", status_code=303)

    async def show_visit(self, request: Request) -> Response:
        return self._step("/passes/visit", self._layout.visit)

    async def enter_visit(self, request: Request) -> Response:
        values = _pick(self._layout.visit, await _read_form(request))
        self._pass = {**self._pass, **values}
        errors = find_errors(self._layout.visit, values)
        if errors:
            return self._step("/passes/visit", self._layout.visit, errors)
        return RedirectResponse("/passes/review", status_code=303)

    @property
    def _whole(self) -> tuple[Question, ...]:
        return (*self._layout.visitor, *self._layout.visit)

    async def show_review(self, request: Request) -> Response:
        if find_errors(self._whole, _pick(self._whole, self._pass)):
            return RedirectResponse("/passes", status_code=303)
        return self._page("bookings/review.html", "", questions=self._whole, values=self._pass)

    async def request_pass(self, request: Request) -> Response:
        values = _pick(self._whole, self._pass)
        errors = find_errors(self._whole, values)
        if errors:
            return JSONResponse(errors, status_code=422)
        self._pass = {}
        self._record("pass.requested", values)
        return JSONResponse({})
