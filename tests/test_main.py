"""The command line."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from milepost import __main__ as main
from milepost.__main__ import app
from milepost.envs.registry import get_template, imported_templates, templates
from milepost.envs.task import Split, Task
from milepost.milestones.judge.scripted import compare_quotes
from milepost.sandbox.sites import ASGIApp, Recorder, Site
from tests.training.judging import serve

RUNNER = CliRunner()


def run(*arguments: str) -> tuple[int, str]:
    result = RUNNER.invoke(app, list(arguments))
    return result.exit_code, result.output


@pytest.mark.parametrize(
    "command", ["tasks", "play", "train", "eval", "audit", "pretrain", "algorithms", "doctor"]
)
def test_every_command_explains_itself(command: str) -> None:
    code, output = run(command, "--help")
    assert code == 0
    assert "Usage" in output


def test_tasks_are_listed_for_programs() -> None:
    code, output = run("tasks", "--json")
    assert code == 0
    assert [row["id"] for row in json.loads(output)] == [template.id for template in templates()]


def test_tasks_of_other_packages_are_listed_when_asked_for() -> None:
    _, output = run("tasks", "--all", "--json")
    rows = [*templates(), *imported_templates()]
    assert [row["id"] for row in json.loads(output)] == [row.id for row in rows]


def test_tasks_are_listed_for_people() -> None:
    code, output = run("tasks")
    assert code == 0
    assert all(template.id in output for template in templates())


def test_algorithms_are_listed_for_programs_and_for_people() -> None:
    code, output = run("algorithms", "--json")
    assert code == 0
    names = [row["name"] for row in json.loads(output)]
    assert names[0] == "milestone_grpo"
    code, output = run("algorithms")
    assert code == 0
    assert all(name in output for name in names)


def test_an_unknown_task_names_the_nearest() -> None:
    code, output = run("play", "ReprtExport")
    assert code == 2
    assert "did you mean ReportExport-v0" in " ".join(output.split())


PROBE = """
import contextlib, sys
from milepost.__main__ import app
with contextlib.suppress(SystemExit):
    app(["play", "ReportExport-v0", "--policy", "alternative:x"])
print("torch" in sys.modules)
"""


def test_playing_without_a_model_loads_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert "has no alternative 'x'" in done.stderr
    assert done.stdout == "False\n"


LISTING_PROBE = """
import contextlib, sys
from milepost.__main__ import app
with contextlib.suppress(SystemExit):
    app(["algorithms", "--json"])
print("torch" in sys.modules, file=sys.stderr)
"""


def test_listing_algorithms_loads_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", LISTING_PROBE], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)[0]["name"] == "milestone_grpo"
    assert done.stderr.splitlines()[-1] == "False"


def test_an_unknown_alternative_names_the_nearest() -> None:
    code, output = run("play", "WikiSearch-v0", "--policy", "alternative:by keybord")
    assert (code, "did you mean 'by keyboard'?" in " ".join(output.split())) == (2, True)


def test_an_unknown_split_is_an_error() -> None:
    code, output = run("play", "ReportExport-v0", "--split", "trian")
    assert code == 2
    assert "trian" in output


def test_a_folder_that_is_no_model_is_an_error(tmp_path: Path) -> None:
    code, output = run("eval", str(tmp_path))
    assert code == 2
    assert "config.json" in output


def test_auditing_what_is_no_folder_is_an_error(tmp_path: Path) -> None:
    code, output = run("audit", str(tmp_path / "none"))
    assert code == 2
    assert "expected a run such as runs/first-light" in " ".join(output.split())


def test_auditing_a_folder_without_episodes_is_not_clean(tmp_path: Path) -> None:
    code, output = run("audit", str(tmp_path))
    assert code == 1
    assert "no recorded episodes" in output


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("trian.iterations=1", "train"),
        ("train.iteratons=1", "iterations"),
        ("train.iterations=many", "train.iterations"),
    ],
)
def test_a_wrong_setting_names_the_right_one(tmp_path: Path, setting: str, message: str) -> None:
    config = tmp_path / "run.toml"
    config.write_text("[run]\nseed = 3\n")
    code, output = run("train", str(config), "--out", str(tmp_path / "run"), "--set", setting)
    assert code == 2
    assert message in output
    assert not (tmp_path / "run").exists()


def test_a_run_folder_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text('[run]\nname = "x"\n')
    (tmp_path / "kept.txt").write_text("mine")
    code, output = run("train", str(config), "--out", str(tmp_path))
    assert code == 2
    assert "--out" in output
    assert (tmp_path / "kept.txt").read_text() == "mine"


@pytest.mark.browser
def test_the_oracle_plays_an_episode_step_by_step() -> None:
    code, output = run("play", "CatalogSearch-v0", "--seed", "1")
    assert code == 0
    assert "goal reached" in output
    assert "+ 1/4 query" in output


def build_broken(record: Recorder) -> ASGIApp:
    async def app(scope: object, receive: object, send: object) -> None:
        raise KeyError("rom")

    return app


@pytest.mark.browser
def test_an_episode_whose_site_raises_ends_with_what_was_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = get_template("CatalogSearch-v0")

    def build(rng: np.random.Generator, split: Split) -> Task:
        task = sound.build(rng, split)
        return dataclasses.replace(
            task, sites={host: Site(app="catalog", build=build_broken) for host in task.sites}
        )

    broken = dataclasses.replace(sound, build=build)
    monkeypatch.setattr(main, "get_template", lambda task_id: broken)
    code, output = run("play", "CatalogSearch-v0")
    said = " ".join(output.split())
    assert (code, "goal not reached in 0 steps" in said) == (2, True)
    assert re.search(
        r"error: the task's own site broke: GET http://\S+ KeyError: 'rom' \(tests/test_main.py, ", said
    )


@pytest.mark.browser
def test_evaluating_records_episodes_that_audit_clean(tmp_path: Path) -> None:
    code, output = run(
        "eval", "oracle", "--task", "CatalogSearch-v0", "--episodes", "3", "--out", str(tmp_path), "--json"
    )
    assert code == 0
    assert json.loads(output)["success"] == 1.0
    code, output = run("audit", str(tmp_path))
    assert code == 0
    assert "equal byte for byte" in output


@pytest.mark.browser
def test_evaluating_with_the_tiers_of_a_run_says_who_decided(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with serve(compare_quotes) as server:
        config = f'[tasks]\nids = ["CatalogSearch-v0"]\n[reward]\njudge = ["scripted@{server.url}"]\n'
        (tmp_path / "run" / "config.toml").write_text(config)
        task = ("--task", "MeantInvoice-v0", "--episodes", "2")
        code, output = run(
            *("eval", "oracle", *task, "--reward", str(tmp_path / "run"), "--out", str(tmp_path), "--json")
        )
    assert code == 0, output
    record = json.loads(output)
    assert (record["success"], record["unscored"], record["routes"]) == (1.0, 0, {"judge": 4})
    assert record["tasks"]["MeantInvoice-v0"]["routes"] == {"judge": 4}
    code, output = run("audit", str(tmp_path))
    assert (code, "equal byte for byte" in output) == (0, True)
    # A configuration that asks nobody is refused.
    (tmp_path / "run" / "config.toml").write_text("")
    code, output = run("eval", "oracle", *task, "--reward", str(tmp_path / "run"))
    assert (code, "no rule of MeantInvoice-v0 decides" in " ".join(output.split())) == (2, True)


@pytest.mark.browser
def test_a_dry_run_prints_every_count_and_makes_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "run.toml"
    config.write_text(
        '[tasks]\nids = ["CatalogSearch-v0"]\n[policy]\nmax_tokens = 4\n[rollout]\ngroup_size = 2\ncontexts = 2\n'
        '[preference]\nmethod = "dpo"\n[run]\nthreads = 1\n'
    )
    code, output = run("train", str(config), "--dry-run", "--json")
    assert code == 0, output
    counts = json.loads(output)
    assert counts["rollouts_per_iteration"] == {"value": 48, "unit": "episodes", "how": "24 groups of 2"}
    assert "1 further models" in counts["model_memory"]["how"]  # the reference
    assert counts["run_time"]["value"] > 0
    assert list(tmp_path.iterdir()) == [config]


@pytest.mark.browser
@pytest.mark.slow
def test_training_runs_end_to_end_and_resumes(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text(
        '[tasks]\nids = ["ReportExport-v0"]\n[imitation]\nepisodes = 1\n[policy]\nmax_tokens = 8\n'
        "[rollout]\ngroup_size = 2\ncontexts = 2\n"
        "[train]\niterations = 1\ntasks_per_iteration = 1\n"
        "[eval]\nevery = 1\nepisodes = [0, 1]\n"
    )
    out = tmp_path / "run"
    code, output = run("train", str(config), "--out", str(out))
    assert code == 0, output
    assert "held-out test success after" in " ".join(output.split())
    html = (out / "report.html").read_text()
    assert html.lstrip().lower().startswith("<!doctype html>")
    assert "http://" not in html.replace("http://www.w3.org", "").split("<body")[0]
    code, output = run("audit", str(out))
    assert code == 0, output
    more = ("--resume", "--set", "train.iterations=2")
    code, output = run("train", str(config), "--out", str(out), *more)
    assert code == 0, output
    kinds = [json.loads(line)["kind"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert kinds.count("train") == 2 or kinds.count("iteration") == 2, kinds
