"""The expenses site: a form, a confirmation dialog, and the record of what was filed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from milepost.envs.apps.pages import Link, Look, render
from milepost.sandbox.sites import ASGIApp, Recorder

AMOUNT = r"\d+\.\d\d"
NUMBER = r"\d+"

_HINTS = {AMOUNT: "Enter an amount such as 12.50", NUMBER: "Enter digits only"}
_MISSING = "This field is required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of the form."""

    key: str
    """Its name in what the form sends."""
    label: str
    """Its visible label."""
    pattern: str = ""
    """Regular expression that the whole value must match; empty accepts any text."""
    options: tuple[str, ...] = ()
    """The choices of a select element; empty for a text field."""

    @property
    def hint(self) -> str:
        """What to say when the value does not match."""
        return _HINTS.get(self.pattern, _MISSING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A button of the dialog."""

    id: str
    """What it does: `confirm` files the expense, `cancel` goes back to the form, `print` prints."""
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Everything the site shows: it never knows which values are wanted."""

    look: Look
    title: str
    """Heading of the form, and the form's accessible name."""
    fields: tuple[Field, ...]
    two_columns: bool
    submit: str
    """Caption of the button that opens the dialog."""
    question: str
    """Heading of the dialog."""
    choices: tuple[Choice, ...]
    """The dialog's buttons, in their order."""
    success: str
    """Text of the banner that shows after filing."""
    form_link: str
    """Label of the navigation entry that leads to the form."""
    list_link: str
    """Label of the navigation entry that leads to the filed expenses."""


def build(form: Form, record: Recorder) -> ASGIApp:
    """Make the site, with nothing filed yet."""
    site = _Site(form, record)
    return Starlette(
        routes=[
            Route("/", site.show_form),
            Route("/filed", site.show_filed),
            Route("/help", site.show_help),
            Route("/expenses", site.file, methods=["POST"]),
        ]
    )


def find_errors(form: Form, values: Mapping[str, str]) -> dict[str, str]:
    """Validate values on the server; give a message for each field that is wrong."""
    errors = {}
    for field in form.fields:
        value = values[field.key]
        if not value or (field.options and value not in field.options):
            errors[field.key] = _MISSING
        elif field.pattern and not re.fullmatch(field.pattern, value, re.ASCII):
            errors[field.key] = field.hint
    return errors


def _read_values(form: Form, body: bytes) -> dict[str, str]:
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError:
        sent = {}
    given = sent if isinstance(sent, dict) else {}
    return {field.key: str(given.get(field.key, "")).strip() for field in form.fields}


class _Site:
    """One episode's state and pages."""

    def __init__(self, form: Form, record: Recorder) -> None:
        self._form = form
        self._record = record
        self._filed: list[Mapping[str, str]] = []
        self._links = (
            Link(label=form.form_link, href="/"),
            Link(label=form.list_link, href="/filed"),
            Link(label="Help", href="/help"),
        )

    def _page(self, template: str, here: str, **context: object) -> Response:
        return render(
            template, look=self._form.look, links=self._links, here=here, form=self._form, **context
        )

    async def show_form(self, request: Request) -> Response:
        return self._page("expenses/form.html", "/", missing=_MISSING)

    async def show_filed(self, request: Request) -> Response:
        return self._page("expenses/filed.html", "/filed", filed=self._filed)

    async def show_help(self, request: Request) -> Response:
        text = "Fill in every field. You can check the values before they are sent."
        return self._page("notice.html", "/help", heading="Help", text=text)

    async def file(self, request: Request) -> Response:
        values = _read_values(self._form, await request.body())
        errors = find_errors(self._form, values)
        if errors:
            return JSONResponse({"errors": errors}, status_code=422)
        self._filed.append(values)
        self._record("expense.submitted", values)
        return JSONResponse({"filed": len(self._filed)}, status_code=201)
