"""The shape of the project, as far as no other tool watches it."""

import ast
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "milepost"
TESTS = ROOT / "tests"

FOLDERS = {"agents", "envs", "milestones", "sandbox", "training"}
FORBIDDEN_NAMES = {"base", "common", "core", "helper", "helpers", "misc", "util", "utils"}

MAX_LINES = 400
LONG_LINES = 300
LONG_FILES = {
    "milepost/__main__.py": "one command after the other, each with its own late imports",
    "tests/milestones/test_progress.py": "one fold, rule by rule",
    "tests/envs/test_hacking.py": "one hack after the other",
    "tests/sandbox/test_hostility.py": "one hostile page after the other",
    "tests/sandbox/test_session.py": "a session is tested action by action",
    "milepost/milestones/monitor.py": "one closed union: what each operation does with an event",
    "milepost/milestones/operators.py": "one closed union of tests",
    "milepost/milestones/progress.py": "one fold, with every rule that an event meets",
    "milepost/milestones/predicates.py": "one closed union and what combines it",
    "milepost/sandbox/actions.py": "one closed union",
    "milepost/sandbox/events.py": "one closed union with its canonical JSON",
    "milepost/milestones/router.py": "one decision: who is asked, what it is worth, its record, and the watch over many",
    "milepost/envs/episode.py": "one episode: how it opens, is judged step by step, is kept and is left to the next",
    "milepost/envs/registry.py": "one table: a row for each template",
    "milepost/training/arena.py": "one place where a policy plays: its browsers, engine, tiers and limits",
    "milepost/training/rollout.py": "one episode's way from request to trajectory, and the groups that are played together",
    "tests/training/test_trainer.py": "one small run after the other",
    "milepost/training/scenes.py": "one scene after the other, each a page and its goal",
    "milepost/training/learner.py": "one update: deal, score, derive the loss, step, on one process or many",
    "milepost/training/preference_learner.py": "one update: score whole episodes, derive the loss, run it in parts",
    "milepost/training/trainer.py": "one loop: imitate, roll out, learn, look",
    "milepost/sandbox/doctor.py": "one check after the other",
    "milepost/sandbox/browser.py": "one browser: how it starts, what it tells of its tabs and downloads, its scratch folder",
    "milepost/sandbox/follower.py": "one tab's state: what each of its events does to it",
    "milepost/sandbox/frames.py": "one tab's foreign frames: how they come, are read and are named",
    "milepost/sandbox/page.py": "one tab: all that is asked of it goes over one session and waits in one way",
    "milepost/sandbox/sites.py": "one proxy: what it takes, refuses, answers and hands on",
    "milepost/sandbox/session.py": "one episode's world: how it opens, steps, settles and closes",
}
"""Files over 300 lines, each with the reason why it is one piece."""

TABLES = {"milepost/sandbox/events.py"}
"""Files that are one long table; no other may pass 400 lines."""

UNTESTED = {
    "milepost/agents/agent.py": "a protocol and plain records",
    "milepost/training/algorithm.py": "plain records and names",
    "milepost/agents/engines/engine.py": "a protocol and plain records",
    "milepost/sandbox/world.py": "plain records",
}
"""Modules without behaviour, which need no tests."""

SEEN_THROUGH = {
    "milepost/agents/engines/vllm_worker.py": "tests/agents/engines/test_vllm_local.py",
    "milepost/training/follower.py": "tests/training/test_ranks.py",
    "milepost/sandbox/follower.py": "tests/sandbox/test_session.py",
    "milepost/sandbox/steady.py": "tests/sandbox/test_session.py",
    "milepost/sandbox/camera.py": "tests/sandbox/test_marks.py",
    "milepost/sandbox/hand.py": "tests/sandbox/test_actor.py",
    "milepost/sandbox/page.py": "tests/sandbox/test_session.py",
    "milepost/sandbox/equipment.py": "tests/sandbox/test_session.py",
    "milepost/sandbox/delivery.py": "tests/sandbox/test_tabs.py",
    "milepost/sandbox/witness.py": "tests/sandbox/test_session.py",
    "milepost/sandbox/events.py": "tests/sandbox/test_log.py",
}
"""Modules that show what they do only through another one, and where that is tested."""

ACROSS = {
    "tests/envs/test_frames.py",
    "tests/envs/test_hacking.py",
    "tests/envs/test_hacking_index.py",
    "tests/milestones/test_laws.py",
    "tests/sandbox/test_hostility.py",
    "tests/test_benchmarks.py",
    "tests/test_docs.py",
    "tests/test_long_form.py",
    "tests/test_layout.py",
    "tests/sandbox/test_accessible_names.py",
    "tests/sandbox/test_walker.py",
    "tests/training/test_parity.py",
    "tests/training/test_properties.py",
    "tests/training/preferences/test_parity.py",
}
"""Test files that belong to no single module: to all, or to the scripts that run in pages."""

BANNED = {"random", "unittest.mock"}

IMPORT_LIMIT_S = 0.1
IMPORT_RUNS = 7


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def modules() -> list[Path]:
    """Every module with code of its own, as a path below the package."""
    return [path.relative_to(PACKAGE) for path in python_files("milepost") if path.name != "__init__.py"]


def places_of_tests(module: Path) -> set[Path]:
    """Where a module may be tested: in the file of its name, or in that of a folder it is in."""
    places = {module.parent / f"test_{module.stem.strip('_')}.py"}
    folders = list(module.parents)[:-2]  # without the package and its five folders
    return places | {folder.parent / f"test_{folder.name}.py" for folder in folders}


def test_the_package_has_five_folders_and_nothing_beside_them() -> None:
    names = {path.name for path in PACKAGE.iterdir()} - {"__pycache__"}
    assert names == FOLDERS | {"__init__.py", "__main__.py", "py.typed"}


def test_every_module_has_a_test_file_at_its_own_place() -> None:
    missing = [
        module.as_posix()
        for module in modules()
        if relative(PACKAGE / module) not in UNTESTED | SEEN_THROUGH
        and not any((TESTS / p).exists() for p in places_of_tests(module))
    ]
    assert missing == []


def test_every_test_file_belongs_to_a_module() -> None:
    known = {TESTS / place for module in modules() for place in places_of_tests(module)}
    stray = [p for p in python_files("tests") if p.name.startswith("test_") and p not in known]
    assert [relative(path) for path in stray if relative(path) not in ACROSS] == []


def test_the_lists_of_exceptions_name_files_that_exist() -> None:
    named = {*LONG_FILES, *TABLES, *UNTESTED, *SEEN_THROUGH, *SEEN_THROUGH.values(), *ACROSS}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_no_file_is_too_long() -> None:
    lengths = {
        relative(p): len(p.read_text().splitlines()) for p in python_files("milepost", "tests", "benchmarks")
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES and name not in TABLES} == {}
    assert {
        name: lines for name, lines in lengths.items() if lines > LONG_LINES and name not in LONG_FILES
    } == {}


def test_a_file_listed_as_long_is_long() -> None:
    assert [name for name in LONG_FILES if len((ROOT / name).read_text().splitlines()) <= LONG_LINES] == []


def test_nothing_is_named_after_having_no_name() -> None:
    stems = {
        relative(p): set(p.relative_to(ROOT).with_suffix("").parts) for p in python_files("milepost", "tests")
    }
    assert [name for name, parts in stems.items() if parts & FORBIDDEN_NAMES] == []


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_no_file_imports_a_banned_module() -> None:
    files = python_files("milepost", "tests", "benchmarks")
    imported = {relative(path): BANNED & set(imported_modules(path)) for path in files}
    assert {name: banned for name, banned in imported.items() if banned} == {}


def exported_names(path: Path) -> list[str] | None:
    for node in ast.parse(path.read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            assert isinstance(node, ast.Assign)
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


def test_every_list_of_exports_is_without_repeats() -> None:
    exports = {relative(path): exported_names(path) for path in python_files("milepost")}
    assert [
        name for name, names in exports.items() if names is not None and len(names) != len(set(names))
    ] == []


# Processor time of a new process: importing waits for nothing, and other work on the machine does not count. Gymnasium, with
# which the environments are registered, takes most of an import, and how long depends on the machine: only what we add to it has
# a limit.
IMPORT_PROBE = """
import json, sys, time
import gymnasium
start = time.process_time()
import milepost
seconds = time.process_time() - start
print(json.dumps([seconds, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def measure_import() -> tuple[float, set[str]]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", IMPORT_PROBE]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    seconds, loaded = json.loads(done.stdout)
    return seconds, set(loaded)


def test_importing_the_package_is_quick_and_loads_neither_torch_nor_playwright() -> None:
    _, loaded = measure_import()  # also writes the bytecode that the timed runs read
    assert loaded & {"faker", "playwright", "starlette", "tokenizers", "torch", "transformers"} == set()
    assert statistics.median(measure_import()[0] for _ in range(IMPORT_RUNS)) < IMPORT_LIMIT_S
