"""Begins a new task: app, rules, oracle, row and test, complete enough to be certified as they are.

What is written is a small real app (a form that asks in a dialog before it is sent) under the names asked for, for an
author to change into the task that is meant. What an author changes stands in one file, in five marked places. The
files that are written lie in `blueprint/`, as texts in which `$Name`, `$app` and `$family` are filled in.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template as Text

SUMMARY = "Fill in a form, send it and confirm in a dialog."
"""What the agent does in the task as it is written."""

_FREE = r'[^"\\|$\n]{1,90}'
"""What a summary may be made of, for it goes into Python and into a table."""

FAMILIES = ("navigation", "form", "file", "email", "settings", "search")

_BLUEPRINT = Path(__file__).parent / "blueprint"


class ScaffoldError(ValueError):
    """A name that cannot be, or a place that is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaffold:
    """What was written."""

    task: str
    """The new id, such as `NoteArchive-v0`."""
    files: tuple[Path, ...]
    """New files; then those that were added to."""
    tasks: Path
    """The one with the five places to change."""
    test: Path

    def describe(self) -> str:
        """Say what was written and what comes next."""
        listed = "\n".join(f"  {path}" for path in self.files)
        name = self.tasks.parent.name
        return (
            f"wrote\n{listed}\n"
            f"1. watch it:   .venv/bin/milepost play {self.task}   (--headed shows the browser)\n"
            f"2. change it:  the five marked places of {self.tasks}; then play it again\n"
            f"3. test it:    .venv/bin/python -m pytest tests/envs/test_apps.py {self.test} -k '{name} or {self.task} or held_out'\n"
            f"   (other milestones or rewards: also its line of REWARDS in tests/envs/test_apps.py)\n"
            f"4. try it:     .venv/bin/milepost certify {self.task} --seeds 2\n"
            f"5. certify it: make format, then .venv/bin/milepost certify {self.task} --seeds 20 --solutions 100\n"
            f"how, in five minutes: docs/writing-a-task.md"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A line or two that a new task adds to a file that is there."""

    path: Path
    text: str
    before: str
    """What it is put in front of: the first match of this regular expression."""

    def read(self) -> str:
        """Give the file with the entry added.

        Raises:
            ScaffoldError: the file does not look as expected.
        """
        whole = self.path.read_text(encoding="utf-8")
        place = re.search(self.before, whole, re.MULTILINE)
        if place is None:
            raise ScaffoldError(f"{self.path} has no place for a new task: nothing in it is {self.before!r}")
        return whole[: place.start()] + self.text + whole[place.start() :]


def begin_task(root: Path, name: str, *, family: str, summary: str = SUMMARY) -> Scaffold:
    """Write a new task into a checkout of the project.

    Args:
        root: the checkout.
        name: the task's name in CamelCase, such as `NoteArchive`.
        family: one of the six families.
        summary: one line about what the agent does.

    Raises:
        ScaffoldError: not such a name, family or summary, no checkout here, or the place is taken.
    """
    if not re.fullmatch(r"(?:[A-Z][a-z0-9]+)+", name):
        raise ScaffoldError(f"a task's name is in CamelCase, such as NoteArchive; got {name!r}")
    if family not in FAMILIES:
        raise ScaffoldError(f"unknown family {family!r}; known are {', '.join(FAMILIES)}")
    if not re.fullmatch(_FREE, summary):
        raise ScaffoldError(
            f"a summary is a line of 1 to 90 characters without quotes, $ and |; got {summary!r}"
        )
    app = _name_app(name)
    names = {"Name": name, "app": app, "family": family, "summary": summary}
    folder, test = root / "milepost/envs/apps" / app, root / f"tests/envs/apps/test_{app}.py"
    entries = _list_entries(root, names)
    _check_place(root, name, entries, (folder, test))
    tasks = folder / "tasks.py"
    written = {
        tasks: _sort_imports(_fill("tasks.txt", names)),
        folder / "server.py": _fill("server.txt", names),
        folder / "form.html": (_BLUEPRINT / "form.html.txt").read_text(encoding="utf-8"),
        folder / "__init__.py": '"""A form that asks in a dialog before it is sent."""\n',
        test: _fill("test.txt", names),
    }
    added = {entry.path: entry.read() for entry in entries}
    folder.mkdir(parents=True)
    for path, content in (written | added).items():
        path.write_text(content, encoding="utf-8")
    return Scaffold(task=f"{name}-v0", files=(*written, *added), tasks=tasks, test=test)


def _check_place(root: Path, name: str, entries: tuple[_Entry, ...], wanted: tuple[Path, ...]) -> None:
    for entry in entries:
        if not entry.path.is_file():
            raise ScaffoldError(
                f"{root.resolve()} is no checkout of milepost; run this where pyproject.toml is"
            )
        if f'"{name}-v0"' in entry.path.read_text(encoding="utf-8"):
            raise ScaffoldError(f"{name}-v0 is there already, in {entry.path}; choose another name")
    for path in wanted:
        if path.exists():
            raise ScaffoldError(f"{path} is there already; choose another name")


def _name_app(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _fill(blueprint: str, names: Mapping[str, str]) -> str:
    text = (_BLUEPRINT / blueprint).read_text(encoding="utf-8")
    return Text(text).substitute(names)


def _sort_imports(text: str) -> str:
    """Sort the imports of our own: where the app's stands among them depends on its name."""
    lines = text.split("\n")
    own = [index for index, line in enumerate(lines) if line.startswith("from milepost.")]
    lines[own[0] : own[-1] + 1] = sorted((lines[index] for index in own), key=lambda line: line.split()[1])
    return "\n".join(lines)


def _list_entries(root: Path, names: Mapping[str, str]) -> tuple[_Entry, ...]:
    """List what a new task adds: its row, what its milestones pay, and its line in the table of tasks."""
    name, summary = names["Name"], names["summary"]
    following = FAMILIES[FAMILIES.index(names["family"]) + 1 :]
    told = summary[0].lower() + summary[1:].rstrip(".")
    return (
        _Entry(
            path=root / "milepost/envs/registry.py",
            text=_fill("row.txt", names),
            before=r"^\)\n\n\ndef templates\(\)",
        ),
        _Entry(
            path=root / "tests/envs/test_apps.py",
            text=f'    "{name}-v0": {{"filled": "0.2", "asked": "0.3", "sent": "0.5"}},\n',
            before=r"^\}\n\n\n@each_template\ndef test_milestones_pay",
        ),
        _Entry(
            path=root / "docs/tasks.md",
            text=f"| | `{name}-v0` | {told} | 5 |\n",
            before=rf"^\| {following[0]} \| `" if following else r"^\n## What they pay",
        ),
    )
