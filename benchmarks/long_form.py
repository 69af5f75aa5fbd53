"""A form on several pages, where the goal is rare and the first milestone is not: a task of one's own, outside the package.

    milepost play benchmarks.long_form:TEMPLATE

Every page asks for some values of the goal and is sent by itself; what was sent cannot be taken back. Whoever gets a page right
as often as not gets all of them right one time in eight, so a policy that is paid at the end alone sees little of what it is
paid for, and one that is paid page by page sees it at once. `benchmarks.learning --part credit` compares the two.
"""

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

import jinja2
import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from milepost.envs.apps import words
from milepost.envs.apps.detours import by_keyboard
from milepost.envs.apps.moves import enter, press, take_first
from milepost.envs.task import Oracle, Split, Task, Template, choose
from milepost.milestones import Goal, Spec, all_of, fields, forbid, milestone, text, when
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import ASGIApp, Recorder, Site

HOST = "requests.acme.test"
APP = "long_form"

PAGES = (1, 2, 3)
"""How many fields each page has."""

LABELS = (
    ("Merchant", "Vendor", "Supplier"),
    ("Employee", "Traveler", "Name"),
    ("Receipt", "Invoice", "Reference"),
    ("City", "Place", "Location"),
    ("Manager", "Owner", "Contact"),
    ("Product", "Item", "Equipment"),
)
"""What the fields may be called; of each line one is drawn."""

WORDINGS = words.split_wordings(
    ("", "Please ", "I need to ", "I want to "),
    (
        "fill in the form with {values}",
        "enter {values} in the form",
        "set {values}",
        "complete the form with {values}",
    ),
    (" and press {last}.", ", then click {last}.", ". Press {last} at the end.", ". Use {last} to send it."),
)
"""How the goal is put, by split."""

_PAGE = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string("""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><link rel="icon" href="data:,"><title>{{ title }}</title></head>
<body>
<main>
{% if done %}
<div role="status">{{ form.done }}</div>
{% else %}
<h1>{{ title }}</h1>
<form method="post" action="/">
<input type="hidden" name="page" value="{{ page }}">
{% for label in labels %}
<p><label for="field{{ loop.index0 }}">{{ label }}</label>
<input id="field{{ loop.index0 }}" name="field{{ loop.index0 }}" required autocomplete="off"></p>
{% endfor %}
<button>{{ button }}</button>
</form>
{% endif %}
</main>
</body>
</html>
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Everything the site shows: it never knows which values are wanted."""

    title: str
    pages: tuple[tuple[str, ...], ...]
    """The labels of each page's fields."""
    next: str
    """Caption of the button that leads to the next page."""
    last: str
    """Caption of the last page's button, which sends all of it."""
    done: str
    """What is shown in the end."""


def build(form: Form, record: Recorder) -> ASGIApp:
    """Make the site: one address, which shows the first page that has not been sent."""
    sent: list[Mapping[str, str]] = []

    async def show(request: Request) -> Response:
        page, done = len(sent), len(sent) == len(form.pages)
        shown = {"form": form, "page": page, "done": done, "title": form.title}
        if not done:
            shown |= {
                "labels": form.pages[page],
                "button": form.last if page + 1 == len(form.pages) else form.next,
            }
        return HTMLResponse(_PAGE.render(shown), headers={"cache-control": "no-store"})

    async def send(request: Request) -> Response:
        body = parse_qs((await request.body()).decode("utf-8", "replace"))
        given = {name: " ".join(values[0].split()) for name, values in body.items()}
        page = len(sent)
        # An old page that is sent once more says nothing new.
        if page < len(form.pages) and given.get("page") == str(page):
            values = {label: given.get(f"field{n}", "") for n, label in enumerate(form.pages[page])}
            if all(values.values()):
                sent.append(values)
                record(f"page {len(sent)}", values)
        return RedirectResponse("/", status_code=303)

    return Starlette(routes=[Route("/", show), Route("/", send, methods=["POST"])])


def _draw_person(rng: np.random.Generator) -> str:
    return f"{choose(rng, words.FIRST_NAMES)} {choose(rng, words.SURNAMES)}"


def _draw_values(rng: np.random.Generator) -> dict[str, str]:
    drawn = (
        f"{choose(rng, words.COLORS)} {choose(rng, words.SHOPS)}",
        _draw_person(rng),
        str(int(rng.integers(1000, 10_000))),
        choose(rng, words.CITIES),
        _draw_person(rng),
        f"{choose(rng, words.MATERIALS)} {choose(rng, words.PRODUCTS)}",
    )
    values = {choose(rng, labels): value for labels, value in zip(LABELS, drawn, strict=True)}
    return {label: values[label] for label in map(str, rng.permutation(list(values))[: sum(PAGES)])}


def _draw_form(rng: np.random.Generator, labels: Sequence[str]) -> Form:
    ends = np.cumsum((0, *PAGES)).tolist()
    return Form(
        title=choose(rng, ("New request", "Your request", "Request form")),
        pages=tuple(tuple(labels[a:b]) for a, b in itertools.pairwise(ends)),
        next=choose(rng, ("Next", "Continue")),
        last=choose(rng, ("Submit", "Send", "Save")),
        done=choose(rng, ("Request sent", "Your request was saved")),
    )


def _put_goal(rng: np.random.Generator, split: Split, form: Form, values: Mapping[str, str]) -> str:
    pairs = ", ".join(f'"{label}" "{value}"' for label, value in values.items())
    return choose(rng, WORDINGS[split]).format(values=pairs, last=f'"{form.last}"')


def _make_spec(form: Form, values: Mapping[str, str]) -> Spec:
    sent = [when("app_changed", app=APP, change=f"page {n}") for n in range(1, len(form.pages) + 1)]
    right = [
        when(
            "app_changed",
            app=APP,
            change=f"page {n}",
            data=fields(**{label: text(values[label]) for label in page}),
        )
        for n, page in enumerate(form.pages, 1)
    ]
    shown = when("element_appeared", role="status", name=form.done)
    done = all_of(*right, shown)
    paid = ("0.2",) * len(right)
    return Spec(
        milestones=(
            *(
                milestone(f"page {n}", reward=reward, component="form", when=page)
                for n, (page, reward) in enumerate(zip(right, paid, strict=True), 1)
            ),
            milestone("sent", reward="0.4", component="goal", when=done),
        ),
        forbidden=tuple(
            forbid(f"page {n} wrong", when=any_values & ~page)
            for n, (any_values, page) in enumerate(zip(sent, right, strict=True), 1)
        ),
        goal=Goal(when=done, frame=tuple(right)),
    )


def _make_oracle(form: Form, values: Mapping[str, str], *, backwards: bool = False) -> Oracle:
    labels = list(values)[::-1] if backwards else list(values)

    def act(view: Observation) -> Action:
        return take_first(
            *(enter(view, label, values[label]) for label in labels),
            press(view, "button", form.next, form.last),
        )

    return act


def _build_task(rng: np.random.Generator, split: Split) -> Task:
    values = _draw_values(rng)
    form = _draw_form(rng, list(values))
    oracle = _make_oracle(form, values)
    return Task(
        goal=_put_goal(rng, split, form, values),
        params={"values": values, "pages": [list(page) for page in form.pages]},
        start_url=f"http://{HOST}/",
        sites={HOST: Site(app=APP, build=functools.partial(build, form))},
        spec=_make_spec(form, values),
        oracle=oracle,
        alternatives={
            "by keyboard": by_keyboard(oracle),
            "from the bottom up": _make_oracle(form, values, backwards=True),
        },
    )


TEMPLATE = Template(
    id="LongForm-v0",
    family="form",
    summary="Fill in a form of several pages, each sent by itself.",
    max_steps=12,
    frames=False,
    tidy=True,
    build=_build_task,
)
