import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.resume import build_run, read_numbers, read_weights
from milepost.agents.agent import ModelLoadError
from milepost.agents.engines import choice
from milepost.agents.engines.engine import EngineError
from milepost.agents.llm import load_policy, save_policy
from milepost.agents.tiny.model import build_config as build_architecture
from milepost.agents.tiny.model import build_model
from milepost.agents.tiny.tokenizer import build_tokenizer
from milepost.envs.task import UnknownTaskError
from milepost.milestones.judge.scripted import Act
from milepost.training import imitation, verifiers
from milepost.training.checkpoint import CheckpointError, TrainState, find_latest, save_checkpoint
from milepost.training.config import Config, build_config
from milepost.training.display import SilentDisplay
from milepost.training.metrics import read_metrics
from milepost.training.overrides import ConfigError
from milepost.training.records import read_episode
from milepost.training.run import RunExistsError, hold_run, open_run
from milepost.training.trainer import train
from tests.agents.seeing import make_seeing
from tests.training.judging import serve
from tests.training.processes import open_context, train_until_killed, train_until_told

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
        "train": {"iterations": 2, "tasks_per_iteration": 1, "budget": "60 minutes"},
        "eval": {"every": 1, "episodes": [1, 1]},
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
    assert heard.lines[0] == f"resuming {run} after iteration 1"
    assert kinds(run) == WHOLE
    divergence = [r["learner"]["kl_reference"] for r in read_metrics(run) if r["kind"] == "iteration"]
    assert divergence[0] == pytest.approx(0.0, abs=1e-6)
    assert {p.name for p in (run / "checkpoints").iterdir()} == {"000001", "000002", "latest"}


def test_rollouts_that_run_ahead_are_one_update_old_and_learnt_all_the_same(
    policy: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(
        make_config(
            policy,
            "rollout.max_staleness=1",
            "rollout.contexts=4",
            "imitation.episodes=0",
            "eval.episodes=[0,1]",
        ),
        run,
    )
    iterations = [r for r in read_metrics(run) if r["kind"] == "iteration"]
    assert [r["staleness"]["max"] for r in iterations] == [0.0, 1.0]
    assert [r["proportion"]["n"] for r in iterations] == [2, 2]
    assert all(0.0 < iterations[0]["time"][f"{who}_busy"] < 1.0 for who in ("engine", "browser", "learner"))


def test_oracles_are_rehearsed_even_where_no_reward_teaches(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imitation, "REHEARSED", 2)
    brief = ("imitation.episodes=0", "eval.episodes=[0,1]", "train.iterations=1")
    more = ("algorithm.preset=ppo_ptx", "algorithm.epochs=1", "algorithm.minibatches=1", *brief)
    train(make_config(policy, *more), tmp_path / "run")
    [iteration] = [r for r in read_metrics(tmp_path / "run") if r["kind"] == "iteration"]
    assert iteration["learner"]["rehearsal"] > 0
    assert iteration["learner"]["grad_norm"] > 0


def test_a_run_that_somebody_trains_is_not_resumed_beside_them(policy: Path, tmp_path: Path) -> None:
    with hold_run(tmp_path / "run"), pytest.raises(RunExistsError, match="another process that trains it"):
        train(make_config(policy), tmp_path / "run", resume=True)


def test_an_unknown_task_leaves_nothing_behind(policy: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownTaskError):
        train(make_config(policy, 'tasks.ids=["Nothing-v0"]'), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_was_learnt_and_leaves_no_browser_behind(
    sent: signal.Signals, policy: Path, tmp_path: Path
) -> None:
    run, scratch, said = tmp_path / "run", tmp_path / "scratch", tmp_path / "said"
    scratch.mkdir()
    config = make_config(policy, "train.iterations=1000", "imitation.episodes=0", "eval.episodes=[0,1]")
    process = open_context().Process(target=train_until_told, args=(config, run, scratch, said), daemon=True)
    process.start()
    assert process.pid is not None
    deadline = time.monotonic() + 90
    while "iteration" not in kinds(run) and time.monotonic() < deadline:
        time.sleep(0.2)
    os.kill(process.pid, sent)
    process.join(120)
    assert process.exitcode == 130
    assert list(scratch.iterdir()) == []
    latest = find_latest(run / "checkpoints")
    assert latest is not None
    assert f"stopped after iteration {int(latest.name)}" in said.read_text()
    assert f"--resume --out {run}" in said.read_text()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_that_is_killed_again_and_again_comes_to_the_same_numbers(policy: Path, tmp_path: Path) -> None:
    """Each process kills itself with signal 9 after a random number of episodes, records and stages."""
    config = build_run(
        f"policy.model={policy}",
        "policy.max_tokens=4",
        "train.tasks_per_iteration=1",
        "rollout.group_size=2",
        "eval.episodes=[0,1]",
        'tasks.ids=["ReportExport-v0"]',
        # A random policy earns nothing, but every turn costs it something, and from that it can learn.
        'algorithm.flags=["frontier","length_penalty"]',
        iterations=2,
        contexts=2,
    )

    def play(run: Path, left: int) -> int | None:
        process = open_context().Process(target=train_until_killed, args=(config, run, left), daemon=True)
        process.start()
        process.join()
        return process.exitcode

    whole, cut, rng = tmp_path / "whole", tmp_path / "cut", np.random.default_rng(0)
    assert play(whole, 0) == 0
    assert [play(cut, int(rng.integers(4, 8))) for _ in range(2)] == [-signal.SIGKILL] * 2
    assert play(cut, 0) == 0
    assert read_numbers(whole) == read_numbers(cut)
    assert read_weights(whole) == read_weights(cut)
    learnt = [record["learner"] for record in read_metrics(whole) if record["kind"] == "iteration"]
    assert all(facts["grad_norm"] > 0 for facts in learnt)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("optimizer.pt", "optimizer.pt cannot be used"),
        ("model.safetensors", "its policy cannot be loaded"),
        ("state.json", "is not a checkpoint"),
    ],
)
def test_a_checkpoint_cut_off_in_the_middle_is_named_with_what_to_do(
    policy: Path, tmp_path: Path, broken: str, message: str
) -> None:
    run, config = tmp_path / "run", make_config(policy)
    open_run(run, config, resume=False)
    model, tokenizer = load_policy(str(policy))
    state = TrainState(
        iteration=1,
        policy_version=1,
        elapsed_s=0.0,
        sampler={"next": {}, "estimates": {}, "turn": 0},
        rng=dict(np.random.default_rng(0).bit_generator.state),
        metrics_bytes=0,
        config=config.model_dump(mode="json"),
        digest=config.digest(),
    )
    optimizer = torch.optim.AdamW(model.parameters())
    latest = save_checkpoint(
        run / "checkpoints", state=state, model=model, tokenizer=tokenizer, optimizer=optimizer
    )
    path = latest / broken
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(CheckpointError, match=message) as caught:
        train(config, run, resume=True)
    assert f"remove {latest}" in str(caught.value)


@pytest.fixture(autouse=True)
def threads() -> object:
    before = torch.get_num_threads()
    yield None
    torch.set_num_threads(before)


def test_a_run_goes_on_when_its_judge_breaks_down(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifiers, "RETRIES", 0)

    def break_down(request: object, number: int) -> Act:
        # It is there when the run begins, and never again.
        return Act(content="yes") if number == 0 else Act(status=503)

    with serve(break_down) as server:
        judged = ('tasks.ids=["MeantInvoice-v0"]', f'reward.judge=["scripted@{server.url}"]')
        summary = train(
            make_config(policy, *judged, "eval.episodes=[0,1]", "train.iterations=1"), tmp_path / "run"
        )
        assert (summary.iterations, len(server.requests) >= 2) == (1, True)
    [imitation] = [r for r in read_metrics(tmp_path / "run") if r["kind"] == "imitation"]
    assert imitation["solved"] == 0.0


def test_what_cannot_be_loaded_or_served_leaves_no_run_behind(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "find_version", lambda package: "")
    with pytest.raises(EngineError, match=r"needs vLLM 0\.32, which is not installed"):
        train(make_config(policy, "policy.engine=vllm"), tmp_path / "run")
    with pytest.raises(ModelLoadError, match="no such folder"):
        train(make_config(tmp_path / "nothing"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_judge_that_is_not_there_leaves_no_run_behind(policy: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing listens there"):
        train(make_config(policy, 'reward.judge=["m@http://127.0.0.1:9/v1"]'), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_policy_that_sees_learns_from_screenshots_and_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, run = tmp_path / "seeing", tmp_path / "run"
    save_policy(*make_seeing("llava"), folder)
    more = (
        "eval.episodes=[0,1]",
        "algorithm.entropy_coef=0.01",
        "imitation.episodes=0",
        "policy.max_tokens=4",
    )
    monkeypatch.setattr(choice, "find_version", lambda package: "0.32.0")
    with pytest.raises(
        ModelLoadError, match=r"takes pictures: vLLM is sent the whole weights .* policy\.lora_rank = 0"
    ):
        train(make_config(folder, *more, "policy.engine=vllm", "policy.lora_rank=2"), run)
    heard = Heard()
    train(make_config(folder, *more, "train.iterations=1"), run, progress=heard)
    assert "the policy sees" in heard.lines[0]
    train(make_config(folder, *more), run, resume=True)
    learnt = [r["learner"] for r in read_metrics(run) if r["kind"] == "iteration"]
    assert len(learnt) == 2
    for facts in learnt:
        assert facts["rows_learnt"] > 0
        assert facts["grad_norm"] > 0
        assert abs(facts["kl_sampler"]) < 1e-6
    record = read_episode(run / "episodes" / f"test-end-{TASK}-0-0")
    frames = {path.name for path in (run / "episodes" / f"test-end-{TASK}-0-0" / "frames").iterdir()}
    seen = {turn.completion.picture for turn in record.trajectory.turns}
    assert len(frames) == len(seen) >= 1
    assert all(picture is not None and picture.startswith(b"\x89PNG") for picture in seen)
