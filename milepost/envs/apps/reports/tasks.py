"""ReportExport: open the right report and export one region of it to a file in the right format.

The agent picks one of several reports with similar titles, then the region, and a format from buttons, a list
or a menu. The browser saves the file to Downloads, where its name and content are checked.
"""

import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milepost.envs.apps import words
from milepost.envs.apps.pages import draw_look
from milepost.envs.apps.reports.server import EVERYWHERE, FORMATS, Layout, Report, Row, build
from milepost.envs.task import Split, Task, Template, choose
from milepost.milestones import Goal, Spec, at_least, eq, matches, milestone, when
from milepost.sandbox.actions import Action, Click, Noop, SelectOption
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import Site

HOST = "reports.acme.test"

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    ("", "Please ", "I want to ", "I need to ", "We need to "),
    (
        *("export {report}", "export the {report} report", "open the {report} report and download it"),
        *(
            "download {report}",
            "get the report {report}",
            "find {report} and save it",
            "save the {report} report",
        ),
        *("open {report} and save it", "find the report {report} and download it", "get {report}"),
    ),
    (
        *(
            " for {region} as {format}.",
            " for {region} as a {format} file.",
            " for {region} in {format} format.",
        ),
        *(
            " as {format} for {region}.",
            " as a {format} file for {region}.",
            " in {format} format for {region}.",
        ),
    ),
)
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
    numbers = rng.integers(10, 500, size=(len(words.REGIONS), len(_MONTHS), 2))
    rows = {region: _tabulate(numbers[index]) for index, region in enumerate(words.REGIONS)}
    rows[EVERYWHERE] = _tabulate(numbers.sum(axis=0))
    return Report(title=title, owner=choose(rng, _OWNERS), columns=choose(rng, _COLUMNS), rows=rows)


def _tabulate(numbers: NDArray[np.int64]) -> tuple[Row, ...]:
    """Put months before their two numbers."""
    return tuple((month, int(pair[0]), int(pair[1])) for month, pair in zip(_MONTHS, numbers, strict=True))


def _draw_layout(rng: np.random.Generator) -> Layout:
    return Layout(
        look=draw_look(rng, _BRANDS),
        list_title=choose(rng, ("Reports", "All reports", "Library")),
        list_as=choose(rng, ("table", "list", "tiles")),
        control=choose(rng, ("buttons", "select", "menu")),
        verb=choose(rng, ("Export", "Download", "Save as")),
        formats=tuple(str(name) for name in rng.permutation(list(FORMATS))),
        region_label=choose(rng, ("Region", "Area", "Office")),
        regions=tuple(str(name) for name in rng.permutation(words.REGIONS)[:3]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Export:
    """What is to be exported."""

    report: Report
    region: str
    format_name: str

    @property
    def content(self) -> bytes:
        """The file, byte for byte."""
        return FORMATS[self.format_name].write(self.report, self.region)


def _make_spec(wanted: _Export) -> Spec:
    report, region, format_name = wanted.report, wanted.region, wanted.format_name
    stem, suffix = report.file_name(region, format_name).rsplit(".", 1)
    # A second download of the same name is numbered: `quarterly-revenue-north (1).csv`.
    name = rf"{stem}( \(\d+\))?\.{suffix}"
    path = matches(f"Downloads/{name}")
    address = f"http://{HOST}/reports/{report.slug}/export?region={region}&format={format_name}"
    digest = eq(hashlib.sha256(wanted.content).hexdigest())
    # The download must stand behind the file: an agent can write a file of any name and content itself.
    finished = when("download_finished", url=address, path=path, state="completed")
    created = finished & when("file_created", path=path, size=at_least(1))
    correct = finished & when("file_created", path=path, sha256=digest)
    stray = when("file_created", path=matches(f"(?!Downloads/{name}$).*"))
    # A wrong export costs tidiness and can be made good; a file that no export explains cannot.
    any_file = matches(rf"Downloads/[a-z-]+( \(\d+\))?\.({'|'.join(FORMATS).lower()})")
    return Spec(
        milestones=(
            milestone("created", reward="1.0", component="file", when=created),
            milestone("content", reward="0.5", component="goal", when=correct),
            milestone("tidy", reward="0.25", component="file", when=created & ~stray),
        ),
        goal=Goal(
            when=correct,
            frame=(
                when("app_changed", app="reports", change="report.exported"),
                when("file_created", path=any_file),
            ),
        ),
    )


def _make_oracle(layout: Layout, wanted: _Export) -> Callable[[Observation], Action]:
    title, format_name = wanted.report.title, wanted.format_name

    def export(observation: Observation) -> Action:
        for label, option in ((layout.region_label, wanted.region), ("Format", format_name)):
            box = observation.element("combobox", label)
            if box is not None and box.value != option:
                return SelectOption(box.id, option)
        captions = (f"{layout.verb} {format_name}", format_name, layout.verb)
        buttons = (observation.find("button", caption) for caption in captions)
        button = next((button for button in buttons if button), None)
        return Click(button) if button else Noop()

    def act(observation: Observation) -> Action:
        dialog = observation.element("dialog")
        if observation.find("heading", title) or (
            dialog is not None and dialog.name == f"{layout.verb} {title}"
        ):
            return export(observation)
        if dialog is not None:
            target = observation.find("button", "Cancel")
        else:
            target = observation.find("link", title) or observation.find("link", layout.list_title)
        return Click(target) if target else Noop()

    return act


def _build_task(rng: np.random.Generator, split: Split) -> Task:
    drawn = [_draw_report(rng, title) for title in _draw_titles(rng)]
    reports = tuple(drawn[int(index)] for index in rng.permutation(len(drawn)))
    layout = _draw_layout(rng)
    wanted = _Export(
        report=drawn[0], region=choose(rng, layout.regions), format_name=choose(rng, layout.formats)
    )
    title, region, format_name = wanted.report.title, wanted.region, wanted.format_name
    wording = choose(rng, WORDINGS[split])
    return Task(
        goal=wording.format(report=f'"{title}"', region=f'"{region}"', format=f'"{format_name}"'),
        params={
            "report": title,
            "region": region,
            "format": format_name,
            "control": layout.control,
            "sha256": hashlib.sha256(wanted.content).hexdigest(),
        },
        start_url=f"http://{HOST}/",
        sites={HOST: Site(app="reports", build=functools.partial(build, layout, reports))},
        spec=_make_spec(wanted),
        oracle=_make_oracle(layout, wanted),
    )


TEMPLATE = Template(
    id="ReportExport-v0",
    family="file",
    summary="Open the right report and export a region of it to a file in the right format.",
    max_steps=6,
    build=_build_task,
)
