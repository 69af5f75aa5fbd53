"""Templates, seeds and rules of the pages, without a browser."""

from pathlib import Path

import numpy as np
import pytest

from milepost.envs.miniwob.oracles.index import ORACLES
from milepost.envs.miniwob.package import find_html
from milepost.envs.miniwob.site import digest
from milepost.envs.miniwob.table import SUMMARIES
from milepost.envs.miniwob.tasks import SEEDS_PER_SPLIT, TEMPLATES, draw_page_seed
from milepost.envs.registry import get_template, imported_templates, templates
from milepost.envs.task import NoOracleError, Split, UnknownTaskError
from milepost.milestones import Spec, fold
from milepost.sandbox.events import AppChanged, Fact, PageScored
from milepost.sandbox.observation import Observation
from tests.envs.apps.conftest import witness

HTML = find_html() or Path()
TASK = TEMPLATES["miniwob.click-test-v1"].task(0)
PAGE = "miniwob/click-test.html"


def serve(sha256: str = "") -> AppChanged:
    data = {"page": PAGE, "sha256": sha256 or digest(HTML / PAGE)}
    return AppChanged(app="miniwob", change="page.served", data=data)


def score(value: str) -> PageScored:
    return PageScored(tab=0, score=value, reason="")


def judge(*facts: Fact) -> tuple[float, bool, bool]:
    """What is paid in all, whether the goal is reached, and whether it was missed for good."""
    progress, hits = fold(TASK.spec, witness(*facts))
    return float(sum(hit.reward for hit in hits)), progress.goal_reached, progress.vetoed


def test_the_full_score_of_the_packages_own_page_reaches_the_goal() -> None:
    assert judge(serve(), score("1")) == (1, True, False)


@pytest.mark.parametrize("value", ["-1", "0", "0.5", "0.99", "0.1"])
def test_any_other_score_pays_nothing_and_ends_it(value: str) -> None:
    assert judge(serve(), score(value)) == (0, False, True)


def test_nothing_makes_up_for_a_miss() -> None:
    assert judge(serve(), score("-1"), score("1")) == (0, False, True)


def test_a_score_without_the_page_is_worth_nothing() -> None:
    assert judge(score("1")) == (0, False, False)
    assert judge(serve(sha256="0" * 64), score("1")) == (0, False, False)


def test_the_rules_survive_a_round_trip_through_json() -> None:
    assert Spec.from_bytes(TASK.spec.to_bytes()) == TASK.spec


def test_splits_draw_page_seeds_from_ranges_of_their_own() -> None:
    for index, split in enumerate(Split):
        seeds = [draw_page_seed(np.random.default_rng(n), split) for n in range(200)]
        assert all(index * SEEDS_PER_SPLIT <= seed < (index + 1) * SEEDS_PER_SPLIT for seed in seeds)
        assert len(set(seeds)) == 200
        assert max(seeds) < 2**53


def test_a_seed_gives_the_same_task_again_and_every_split_another() -> None:
    template = TEMPLATES["miniwob.click-button-v1"]
    assert template.task(3).params == template.task(3).params
    assert len({template.task(3, split).params["page_seed"] for split in Split}) == 3
    assert [template.task(3, split).params["mode"] for split in Split] == ["default", "default", "test"]


def test_every_row_agrees_with_its_template() -> None:
    rows = imported_templates()
    assert len(rows) == 128
    for row in rows:
        template = get_template(row.id)
        assert template is get_template(f"milepost/{row.id}")
        assert (row.id, row.family, row.summary, row.max_steps) == (
            template.id,
            "miniwob",
            template.summary,
            template.max_steps,
        )


def test_imported_rows_stand_apart_from_our_own() -> None:
    assert not {row.id for row in imported_templates()} & {row.id for row in templates()}


def test_an_unknown_page_names_the_nearest() -> None:
    with pytest.raises(UnknownTaskError, match=r"did you mean miniwob\.click-test-v1"):
        get_template("milepost/miniwob.click-tset-v1")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("milepost.envs.registry.imported_templates", lambda: ())
    with pytest.raises(UnknownTaskError, match=r"pip install 'milepost\[miniwob\]'"):
        get_template("milepost/miniwob.click-test-v1")


def test_a_page_without_an_oracle_says_so_when_asked() -> None:
    without = sorted(set(SUMMARIES) - set(ORACLES))
    task = TEMPLATES[f"miniwob.{without[0]}-v1"].task(0)
    with pytest.raises(NoOracleError, match=f"miniwob.{without[0]}-v1 has no oracle"):
        task.oracle(Observation(goal="", url="", title=""))
