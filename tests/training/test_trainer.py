import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from milepost.agents.tiny.model import build_config as build_architecture
from milepost.agents.tiny.model import build_model
from milepost.agents.tiny.tokenizer import build_tokenizer
from milepost.envs.task import UnknownTaskError
from milepost.training.checkpoint import find_latest
from milepost.training.config import Config, build_config
from milepost.training.display import SilentDisplay
from milepost.training.metrics import read_metrics
from milepost.training.run import RunExistsError
from milepost.training.trainer import train

pytestmark = pytest.mark.browser

TASK = "CatalogSearch-v0"


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policy")
    tokenizer = build_tokenizer(["click", "button", "link", "fill"])
    build_model(
        build_architecture(len(tokenizer), pad=0, end=tokenizer.eos_token_id), seed=0
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_config(policy: Path, *overrides: str) -> Config:
    small = {
        "run": {"threads": 1},
        "tasks": {"ids": [TASK]},
        "policy": {"model": str(policy), "max_tokens": 6},
        "rollout": {"group_size": 2, "contexts": 2},
        "imitation": {"episodes": 1},
        "train": {"iterations": 2, "tasks_per_iteration": 1, "max_minutes": 60.0},
        "eval": {"every": 1, "validation_episodes": 1, "test_episodes": 1},
        "checkpoint": {"every": 1},
    }
    return build_config(small, overrides)


def kinds(run: Path) -> list[str]:
    return [record.get("phase", record["kind"]) for record in read_metrics(run)]


WHOLE = [
    "imitation",
    "test-start",
    "validation-0000",
    "iteration",
    "validation-0001",
    "iteration",
    "validation-0002",
    "test-end",
]


class Heard(SilentDisplay):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_a_run_leaves_metrics_checkpoints_episodes_a_summary_and_a_report(
    policy: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    summary = train(make_config(policy), run)
    assert kinds(run) == WHOLE
    assert (summary.iterations, summary.stopped) == (2, "iterations")
    assert {p.name for p in run.iterdir()} == {
        *(
            "checkpoints",
            "config.toml",
            "episodes",
            "metrics.jsonl",
            "report.html",
            "summary.json",
            "tensorboard",
        )
    }
    assert sorted(p.name for p in (run / "episodes").iterdir()) == [
        f"test-end-{TASK}-0-0",
        f"test-start-{TASK}-0-0",
    ]
    iteration = next(r for r in read_metrics(run) if r["kind"] == "iteration")
    assert iteration["proportion"]["n"] == 2
    assert abs(iteration["learner"].get("kl_sampler", 0.0)) < 1e-6

    with pytest.raises(RunExistsError, match="already holds a run"):
        train(make_config(policy), run)
    heard = Heard()
    assert train(make_config(policy), run, resume=True, progress=heard) == summary
    assert "is finished" in heard.lines[0]
    assert kinds(run) == WHOLE


def test_a_resumed_run_goes_on_with_its_reference_and_has_every_line_once(
    policy: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    more = ("algorithm.kl_coef=0.01",)
    train(make_config(policy, "train.iterations=1", *more), run)
    heard = Heard()
    train(make_config(policy, *more), run, resume=True, progress=heard)
    assert heard.lines == [f"resuming {run} after iteration 1"]
    assert kinds(run) == WHOLE
    divergence = [r["learner"]["kl_reference"] for r in read_metrics(run) if r["kind"] == "iteration"]
    assert divergence[0] == pytest.approx(0.0, abs=1e-6)
    assert {p.name for p in (run / "checkpoints").iterdir()} == {"000001", "000002", "latest"}


def test_oracles_are_rehearsed_even_where_no_reward_teaches(policy: Path, tmp_path: Path) -> None:
    more = ("algorithm.preset=ppo_ptx", "imitation.episodes=0", "eval.every=0", "train.iterations=1")
    train(make_config(policy, *more), tmp_path / "run")
    [iteration] = [r for r in read_metrics(tmp_path / "run") if r["kind"] == "iteration"]
    assert iteration["learner"]["rehearsal"] > 0
    assert iteration["learner"]["grad_norm"] > 0


def test_an_unknown_task_leaves_nothing_behind(policy: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownTaskError):
        train(make_config(policy, 'tasks.ids=["Nothing-v0"]'), tmp_path / "run")
    assert not (tmp_path / "run").exists()


INTERRUPTED = """
import sys
from pathlib import Path
from milepost.training.trainer import TrainingInterruptedError, train
from tests.training.test_trainer import make_config

try:
    train(make_config(Path(sys.argv[1]), "train.iterations=1000"), Path(sys.argv[2]))
except TrainingInterruptedError as stopped:
    sys.stdout.write(str(stopped))
    sys.exit(130)
"""


def test_ctrl_c_keeps_what_was_learnt_and_leaves_no_browser_behind(policy: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-c", INTERRUPTED, str(policy), str(run)]
    process = subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 90
    while "iteration" not in kinds(run) and time.monotonic() < deadline:
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    latest = find_latest(run / "checkpoints")
    assert latest is not None
    assert f"stopped after iteration {int(latest.name)}" in said
    assert f"--resume --out {run}" in said
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


@pytest.fixture(autouse=True)
def threads() -> object:
    before = torch.get_num_threads()
    yield None
    torch.set_num_threads(before)
