import json
from pathlib import Path

from typer.testing import CliRunner

from milepost.__main__ import app
from milepost.training.reward_model.pairs import read_pairs
from tests.training.reward_model.test_pairs import record

RUNNER = CliRunner()


def test_pairs_are_exported_and_counted(tmp_path: Path) -> None:
    record(tmp_path, "oracle", [1.0])
    record(tmp_path, "stopped", [0.0])
    record(tmp_path, "oracle", [1.0], seed=1)
    record(tmp_path, "claim", [0.0], seed=1)
    done = RUNNER.invoke(app, ["preferences", "export", str(tmp_path)])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["pairs"] == len(read_pairs(tmp_path / "pairs.jsonl")) == 2
    assert (found["by_source"]["truncation"], found["by_source"]["hack"]) == (1, 1)


def test_what_cannot_be_learned_from_is_an_error_that_says_why(tmp_path: Path) -> None:
    export = RUNNER.invoke(app, ["preferences", "export", str(tmp_path)])
    assert export.exit_code == 2
    assert "no recorded episodes" in export.stderr
    for command in ("train", "eval"):
        done = RUNNER.invoke(app, ["reward-model", command, str(tmp_path)])
        assert done.exit_code == 2
        assert "pairs.jsonl" in done.stderr
    collect = RUNNER.invoke(app, ["preferences", "collect", str(tmp_path), "--task", "Nope-v0"])
    assert collect.exit_code == 2
    assert "no task has the id 'Nope-v0'" in collect.stderr


def test_one_template_is_too_few_to_train_on(tmp_path: Path) -> None:
    record(tmp_path, "oracle", [1.0])
    record(tmp_path, "stopped", [0.0])
    record(tmp_path, "oracle", [1.0], seed=1)
    record(tmp_path, "claim", [0.0], seed=1)
    RUNNER.invoke(app, ["preferences", "export", str(tmp_path)])
    done = RUNNER.invoke(app, ["reward-model", "train", str(tmp_path)])
    assert done.exit_code == 2
    assert "two templates or more" in done.stderr
