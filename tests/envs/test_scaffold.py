"""A new task works as it is written: its own tests and those of every task pass on it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from milepost.envs.scaffold import ScaffoldError, begin_task

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkout")
    for folder in ("milepost", "tests"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / "docs").mkdir()
    shutil.copy(ROOT / "docs/tasks.md", root / "docs")
    made = begin_task(root, "NoteArchive", family="settings", summary="Archive a note, after a question.")
    assert made.task == "NoteArchive-v0"
    assert all(path.is_file() for path in made.files)
    assert "milepost certify NoteArchive-v0" in made.describe()
    return root


def run(root: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_a_new_task_passes_its_own_tests_and_what_every_task_keeps_to(checkout: Path) -> None:
    files = ["tests/envs/apps/test_note_archive.py", "tests/envs/test_apps.py"]
    chosen = [
        "-k",
        "note_archive or (NoteArchive and (start_page or round_trip or sees_nothing))",
        "-p",
        "no:cacheprovider",
        "-q",
        "-n",
        "0",
    ]
    printed = run(checkout, "-m", "pytest", *files, *chosen)
    assert re.search(r"^9 passed", printed, re.MULTILINE), printed
    assert "failed" not in printed


def test_a_new_task_is_written_as_the_checks_want_it(checkout: Path) -> None:
    files = [
        "milepost/envs/apps/note_archive",
        "tests/envs/apps/test_note_archive.py",
        "milepost/envs/registry.py",
    ]
    assert run(checkout, "-m", "ruff", "check", "--no-cache", *files).strip() == "All checks passed!"
    assert (
        run(checkout, "-m", "ruff", "format", "--no-cache", "--check", *files)
        .strip()
        .endswith("already formatted")
    )


def test_what_an_author_changes_stands_in_five_marked_places(checkout: Path) -> None:
    tasks = (checkout / "milepost/envs/apps/note_archive/tasks.py").read_text()
    assert re.findall(r"^# == (\d)\. The (\w+)", tasks, re.MULTILINE) == [
        ("1", "page"),
        ("2", "data"),
        ("3", "milestones"),
        ("4", "oracle"),
        ("5", "alternatives"),
    ]
    assert tasks.startswith('"""NoteArchive: Archive a note, after a question.\n')


def test_a_new_task_stands_at_the_end_of_its_family(checkout: Path) -> None:
    table = (checkout / "docs/tasks.md").read_text()
    line = "| | `NoteArchive-v0` | archive a note, after a question | 5 |\n"
    assert re.search(rf"^\| \| `SecurityPanel-v0` .*\n{re.escape(line)}\| search \|", table, re.MULTILINE)


def test_what_is_there_is_not_overwritten(checkout: Path) -> None:
    with pytest.raises(ScaffoldError, match="is there already"):
        begin_task(checkout, "NoteArchive", family="settings")


@pytest.mark.parametrize(
    ("name", "family", "message"),
    [
        ("note_archive", "settings", "CamelCase"),
        ("../Evil", "settings", "CamelCase"),
        ("NoteFind", "serch", "unknown family 'serch'"),
    ],
)
def test_names_that_cannot_be_are_refused(checkout: Path, name: str, family: str, message: str) -> None:
    with pytest.raises(ScaffoldError, match=message):
        begin_task(checkout, name, family=family)


@pytest.mark.parametrize("summary", ["", 'Say "yes".', "Two\nlines.", "A | b.", "Pay $app.", "x" * 91])
def test_a_summary_that_would_break_what_is_written_is_refused(checkout: Path, summary: str) -> None:
    with pytest.raises(ScaffoldError, match="a summary is a line"):
        begin_task(checkout, "NoteFind", family="search", summary=summary)


def test_the_last_family_has_a_place_too(checkout: Path) -> None:
    begin_task(checkout, "NoteFind", family="search")
    table = (checkout / "docs/tasks.md").read_text()
    assert re.search(
        r"^\| \| `MeantInvoice-v0` .*\n\| \| `NoteFind-v0` .*\n\n## What they pay", table, re.MULTILINE
    )


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScaffoldError, match="no checkout of milepost"):
        begin_task(tmp_path, "NoteArchive", family="settings")
