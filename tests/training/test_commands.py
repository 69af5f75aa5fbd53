import json
from pathlib import Path

from typer.testing import CliRunner

from milepost.__main__ import app
from milepost.training.reward_model.fitting import Recipe, fit_ensemble
from milepost.training.reward_model.labelling.desk import Desk
from milepost.training.reward_model.pairs import Label, read_pairs
from tests.training.reward_model.materials import make_material
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


def test_what_people_said_is_measured_and_added(tmp_path: Path) -> None:
    for play, reward in (("oracle", 1.0), ("random", 0.0), ("stopped", 0.5)):
        record(tmp_path, play, [reward])
    desk = Desk(tmp_path, tmp_path / "labels.jsonl", seed=0)
    for about in desk.comparisons:
        desk.take("ada", about.id, "1")
    labels = str(tmp_path / "labels.jsonl")
    found = json.loads(RUNNER.invoke(app, ["preferences", "agreement", labels]).stdout)
    assert (found["verdicts"], found["position"]["share"], found["kappa"]) == (3, 1.0, None)
    done = RUNNER.invoke(app, ["preferences", "export", str(tmp_path), "--labels", labels])
    assert done.exit_code == 0, done.output
    # Ada pressed 1 for each: every two episodes of the seed have her word, and the rules' words on them are gone.
    assert json.loads(done.stdout)["by_source"]["human"] == 3
    assert all(pair.source is Label.HUMAN for pair in read_pairs(tmp_path / "pairs.jsonl"))


def test_bad_preference_files_are_refused_with_the_reason(tmp_path: Path) -> None:
    record(tmp_path, "oracle", [1.0])
    record(tmp_path, "stopped", [0.0])
    record(tmp_path, "oracle", [1.0], seed=1)
    record(tmp_path, "claim", [0.0], seed=1)
    RUNNER.invoke(app, ["preferences", "export", str(tmp_path)])
    path = tmp_path / "pairs.jsonl"
    first, second = path.read_bytes().splitlines(keepends=True)
    pair = json.loads(first)
    turned = json.dumps({**pair, "chosen": pair["rejected"], "rejected": pair["chosen"]}).encode() + b"\n"
    for content, why in (
        (b"", "there are no preferences"),
        (first, "one-sided: all prefer the same episode"),
        (first + second + first, "is there twice; remove one"),
        (first + second + turned, "contradicts another one"),
        (b"[1]\n", "pairs.jsonl, pair 1:"),
    ):
        path.write_bytes(content)
        for command in ("train", "eval"):
            done = RUNNER.invoke(app, ["reward-model", command, str(tmp_path)])
            assert done.exit_code == 2
            assert why in done.stderr.replace("\n", " "), done.stderr


def test_a_label_page_needs_something_to_compare(tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["preferences", "label", str(tmp_path)])
    assert done.exit_code == 2
    assert "there is nothing to compare" in done.stderr


def test_a_model_that_cannot_be_refreshed_is_kept(tmp_path: Path) -> None:
    material = make_material(4)
    model = fit_ensemble(material.select(frozenset(material.keys[1:])), Recipe(steps=20, members=2, hidden=8))
    model.save(tmp_path / "model.npz")
    record(tmp_path, "oracle", [1.0])
    record(tmp_path, "stopped", [0.0])
    record(tmp_path, "oracle", [1.0], seed=1)
    record(tmp_path, "claim", [0.0], seed=1)
    RUNNER.invoke(app, ["preferences", "export", str(tmp_path)])
    before = (tmp_path / "model.npz").read_bytes()
    command = ["reward-model", "refresh", str(tmp_path / "model.npz"), str(tmp_path), "--old", str(tmp_path)]
    done = RUNNER.invoke(app, command)
    assert done.exit_code == 2
    assert "all new pairs are of templates kept as anchors (Demo)" in done.stderr.replace("\n", " ")
    assert (tmp_path / "model.npz").read_bytes() == before


def test_one_template_is_too_few_to_train_on(tmp_path: Path) -> None:
    record(tmp_path, "oracle", [1.0])
    record(tmp_path, "stopped", [0.0])
    record(tmp_path, "oracle", [1.0], seed=1)
    record(tmp_path, "claim", [0.0], seed=1)
    RUNNER.invoke(app, ["preferences", "export", str(tmp_path)])
    done = RUNNER.invoke(app, ["reward-model", "train", str(tmp_path)])
    assert done.exit_code == 2
    assert "two templates or more" in done.stderr
