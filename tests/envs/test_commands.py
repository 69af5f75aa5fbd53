"""Commands about rewards and tasks, on a run of one episode that is made by hand."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from milepost.__main__ import app
from milepost.envs.registry import get_template, templates
from milepost.milestones import score
from milepost.milestones.router import Tier
from milepost.sandbox.events import AppChanged, EpisodeEnded, EpisodeStarted
from milepost.sandbox.log import write_log
from tests.milestones.conftest import click, fill, witness
from tests.milestones.test_case import START, make_case
from tests.milestones.test_settlement import LIKES, settle

RUNNER = CliRunner()
TASK_ID = "CatalogSearch-v0"
TASK = get_template(TASK_ID).task(3)
ITEM, SKU = TASK.params["item"], TASK.params["sku"]


def run(*arguments: str) -> tuple[int, str]:
    result = RUNNER.invoke(app, list(arguments))
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A run with one episode, in which the item was opened without a search."""
    events = witness(
        EpisodeStarted(task="CatalogSearch-v0", seed=3, split="train", goal=TASK.goal),
        fill("Search", "something else"),
        AppChanged(app="catalog", change="item.opened", data={"sku": SKU}),
        EpisodeEnded(reason="goal"),
    )
    folder = tmp_path / "run/episodes/e1"
    folder.mkdir(parents=True)
    write_log(events, folder / "events.jsonl")
    (folder / "spec.json").write_bytes(TASK.spec.to_bytes())
    (folder / "rewards.json").write_bytes(score(TASK.spec, events).to_bytes())
    return tmp_path / "run"


@pytest.mark.parametrize("command", ["audit", "explain", "rescore", "diff", "certify", "new-task"])
def test_every_command_explains_itself(command: str) -> None:
    code, output = run(command, "--help")
    assert (code, "Usage" in output) == (0, True)


def test_an_episode_is_explained(recorded: Path) -> None:
    code, output = run("explain", str(recorded / "episodes/e1"))
    assert code == 0
    assert "query: not fired" in output
    assert "opened: fired rests on event 2" in output
    code, output = run("explain", str(recorded / "episodes/e1"), "--milestone", "query", "--json")
    (found,) = json.loads(output)
    assert (found["name"], found["fired"]) == ("query", False)
    assert found["missing"]


def test_a_milestone_that_is_not_there_is_named_with_the_nearest(recorded: Path) -> None:
    code, output = run("explain", str(recorded / "episodes/e1"), "--milestone", "opend")
    assert (code, "did you mean 'opened'?" in output) == (2, True)


def test_the_rules_of_today_give_the_reward_of_then(recorded: Path) -> None:
    code, output = run("rescore", str(recorded), "--json")
    assert code == 0
    assert json.loads(output) == {
        "episodes": 1,
        "changed": 0,
        "unscored": 0,
        "successes_before": 1,
        "successes": 1,
        "findings": [],
    }


RULES = """\
milestones:
  - {name: half, reward: 1/2, when: {app_changed: {data: {fields: {sku: $sku}}}}}
goal:
  when: {app_changed: {data: {fields: {sku: $sku}}}}
  frame: [{app_changed: {app: catalog}}]
"""


def test_an_old_episode_is_scored_by_new_rules_with_its_tasks_parameters(
    recorded: Path, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    out = tmp_path / "again"
    code, output = run("rescore", str(recorded), "--spec", str(rules), "--out", str(out))
    assert code == 0
    assert output.endswith("e1: 1/2 -> 1/2") or "0 pay another amount" in output
    assert run("audit", str(out))[0] == 0
    code, output = run("diff", str(recorded), str(out))
    assert code == 1
    assert "e1: hits[0].name: the first 'opened', the second 'half'" in output
    code, output = run("rescore", str(recorded), "--spec", str(rules), "--out", str(out))
    assert (code, "exists already" in output) == (2, True)


def test_a_mistake_in_new_rules_is_named_with_its_place(recorded: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES.replace("$sku", "$sk", 1))
    code, output = run("rescore", str(recorded), "--spec", str(rules))
    assert code == 2
    assert "rules.yaml:2:" in output
    assert "did you mean 'sku'?" in output


def test_two_files_of_rules_are_compared(tmp_path: Path) -> None:
    one, other = tmp_path / "a.yaml", tmp_path / "b.yaml"
    one.write_text(RULES.replace("$sku", "7"))
    other.write_text(RULES.replace("$sku", "7").replace("1/2", "0.75"))
    assert run("diff", str(one), str(one)) == (0, "no difference")
    assert run("diff", str(one), str(other)) == (
        1,
        "rules: milestones[0].reward: the first '0.5', the second '0.75'",
    )
    assert run("diff", str(one), str(tmp_path))[0] == 2


def test_a_run_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    for command in ("rescore", "explain", "audit"):
        assert run(command, str(tmp_path / "none"))[0] == 2


def test_kept_certificates_are_checked_without_playing() -> None:
    code, output = run("certify", "--all", "--check", "--json")
    assert (code, json.loads(output)) == (0, {row.id: "" for row in templates()})
    assert run("certify", TASK_ID, "--resume", "--seeds", "1", "--json") == (0, "[]")
    assert run("certify")[0] == 2
    assert run("certify", "ReprtExport-v0")[0] == 2


def test_the_explanation_says_which_tier_paid_and_why(tmp_path: Path) -> None:
    events = witness(START, click("Send"), EpisodeEnded(reason="judgement"))
    case = replace(make_case("Send"), events=tuple(events))
    folder = tmp_path / "e1"
    folder.mkdir()
    write_log(case.events, folder / "events.jsonl")
    (folder / "spec.json").write_bytes(case.spec.to_bytes())
    (folder / "rewards.json").write_bytes(score(case.spec, case.events).to_bytes())
    (folder / "settlement.json").write_bytes(settle(case, {Tier.LEARNED: LIKES}).to_bytes())
    code, output = run("explain", str(folder), "--milestone", "fits")
    assert code == 0
    assert "who paid fits: 3/4 by learned 1: the rules say uninstrumented; learned is sure (9/10)" in output
    assert "sent:" not in output
    code, output = run("explain", str(folder), "--json")
    assert [one["decision"]["tier"] for one in json.loads(output)] == ["rule", "learned", "learned"]
    assert run("audit", str(folder)) == (0, "1 episodes: 1 equal byte for byte, 0 different, 0 broken")
    (folder / "settlement.json").write_bytes(b"{}")
    assert run("explain", str(folder))[0] == 2
    code, output = run("audit", str(folder))
    assert (code, "broken: e1: not a settlement" in output) == (1, True)
