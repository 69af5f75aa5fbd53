import json
from pathlib import Path

from milepost.training.catalogue import describe_presets, differences, write_page
from milepost.training.presets import PRESETS

PAGE = Path(__file__).parents[2] / "docs/algorithms.md"


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text() == write_page(), "run `milepost algorithms --markdown > docs/algorithms.md`"


def test_every_preset_is_described_for_programs() -> None:
    rows = json.loads(json.dumps(describe_presets()))
    assert [row["name"] for row in rows] == list(PRESETS)
    assert [row["name"] for row in rows if row["default"]] == ["milestone_grpo"]
    dapo = next(row for row in rows if row["name"] == "dapo")
    assert dapo["parts"]["clip_high"] == 0.28
    assert dapo["parts"]["flags"] == ["dynamic_sampling", "soft_overlong"]


def test_the_default_differs_from_itself_in_nothing() -> None:
    assert differences(PRESETS["milestone_grpo"]) == {}
    assert set(differences(PRESETS["reinforce"])) == {"advantage", "loss", "correction"}
