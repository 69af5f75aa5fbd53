from pathlib import Path

import numpy as np
import pytest

from milepost.agents.tiny.tokenizer import build_tokenizer
from milepost.training.checkpoint import find_latest, read_state
from milepost.training.config import Config, build_config
from milepost.training.keeper import Keeper
from milepost.training.learner import Learner
from milepost.training.metrics import MetricsLog, read_metrics
from milepost.training.objective import Objective
from milepost.training.sampler import TaskSampler
from tests.training.trajectories import make_model


class Bench:
    """A keeper with all it keeps, and a clock that a test moves."""

    def __init__(self, run: Path, config: Config | None = None) -> None:
        self.run = run
        self.now = 100.0
        self.learner = Learner(make_model(), Objective())
        self.sampler = TaskSampler(["A", "B"], run_seed=0)
        self.rng = np.random.default_rng(0)
        self.log = MetricsLog(run)
        self.keeper = Keeper(
            run,
            config or Config(),
            model=self.learner.model,
            tokenizer=build_tokenizer(["click"]),
            sampler=self.sampler,
            rng=self.rng,
            log=self.log,
            clock=lambda: self.now,
        )

    def write(self, iteration: int) -> None:
        self.log.append({"kind": "iteration", "iteration": iteration, "elapsed_s": 0.0})

    def latest(self) -> Path:
        found = find_latest(self.run / "checkpoints")
        assert found is not None
        return found


def test_a_restored_run_has_the_time_tasks_randomness_and_metrics_of_its_checkpoint(tmp_path: Path) -> None:
    first = Bench(tmp_path)
    first.sampler.draw(3, first.rng)
    first.write(1)
    first.now += 7.0
    first.keeper.note(1, 1)
    first.keeper.save(first.learner.optimizer)
    first.write(2)
    expected = first.rng.random(3).tolist()

    second = Bench(tmp_path)
    second.keeper.restore(read_state(first.latest()))
    second.keeper.begin()
    second.now += 5.0
    assert second.keeper.elapsed_s == 12.0
    assert second.rng.random(3).tolist() == expected
    assert second.sampler.state() == first.sampler.state()
    assert [r["iteration"] for r in read_metrics(tmp_path)] == [1]
    for bench in (first, second):
        bench.log.close()


def test_an_interrupted_run_keeps_its_last_whole_iteration(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.keeper.note(3, 3)
    said = bench.keeper.interrupt(bench.learner.optimizer)
    assert (
        said == f"stopped after iteration 3; its checkpoint is kept. Continue with --resume --out {tmp_path}"
    )
    assert bench.latest().name == "000003"


def test_an_interruption_in_mid_update_keeps_the_checkpoint_before(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.keeper.note(3, 3)
    bench.keeper.save(bench.learner.optimizer)
    bench.keeper.note(4, 4)
    bench.keeper.change()
    assert "stopped after iteration 3" in bench.keeper.interrupt(bench.learner.optimizer)
    assert bench.latest().name == "000003"


def test_an_interruption_before_the_first_checkpoint_says_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert "before the first checkpoint" in bench.keeper.interrupt(None)
    bench.keeper.note(0, 0)
    bench.keeper.change()
    assert "before the first checkpoint" in bench.keeper.interrupt(bench.learner.optimizer)


def test_saving_before_anything_was_noted_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(RuntimeError, match="nothing to save yet"):
        bench.keeper.save(bench.learner.optimizer)


def test_a_run_stops_by_iterations_time_or_success(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.keeper.reason_to_stop(1, 0.5, 0) == ""
    assert bench.keeper.reason_to_stop(Config().train.iterations, 0.5, 0) == "iterations"
    assert bench.keeper.reason_to_stop(1, 2.0, 10**9) == "success"
    bench.now += 60.0 * 12
    assert bench.keeper.reason_to_stop(1, 0.5, 0) == "time"


def test_a_run_stops_by_its_environment_steps(tmp_path: Path) -> None:
    keeper = Bench(tmp_path, build_config({"train": {"budget": "500 steps"}})).keeper
    assert keeper.reason_to_stop(1, 0.5, 499) == ""
    assert keeper.reason_to_stop(1, 0.5, 500) == "steps"


def test_the_rest_is_what_iterations_or_time_leave(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    left = Config().train.iterations - 190
    assert bench.keeper.estimate_rest(190, 2.0) == 2.0 * left
    assert bench.keeper.estimate_rest(190, 1e6) == 60.0 * 12
