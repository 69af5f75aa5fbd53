"""What the documents tell readers to type is typed here."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from milepost.envs.registry import templates
from milepost.sandbox.actions import ACTION_TYPES
from milepost.sandbox.events import FACT_FIELDS

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
ENVIRONMENTS = ROOT / "docs/environments.md"
GUIDE = ROOT / "docs/writing-a-task.md"
MINIWOB = ROOT / "docs/miniwob.md"
TASKS = ROOT / "docs/tasks.md"

_FENCE = re.compile(
    r"(?:^`(?P<path>[\w./-]+)`\n\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


def snippets(document: Path, language: str) -> list[str]:
    return [
        m["code"]
        for m in _FENCE.finditer(document.read_text())
        if m["language"] == language and not m["path"]
    ]


def run_python(*arguments: str, package: Path = ROOT) -> str:
    environment = {**os.environ, "PYTHONPATH": str(package)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=package, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


COMMAND = re.compile(r"^    \.venv/bin/(?:milepost|python -m) (?P<arguments>.*?)(?:\s+#.*)?$", re.MULTILINE)


def read_command(beginning: str) -> list[str]:
    """The first command of the guide that begins so, without the program."""
    found = [
        m["arguments"] for m in COMMAND.finditer(GUIDE.read_text()) if m["arguments"].startswith(beginning)
    ]
    return shlex.split(found[0])


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project to which the steps of the guide's short path were done, word for word."""
    root = tmp_path_factory.mktemp("followed")
    for folder in ("milepost", "tests"):
        # With what was compiled: it would be compiled again by every process.
        shutil.copytree(ROOT / folder, root / folder)
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / "docs").mkdir()
    shutil.copy(TASKS, root / "docs")
    run_python("-m", "milepost", *read_command("new-task"), package=root)
    tasks = root / "milepost/envs/apps/stock_order/tasks.py"
    blocks = re.split(r"^(?=# == )", tasks.read_text(), flags=re.MULTILINE)
    new = [code for code in snippets(GUIDE, "python") if code.startswith("# == ")]
    assert [code.partition("\n")[0] for code in new] == [code.partition("\n")[0] for code in blocks[1:6]]
    gaps = [block[len(block.rstrip()) :] for block in blocks[1:6]]
    blocks[1:6] = [code.rstrip() + gap for code, gap in zip(new, gaps, strict=True)]
    tasks.write_text("".join(blocks))
    (rewards,) = (code for code in snippets(GUIDE, "python") if code.startswith('    "StockOrder-v0"'))
    table = root / "tests/envs/test_apps.py"
    table.write_text(re.sub(r'^    "StockOrder-v0": .*\n', rewards, table.read_text(), flags=re.MULTILINE))
    return root


def test_the_task_of_the_guide_is_listed(followed: Path) -> None:
    rows = json.loads(run_python("-m", "milepost", "tasks", "--json", package=followed))
    assert "milepost/StockOrder-v0" in [row["env"] for row in rows]


def test_the_task_of_the_guide_is_written_as_the_checks_want_it(followed: Path) -> None:
    app = "milepost/envs/apps/stock_order"
    assert run_python("-m", "ruff", "check", "--no-cache", app, package=followed) == "All checks passed!\n"
    assert "already" in run_python("-m", "ruff", "format", "--no-cache", "--check", app, package=followed)


def test_the_task_of_the_guide_passes_the_tests_that_the_guide_names(followed: Path) -> None:
    printed = run_python("-m", *read_command("pytest"), "-p", "no:cacheprovider", "-q", package=followed)
    (said,) = re.findall(r"prints `(\d+ passed)`", GUIDE.read_text())
    assert re.search(rf"^{said}", printed, re.MULTILINE), printed


def test_the_events_of_the_guide_are_the_events_there_are() -> None:
    table: dict[str, tuple[str, ...]] = {}
    for kinds, fields in re.findall(
        r"^\|[a-z ]*\| (`[a-z_`, ]+`) \| (.*?) ?\|$", GUIDE.read_text(), re.MULTILINE
    ):
        for kind in re.findall(r"`(\w+)`", kinds):
            table[kind] = tuple(re.findall(r"`(\w+)`", fields))
    known = {kind: tuple(f for f in names if f != "tab") for kind, names in FACT_FIELDS.items()}
    assert table == known


@pytest.mark.browser
def test_another_way_to_do_the_task_of_the_guide_earns_everything_too(followed: Path) -> None:
    command = read_command("play StockOrder-v0 --policy")
    assert command[-1] == "alternative:size first"
    played = json.loads(run_python("-m", "milepost", *command, "--json", package=followed))
    assert played["success"] is True
    assert [step["rewards"] for step in played["steps"]] == [
        {"chosen": "1/10"},
        {},
        {},
        {"filled": "1/5"},
        {"asked": "1/5"},
        {"sent": "1/2"},
    ]


CERTIFY = """
import asyncio
from milepost.envs.certify import certify
from milepost.envs.registry import get_template
from milepost.sandbox.browser import BrowserOptions
from milepost.sandbox.pool import Pool

async def run():
    pool = Pool(contexts=2, options=BrowserOptions(drawn=False))
    made = await certify(pool, get_template("StockOrder-v0"), seeds=1, adversaries=(), repeats=0)
    await pool.close()
    print(made.describe())

asyncio.run(run())
"""
"""All of a certificate but its adversaries, which take most of the time."""


@pytest.mark.browser
def test_the_task_of_the_guide_is_certified(followed: Path) -> None:
    printed = run_python("-c", CERTIFY, package=followed)
    assert printed.startswith("StockOrder-v0: certified on 1 seeds; solved on 1 in 4 ways; ")
    (told, of) = re.findall(r"mutants told apart (\d+) of (\d+)", printed)[0]
    assert int(told) == int(of) > 30


PRINTED = (
    r"\(1\.0, True\)\n",
    r"\('.+', '.+', '.+', '.+'\)\n",
    r"\[(1\.0|0\.99\d*), (1\.0|0\.99\d*)\]\n",
    r"\[1\] link .+\n(.+\n)*\(\.\.\. \d more: .+\)\nscroll\(0, 200\) noop\(1000\)\n",
    r"\(600, 800, 3\) \{.+\n",
    r"\(\{'type': 'text', 'text': '.+'\},\) no element .+\n",
)
"""What each example of the environments' page prints."""


EACH = """
import contextlib, io, json, sys

said = []
for number, example in enumerate(json.loads(sys.argv[1])):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(example, f"example {number}", "exec"), {"__name__": "__main__"})
    said.append(out.getvalue())
print(json.dumps(said))
"""
"""Runs one example after the other, each with names of its own: a process for each spends its time with importing
and with starting a browser."""

SHOW = {README: ("", "\nprint(env.spec, env.observation_space['tree'])", "\nprint(spec.total)")}
"""What is added to examples that print nothing."""


@pytest.fixture(scope="module")
def printed() -> dict[Path, list[str]]:
    """What the examples of each document print, in their order."""
    examples = {document: snippets(document, "python") for document in (README, ENVIRONMENTS, MINIWOB, TASKS)}
    shown = [
        example + more
        for document, found in examples.items()
        for example, more in zip(found, SHOW.get(document, ("",) * len(found)), strict=True)
    ]
    said = iter(json.loads(run_python("-c", EACH, json.dumps(shown))))
    return {document: [next(said) for _ in found] for document, found in examples.items()}


@pytest.mark.browser
def test_the_environment_of_the_readme_prints_what_the_readme_says(printed: dict[Path, list[str]]) -> None:
    assert printed[README][0] == snippets(README, "")[0]


@pytest.mark.browser
def test_the_page_of_your_own_in_the_readme_is_an_environment(printed: dict[Path, list[str]]) -> None:
    assert printed[README][1].startswith("None Unicode")


@pytest.mark.browser
def test_the_milestones_of_the_readme_are_valid(printed: dict[Path, list[str]]) -> None:
    assert printed[README][2] == "1\n"


@pytest.mark.browser
@pytest.mark.parametrize("number", range(len(PRINTED)))
def test_the_examples_of_the_environments_page_run(number: int, printed: dict[Path, list[str]]) -> None:
    assert len(printed[ENVIRONMENTS]) == len(PRINTED)
    assert re.fullmatch(PRINTED[number], printed[ENVIRONMENTS][number])


def test_the_environments_page_names_every_action() -> None:
    (table,) = re.findall(r"^\| for \| calls \|\n.*?\n\n", ENVIRONMENTS.read_text(), re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`(\w+)", table)) == set(ACTION_TYPES)


@pytest.mark.browser
def test_the_environment_of_the_miniwob_page_is_solved(printed: dict[Path, list[str]]) -> None:
    (said,) = printed[MINIWOB]
    assert re.fullmatch(r'Click on the ".+" button\. 1\.0\n', said)


def test_the_page_of_tasks_lists_every_template_under_its_family() -> None:
    listed, family = [], ""
    for name, template in re.findall(r"^\| (\w*) ?\| `([\w-]+)` \|", TASKS.read_text(), re.MULTILINE):
        family = name or family
        listed.append((family, template))
    assert sorted(listed) == sorted((row.family, row.id) for row in templates())


@pytest.mark.browser
def test_the_example_of_the_page_of_tasks_shows_a_goal(printed: dict[Path, list[str]]) -> None:
    (said,) = printed[TASKS]
    assert '"' in said


@pytest.mark.parametrize(
    "document",
    [
        ENVIRONMENTS,
        GUIDE,
        MINIWOB,
        ROOT / "docs/milestones.md",
        README,
        TASKS,
        ROOT / "docs/architecture.md",
        ROOT / "docs/decisions/README.md",
        ROOT / "CONTRIBUTING.md",
    ],
)
def test_every_link_of_a_document_leads_to_a_file(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []
