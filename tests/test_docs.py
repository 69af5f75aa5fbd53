"""What the documents tell readers to type is typed here."""

import json
import os
import re
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


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project to which the guide's steps were done, word for word."""
    root = tmp_path_factory.mktemp("followed")
    for folder in ("milepost", "tests"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    for match in _FENCE.finditer(GUIDE.read_text()):
        if match["path"]:
            path = root / match["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(match["code"])
    (row,) = (code for code in snippets(GUIDE, "python") if code.startswith("Row("))
    insert(root / "milepost/envs/registry.py", "_ROWS = (\n", row)
    rewards = '"ReportSwitch-v0": {"opened": "0.25", "switched": "0.25", "saved": "0.5"},\n'
    insert(root / "tests/envs/test_apps.py", "REWARDS = {\n", rewards)
    return root


def insert(path: Path, after: str, text: str) -> None:
    head, mark, tail = path.read_text().partition(after)
    assert mark, f"{path} has no {after!r}"
    path.write_text(head + mark + text + tail)


def test_the_task_of_the_guide_is_listed(followed: Path) -> None:
    rows = json.loads(run_python("-m", "milepost", "tasks", "--json", package=followed))
    assert "milepost/ReportSwitch-v0" in [row["env"] for row in rows]


def test_the_task_of_the_guide_passes_the_tests_of_every_task_and_its_own(followed: Path) -> None:
    files = ["tests/envs/apps/test_settings.py", "tests/envs/test_apps.py"]
    chosen = ["-k", "test_settings or ReportSwitch", "-p", "no:cacheprovider", "-q"]
    printed = run_python("-m", "pytest", *files, *chosen, package=followed)
    assert re.search(r"^1\d passed", printed, re.MULTILINE), printed


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
def test_the_task_of_the_guide_is_solved_by_its_oracle_with_full_reward(followed: Path) -> None:
    command = ["-m", "milepost", "play", "ReportSwitch-v0", "--policy", "oracle", "--json"]
    played = json.loads(run_python(*command, package=followed))
    assert played["success"] is True
    assert [step["rewards"] for step in played["steps"]] == [
        {"opened": "1/4"},
        {"switched": "1/4"},
        {"saved": "1/2"},
    ]


@pytest.mark.browser
def test_the_environment_of_the_readme_prints_what_the_readme_says() -> None:
    example, *_ = snippets(README, "python")
    (printed,) = snippets(README, "")
    assert run_python("-c", example) == printed


def test_the_page_of_your_own_in_the_readme_is_an_environment() -> None:
    _, example, _ = snippets(README, "python")
    assert run_python("-c", f"{example}\nprint(env.spec, env.observation_space['tree'])").startswith(
        "None Unicode"
    )


PRINTED = (
    r"\(1\.0, True\)\n",
    r"\('.+', '.+', '.+', '.+'\)\n",
    r"\[(1\.0|0\.99\d*), (1\.0|0\.99\d*)\]\n",
    r"\[1\] link .+\n(.+\n)*\(\.\.\. \d more: .+\)\nscroll\(0, 200\) noop\(1000\)\n",
    r"\(600, 800, 3\) \{.+\n",
    r"\(\{'type': 'text', 'text': '.+'\},\) no element .+\n",
)
"""What each example of the environments' page prints."""


@pytest.mark.browser
@pytest.mark.parametrize("number", range(len(PRINTED)))
def test_the_examples_of_the_environments_page_run(number: int) -> None:
    examples = snippets(ENVIRONMENTS, "python")
    assert len(examples) == len(PRINTED)
    assert re.fullmatch(PRINTED[number], run_python("-c", examples[number]))


def test_the_environments_page_names_every_action() -> None:
    (table,) = re.findall(r"^\| for \| calls \|\n.*?\n\n", ENVIRONMENTS.read_text(), re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`(\w+)", table)) == set(ACTION_TYPES)


@pytest.mark.browser
def test_the_environment_of_the_miniwob_page_is_solved() -> None:
    (example,) = snippets(MINIWOB, "python")
    assert re.fullmatch(r'Click on the ".+" button\. 1\.0\n', run_python("-c", example))


def test_the_page_of_tasks_lists_every_template_under_its_family() -> None:
    listed, family = [], ""
    for name, template in re.findall(r"^\| (\w*) ?\| `([\w-]+)` \|", TASKS.read_text(), re.MULTILINE):
        family = name or family
        listed.append((family, template))
    assert sorted(listed) == sorted((row.family, row.id) for row in templates())


@pytest.mark.browser
def test_the_example_of_the_page_of_tasks_shows_a_goal() -> None:
    (example,) = snippets(TASKS, "python")
    assert '"' in run_python("-c", example)


def test_the_milestones_of_the_readme_are_valid() -> None:
    _, _, spec = snippets(README, "python")
    assert run_python("-c", f"{spec}\nprint(spec.total)") == "1\n"


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
