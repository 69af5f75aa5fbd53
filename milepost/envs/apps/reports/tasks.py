"""ReportExport: open the right report and export it to a file in the right format.

The agent picks one of several reports with similar titles, and then a format from buttons, a list or a menu.
The browser saves the file to Downloads, where its name and content are checked.
"""

import functools
import hashlib
from collections.abc import Callable, Mapping

import numpy as np

from milepost.envs.apps import words
from milepost.envs.apps.pages import draw_look
from milepost.envs.apps.reports.server import FORMATS, Layout, Report, build
from milepost.envs.task import Split, Task, Template, choose
from milepost.milestones import Goal, Spec, at_least, eq, fields, matches, milestone, when
from milepost.sandbox.actions import Action, Click, Noop, SelectOption
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import Site

HOST = "reports.acme.test"

WORDINGS: Mapping[Split, tuple[str, ...]] = {
    Split.TRAIN: (
        "Export the {report} report as {format}.",
        "Open the {report} report and download it as {format}.",
        "Save the report {report} as a {format} file.",
        "Get the {report} report in {format} format.",
        "Please download {report} as {format}.",
        "I need the report {report} as a {format} file.",
        "Find the {report} report and save it as {format}.",
        "We want {report} exported in {format} format.",
    ),
    Split.VALIDATION: (
        "Get {report} and download it as {format}.",
        "Please open {report} and save it as a {format} file.",
    ),
    Split.TEST: (
        "Find {report} and download it in {format} format.",
        "We want the {report} report as a {format} file.",
    ),
}
"""How the goal is put, by split."""

_COLUMNS = (("Month", "Orders", "Total"), ("Month", "Count", "Change"), ("Month", "Plan", "Actual"))
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_OWNERS = ("Sales", "Finance", "Support", "Design")
_BRANDS = ("Insight", "Metrics", "Chart House", "Numbers", "Overview")


def _draw_titles(rng: np.random.Generator) -> list[str]:
    """Draw the target's title and after it five or six others, half of them similar to it."""
    periods = [str(word) for word in rng.permutation(words.PERIODS)]
    subjects = [str(word) for word in rng.permutation(words.SUBJECTS)]
    titles = [f"{periods[0]} {subjects[0]}", f"{periods[1]} {subjects[0]}", f"{periods[0]} {subjects[1]}"]
    titles += [f"{periods[i]} {subjects[i]}" for i in (2, 3, 4)]
    if rng.integers(2):
        titles.append(f"{periods[0]} {subjects[5]}")
    return titles


def _draw_report(rng: np.random.Generator, title: str) -> Report:
    numbers = rng.integers(10, 1000, size=(len(_MONTHS), 2))
    rows = tuple(
        (month, int(first), int(second)) for month, (first, second) in zip(_MONTHS, numbers, strict=True)
    )
    return Report(title=title, owner=choose(rng, _OWNERS), columns=choose(rng, _COLUMNS), rows=rows)


def _draw_layout(rng: np.random.Generator) -> Layout:
    return Layout(
        look=draw_look(rng, _BRANDS),
        list_title=choose(rng, ("Reports", "All reports", "Library")),
        list_as=choose(rng, ("table", "list", "tiles")),
        control=choose(rng, ("buttons", "select", "menu")),
        verb=choose(rng, ("Export", "Download", "Save as")),
        formats=tuple(str(name) for name in rng.permutation(list(FORMATS))),
    )


def _make_spec(report: Report, format_name: str, content: bytes) -> Spec:
    stem, suffix = report.file_name(format_name).rsplit(".", 1)
    # A second download of the same name is numbered: `quarterly-revenue (1).csv`.
    name = rf"{stem}( \(\d+\))?\.{suffix}"
    path = matches(f"Downloads/{name}")
    address = f"http://{HOST}/reports/{report.slug}/export?format={format_name}"
    digest = eq(hashlib.sha256(content).hexdigest())
    # The download must stand behind the file: an agent can write a file of any name and content itself.
    finished = when("download_finished", url=address, path=path, state="completed")
    created = finished & when("file_created", path=path, size=at_least(1))
    correct = finished & when("file_created", path=path, sha256=digest)
    stray = when("file_created", path=matches(f"(?!Downloads/{name}$).*"))
    exported = when("app_changed", app="reports", data=fields(report=report.title, format=format_name))
    return Spec(
        milestones=(
            milestone("created", reward="1.0", component="file", when=created),
            milestone("content", reward="0.5", component="goal", when=correct),
            milestone("tidy", reward="0.25", component="file", when=created & ~stray),
        ),
        goal=Goal(when=correct, frame=(exported, when("file_created", path=path, sha256=digest))),
    )


def _make_oracle(layout: Layout, report: Report, format_name: str) -> Callable[[Observation], Action]:
    def act(observation: Observation) -> Action:
        if observation.find("dialog"):
            target = observation.find("link", format_name)
        elif observation.find("heading", report.title):
            format_list = observation.element("combobox", "Format")
            if format_list is not None and format_list.value != format_name:
                return SelectOption(format_list.id, format_name)
            target = observation.find("button", f"{layout.verb} {format_name}") or observation.find(
                "button", layout.verb
            )
        else:
            target = observation.find("link", report.title) or observation.find("link", layout.list_title)
        return Click(target) if target else Noop()

    return act


def _build_task(rng: np.random.Generator, split: Split) -> Task:
    drawn = [_draw_report(rng, title) for title in _draw_titles(rng)]
    target = drawn[0]
    reports = tuple(drawn[int(index)] for index in rng.permutation(len(drawn)))
    layout = _draw_layout(rng)
    format_name = choose(rng, layout.formats)
    content = FORMATS[format_name].write(target)
    goal = choose(rng, WORDINGS[split]).format(report=f'"{target.title}"', format=f'"{format_name}"')
    return Task(
        goal=goal,
        params={
            "report": target.title,
            "format": format_name,
            "control": layout.control,
            "sha256": hashlib.sha256(content).hexdigest(),
        },
        start_url=f"http://{HOST}/",
        sites={HOST: Site(app="reports", build=functools.partial(build, layout, reports))},
        spec=_make_spec(target, format_name, content),
        oracle=_make_oracle(layout, target, format_name),
    )


TEMPLATE = Template(
    id="ReportExport-v0",
    family="file",
    summary="Open the right report and export it to a file in the right format.",
    max_steps=6,
    build=_build_task,
)
