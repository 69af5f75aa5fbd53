"""Begins a new task: app, rules, oracle, row and test, complete enough to be certified as they are.

What is written is a small real app (a list of notes, one of which is to be archived) under the names asked for, for
an author to change into the task that is meant.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from string import Template as Text

FAMILIES = ("navigation", "form", "file", "email", "settings", "search")


class ScaffoldError(ValueError):
    """A name that cannot be, or a place that is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaffold:
    """What was written."""

    task: str
    """The new id, such as `NoteArchive-v0`."""
    files: tuple[Path, ...]
    """New files, and those that were added to."""

    def describe(self) -> str:
        """Say what was written and what comes next."""
        listed = "\n".join(f"  {path}" for path in self.files)
        name = self.files[0].parent.name
        return (
            f"wrote\n{listed}\n"
            f"1. watch it:   .venv/bin/milepost play {self.task} --headed (or --policy oracle, without a window)\n"
            f"2. change it:  server.py and its page, then rules and oracle in {self.files[2]}; test as you go:\n"
            f"   .venv/bin/python -m pytest tests/envs -k '{name} or {self.task}'\n"
            f"3. say what its milestones pay in REWARDS of tests/envs/test_apps.py, and what it is in docs/tasks.md; whatever\n"
            f"   you change of summary and max_steps in the template, change in its row of {self.files[-1].name} too\n"
            f"4. try it:     .venv/bin/milepost certify {self.task} --seeds 2\n"
            f"5. certify it: make format, then .venv/bin/milepost certify {self.task} --seeds 20 --solutions 100"
        )


def begin_task(root: Path, name: str, *, family: str) -> Scaffold:
    """Write a new task into a checkout of the project.

    Args:
        root: the checkout.
        name: the task's name in CamelCase, such as `NoteArchive`.
        family: one of the six families.

    Raises:
        ScaffoldError: not such a name or family, no checkout here, or the place is taken.
    """
    if not re.fullmatch(r"(?:[A-Z][a-z0-9]+)+", name):
        raise ScaffoldError(f"a task's name is in CamelCase, such as NoteArchive; got {name!r}")
    if family not in FAMILIES:
        raise ScaffoldError(f"unknown family {family!r}; known are {', '.join(FAMILIES)}")
    registry = root / "milepost/envs/registry.py"
    if not registry.is_file():
        raise ScaffoldError(f"{root.resolve()} is no checkout of milepost; run this where pyproject.toml is")
    app = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    folder = root / "milepost/envs/apps" / app
    test = root / f"tests/envs/apps/test_{app}.py"
    row = _fill(_ROW, name, app, family)
    rows, mark, rest = registry.read_text(encoding="utf-8").partition("\n)\n\n\ndef templates()")
    for taken in (folder, test):
        if taken.exists():
            raise ScaffoldError(f"{taken} is there already; choose another name")
    if not mark or f'"{name}-v0"' in rows:
        raise ScaffoldError(f"{registry} has a row {name}-v0 already, or no table of rows")
    written = {
        folder / "__init__.py": '"""An app of notes, to be archived."""\n',
        folder / "server.py": _fill(_SERVER, name, app, family),
        folder / "tasks.py": _sort_imports(_fill(_TASKS, name, app, family)),
        folder / "note.html": _PAGE,
        test: _fill(_TEST, name, app, family),
    }
    folder.mkdir(parents=True)
    for path, content in written.items():
        path.write_text(content, encoding="utf-8")
    registry.write_text(f"{rows}\n{row}{mark[1:]}{rest}", encoding="utf-8")
    return Scaffold(task=f"{name}-v0", files=(*written, registry))


def _fill(text: str, name: str, app: str, family: str) -> str:
    return Text(text).substitute(Name=name, app=app, family=family)


def _sort_imports(text: str) -> str:
    """Sort the imports of our own: where the app's stands among them depends on its name."""
    lines = text.split("\n")
    own = [index for index, line in enumerate(lines) if line.startswith("from milepost.")]
    lines[own[0] : own[-1] + 1] = sorted((lines[index] for index in own), key=lambda line: line.split()[1])
    return "\n".join(lines)


_ROW = """    Row(
        id="$Name-v0",
        family="$family",
        summary="Open the right note and archive it.",
        max_steps=6,
        template="milepost.envs.apps.$app.tasks:TEMPLATE",
    ),
"""

_PAGE = """{% extends "frame.html" %}
{% block title %}{{ note }} - {{ look.brand }}{% endblock %}
{% block content %}
{% if banner %}<div class="toast" role="status">{{ banner }}</div>{% endif %}
<section class="card">
<h1>{{ note }}</h1>
{% if number is not none %}
<form method="post" action="/archive/{{ number }}">
<div class="row"><button class="primary">{{ verb }}</button></div>
</form>
{% endif %}
</section>
{% endblock %}
"""

_SERVER = '''"""The site: a list of notes, and the record of what was archived."""

from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from milepost.envs.apps.pages import Link, Look, render
from milepost.sandbox.sites import ASGIApp, Recorder

ARCHIVED = "Note archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything the site shows; it does not know what is wanted."""

    look: Look
    notes: tuple[str, ...]
    verb: str
    """Caption of the button that archives."""


def build(desk: Desk, record: Recorder) -> ASGIApp:
    """Make the site, with no note archived."""
    gone: set[int] = set()

    def draw(note: str, number: int | None, banner: str = "") -> Response:
        shown = [(n, title) for n, title in enumerate(desk.notes) if n not in gone]
        links = [Link(label="Notes", href="/"), *(Link(label=t, href=f"/note/{n}") for n, t in shown)]
        here = "/" if number is None else f"/note/{number}"
        context = {"note": note, "number": number, "verb": desk.verb, "banner": banner}
        return render("$app/note.html", look=desk.look, links=links, here=here, **context)

    async def show_home(request: Request) -> Response:
        return draw("Notes", None, ARCHIVED if "archived" in request.query_params else "")

    async def show_note(request: Request) -> Response:
        number = int(request.path_params["number"])
        if number >= len(desk.notes) or number in gone:
            return RedirectResponse("/", status_code=303)
        return draw(desk.notes[number], number)

    async def archive(request: Request) -> Response:
        number = int(request.path_params["number"])
        if number < len(desk.notes) and number not in gone:
            gone.add(number)
            record("note.archived", {"title": desk.notes[number]})
        return RedirectResponse("/?archived", status_code=303)

    return Starlette(
        routes=[
            Route("/", show_home),
            Route("/note/{number:int}", show_note),
            Route("/archive/{number:int}", archive, methods=["POST"]),
        ]
    )
'''

_TASKS = '''"""$Name: open the right note and archive it."""

import functools
from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import words
from milepost.envs.apps.$app.server import ARCHIVED, Desk, build
from milepost.envs.apps.detours import by_keyboard
from milepost.envs.apps.pages import draw_look
from milepost.envs.task import Oracle, Split, Task, Template, choose
from milepost.milestones import Goal, Spec, eq, fields, milestone, url, when
from milepost.sandbox.actions import Action, Click, Noop
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import Site

HOST = "notes.acme.test"

WORDINGS: Mapping[Split, tuple[str, ...]] = {
    Split.TRAIN: (
        "Open {note} and press {verb}.",
        "Find {note} and click {verb}.",
        "I want to open {note}. Then press {verb}.",
        "Please find {note}, then click {verb}.",
        "I need to find {note} and press {verb}.",
        "Open the page of {note} and click {verb}.",
    ),
    Split.VALIDATION: ("Please open {note} and click {verb}.", "Find the page of {note}. Then click {verb}."),
    Split.TEST: (
        "I need to open {note}, then click {verb}.",
        "Please open the page of {note} and press {verb}.",
    ),
}
"""How the goal is put, by split."""

_BRANDS = ("Account", "Profile", "Desk")


def _draw_desk(rng: np.random.Generator) -> Desk:
    """Draw the notes: the wanted one comes first, others share a word with it."""
    periods = [str(word) for word in rng.permutation(words.PERIODS)]
    subjects = [str(word) for word in rng.permutation(words.SUBJECTS)]
    notes = [f"{periods[0]} {subjects[0]}", f"{periods[1]} {subjects[0]}", f"{periods[0]} {subjects[1]}"]
    notes += [f"{periods[i]} {subjects[i]}" for i in (2, 3)]
    return Desk(
        look=draw_look(rng, _BRANDS), notes=tuple(notes), verb=choose(rng, ("Save", "Send", "Confirm"))
    )


def _make_spec(wanted: str, number: int) -> Spec:
    opened = when("navigation_completed", url=url(f"http://{HOST}/note/{number}"))
    archived = when("app_changed", app="$app", change="note.archived", data=fields(title=eq(wanted)))
    shown = when("element_appeared", role="status", name=ARCHIVED)
    return Spec(
        milestones=(
            milestone("opened", reward="0.5", component="nav", when=opened),
            milestone("archived", reward="0.5", component="goal", when=archived & shown),
        ),
        # Anything else that is archived misses the goal for good.
        goal=Goal(when=archived, frame=(archived,)),
    )


def _make_oracle(verb: str, wanted: str) -> Oracle:
    def act(observation: Observation) -> Action:
        if observation.find("heading", wanted):
            target = observation.find("button", verb)
        else:
            target = observation.find("link", wanted)
        return Click(target) if target else Noop()

    return act


def _build_task(rng: np.random.Generator, split: Split) -> Task:
    desk = _draw_desk(rng)
    wanted = desk.notes[0]
    shuffled = tuple(str(note) for note in rng.permutation(desk.notes))
    shown = Desk(look=desk.look, notes=shuffled, verb=desk.verb)
    oracle = _make_oracle(desk.verb, wanted)
    return Task(
        goal=choose(rng, WORDINGS[split]).format(note=f'"{wanted}"', verb=f'"{desk.verb}"'),
        params={"note": wanted, "number": shuffled.index(wanted), "verb": desk.verb},
        start_url=f"http://{HOST}/",
        sites={HOST: Site(app="$app", build=functools.partial(build, shown))},
        spec=_make_spec(wanted, shuffled.index(wanted)),
        oracle=oracle,
        # Every other way that a user may well go: it must pay as much, and the certificate plays it too.
        alternatives={"by keyboard": by_keyboard(oracle)},
    )


TEMPLATE = Template(
    id="$Name-v0",
    family="$family",
    summary="Open the right note and archive it.",
    max_steps=6,
    build=_build_task,
)
'''

_TEST = """from fractions import Fraction

from milepost.envs.apps.$app.server import ARCHIVED
from milepost.envs.apps.$app.tasks import HOST, TEMPLATE
from milepost.sandbox.events import AppChanged, ElementAppeared, NavigationCompleted
from tests.envs.apps.conftest import judge, visit

TASK = TEMPLATE.task(0)
WANTED, NUMBER = TASK.params["note"], TASK.params["number"]
OPENED = NavigationCompleted(tab=0, url=f"http://{HOST}/note/{NUMBER}")
SHOWN = ElementAppeared(tab=0, role="status", name=ARCHIVED)


def archived(title: str) -> AppChanged:
    return AppChanged(app="$app", change="note.archived", data={"title": title})


def test_the_site_records_what_was_archived_and_only_once() -> None:
    site = visit(TASK)
    assert WANTED in site.get(f"/note/{NUMBER}").text
    assert site.post(f"/archive/{NUMBER}", b"").status == 303
    assert site.post(f"/archive/{NUMBER}", b"").status == 303
    assert site.records == [("note.archived", {"title": WANTED})]
    assert site.get(f"/note/{NUMBER}").status == 303


def test_archiving_the_right_note_earns_everything() -> None:
    half = Fraction(1, 2)
    assert judge(TASK, OPENED, archived(WANTED), SHOWN) == ({"opened": half, "archived": half}, True)


def test_a_banner_alone_is_worth_nothing() -> None:
    assert judge(TASK, SHOWN) == ({}, False)


def test_archiving_another_note_misses_the_goal_for_good() -> None:
    assert judge(TASK, archived("Other"), archived(WANTED), SHOWN) == ({"archived": Fraction(1, 2)}, False)
"""
