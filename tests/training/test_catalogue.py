import json
from pathlib import Path

import pytest

from milepost.training.catalogue import describe_algorithms, differences, write_page
from milepost.training.config import build_config
from milepost.training.preferences.method import METHODS
from milepost.training.presets import PRESETS

PAGE = Path(__file__).parents[2] / "docs/algorithms.md"


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text() == write_page(), "run `milepost algorithms --markdown > docs/algorithms.md`"


PUBLISHED = [
    "reinforce",
    "rloo",
    "ppo",
    "ppo_penalty",
    "ppo_ptx",
    "trpo",
    "grpo",
    "grpo_process",
    "grpo_2",
    "iterative_grpo",
    "dr_grpo",
    "dapo",
    "grpo_plus",
    "gspo",
    "gigpo",
    "milestone_grpo",
    "dpo",
    "ipo",
    "hinge",
    "robust",
    "cdpo",
    "kto",
    "apo_zero",
    "apo_down",
    "orpo",
    "simpo",
    "cpo",
    "sppo",
    "bco",
    "discopop",
    "bpo",
    "sdpo",
    "best_of_n",
    "rest",
    "rest_em",
    "sft",
]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_method_is_chosen_by_its_name(name: str) -> None:
    row = next(row for row in describe_algorithms() if row["name"] == name)
    section, key = row["key"].split(".")
    # One of them does not go with the schedule that is the default.
    how = {"schedule": "offline"} if section == "preference" else {}
    assert getattr(getattr(build_config({section: {key: name, **how}}), section), key) == name
    assert f"| `{name}` |" in PAGE.read_text()


def test_everything_is_described_for_programs() -> None:
    rows = json.loads(json.dumps(describe_algorithms()))
    assert [row["name"] for row in rows] == [*PRESETS, *METHODS]
    assert all(row["summary"] and row["source"] and row["parts"]["loss"] for row in rows)
    simpo = next(row for row in rows if row["name"] == "simpo")
    assert (simpo["loop"], simpo["parts"]["reference"], simpo["parts"]["gamma"]) == (
        "preference",
        "none",
        0.5,
    )
    assert [row["name"] for row in rows if row["default"]] == ["milestone_grpo"]
    dapo = next(row for row in rows if row["name"] == "dapo")
    assert dapo["parts"]["clip"] == [0.2, 0.28]
    assert dapo["parts"]["flags"] == ["dynamic_sampling", "soft_overlong"]


def test_the_default_differs_from_itself_in_nothing() -> None:
    assert differences(PRESETS["milestone_grpo"]) == {}
    assert set(differences(PRESETS["reinforce"])) == {"advantage", "loss", "correction"}
