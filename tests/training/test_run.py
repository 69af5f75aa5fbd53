from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from milepost.agents.tiny.tokenizer import build_tokenizer
from milepost.training.checkpoint import TrainState, save_checkpoint
from milepost.training.config import Config, build_config, load_config
from milepost.training.learner import Learner
from milepost.training.objective import Objective
from milepost.training.overrides import ConfigError
from milepost.training.run import (
    RunExistsError,
    Summary,
    abandon_run,
    hold_run,
    open_run,
    read_summary,
    write_summary,
)
from tests.training.trajectories import make_model

SCORE = {"success": 0.5, "proportion": {"n": 10, "low": 0.2, "high": 0.8}}


def leave_checkpoint(run: Path, config: Config) -> None:
    learner = Learner(make_model(), Objective())
    state = TrainState(
        iteration=4,
        policy_version=4,
        elapsed_s=9.0,
        sampler={},
        rng=dict(np.random.default_rng(0).bit_generator.state),
        metrics_bytes=0,
        config=config.model_dump(mode="json"),
        digest=config.digest(),
    )
    save_checkpoint(
        run / "checkpoints",
        state=state,
        model=learner.model,
        tokenizer=build_tokenizer(["click"]),
        optimizer=learner.optimizer,
    )


def test_a_new_run_gets_a_folder_with_its_configuration(tmp_path: Path) -> None:
    assert open_run(tmp_path / "deep" / "run", Config(), resume=False) is None
    assert load_config(tmp_path / "deep" / "run" / "config.toml") == Config()


def test_a_folder_in_use_is_not_overwritten(tmp_path: Path) -> None:
    open_run(tmp_path / "run", Config(), resume=False)
    with pytest.raises(RunExistsError, match=r"is not empty; continue it with --resume, or choose another"):
        open_run(tmp_path / "run", Config(), resume=False)
    (tmp_path / "run" / "metrics.jsonl").touch()
    with pytest.raises(RunExistsError, match="already holds a run"):
        open_run(tmp_path / "run", Config(), resume=False)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(RunExistsError, match="is a file"), hold_run(tmp_path / "run"):
        pass


def test_a_run_is_one_processes_at_a_time_and_nothing_of_that_stays(tmp_path: Path) -> None:
    run = tmp_path / "deep" / "run"
    with hold_run(run):
        with pytest.raises(RunExistsError, match="in the hands of another process"), hold_run(run):
            pass
        assert list(run.iterdir()) == []
    with hold_run(run):
        assert open_run(run, Config(), resume=False) is None


def test_a_folder_with_other_files_is_not_resumed_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "episodes").mkdir()
    with pytest.raises(RunExistsError, match="holds files but no run to resume"):
        open_run(tmp_path, Config(), resume=True)
    assert (tmp_path / "episodes").is_dir()


def test_a_run_that_could_not_begin_leaves_nothing_behind(tmp_path: Path) -> None:
    open_run(tmp_path / "run", Config(), resume=False)
    abandon_run(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    open_run(tmp_path / "run", Config(), resume=False)
    (tmp_path / "run" / "notes.txt").touch()
    abandon_run(tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_a_run_that_died_before_its_first_checkpoint_begins_again(tmp_path: Path) -> None:
    open_run(tmp_path / "run", Config(), resume=False)
    (tmp_path / "run" / "metrics.jsonl").write_text("{}\n")
    assert open_run(tmp_path / "run", Config(), resume=True) is None
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_run_resumes_at_its_checkpoint(tmp_path: Path) -> None:
    open_run(tmp_path, Config(), resume=False)
    leave_checkpoint(tmp_path, Config())
    longer = build_config({"train": {"iterations": 999}})
    found = open_run(tmp_path, longer, resume=True)
    assert found is not None
    assert found[0] == tmp_path / "checkpoints" / "000004"
    assert found[1].iteration == 4
    assert load_config(tmp_path / "config.toml") == longer


def test_a_run_does_not_resume_with_what_would_make_its_numbers_incomparable(tmp_path: Path) -> None:
    open_run(tmp_path, Config(), resume=False)
    leave_checkpoint(tmp_path, Config())
    with pytest.raises(ConfigError, match=r"rollout\.group_size was 8, now 4"):
        open_run(tmp_path, build_config({"rollout": {"group_size": 4}}), resume=True)


def test_a_summary_reads_back_and_says_what_the_run_came_to(tmp_path: Path) -> None:
    summary = Summary(
        run=tmp_path,
        iterations=7,
        stopped="time",
        before=SCORE,
        after=SCORE | {"success": 0.75},
        elapsed_s=90.0,
    )
    assert read_summary(tmp_path) is None
    write_summary(summary)
    assert read_summary(tmp_path) == summary
    lines = summary.describe().splitlines()
    assert lines[0] == "7 iterations in 1.5 minutes, stopped by time"
    assert lines[2] == "held-out test success after:  0.75 (n=10, 95% interval 0.20 to 0.80)"
    assert replace(summary, stopped="success").report == tmp_path / "report.html"
