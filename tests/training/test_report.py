import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from milepost.sandbox.observation import Element, Observation
from milepost.training.config import Config
from milepost.training.evaluation import summarize
from milepost.training.metrics import MetricsLog
from milepost.training.records import write_episode
from milepost.training.report.charts import Change, Line, draw_changes, draw_lines, pick_ticks
from milepost.training.report.episodes import choose_pairs
from milepost.training.report.report import build_context, smooth, write_report
from milepost.training.trajectory import Trajectory
from tests.training.trajectories import make_trajectory, make_turn

SPEED = {
    "rollout_s": 2.0,
    "steps": 40.0,
    "steps_per_s": 20.0,
    "tokens_per_s": 100.0,
    "episodes_per_s": 4.0,
    "retries": 0.0,
    "policy_share": 0.5,
}


def play(task_id: str, seed: int, rewards: Sequence[float]) -> Trajectory:
    turns = [make_turn(r, name="opened") for r in rewards]
    return make_trajectory(turns, task_id=task_id, seed=seed, success=sum(rewards) >= 1.0)


def record(run: Path, phase: str, trajectory: Trajectory) -> None:
    page = Observation(
        goal="g",
        url="http://a.test/<b>",
        title="T",
        elements=(Element(id="1", depth=0, role="button", name="<script>alert(1)</script>"),),
    )
    folder = run / "episodes" / f"{phase}-{trajectory.task_id}-{trajectory.seed}-0"
    seen = [page] * (len(trajectory.turns) + 1)
    write_episode(folder, trajectory, goal='Press "Save"', phase=phase, observations=seen)


def make_run(run: Path) -> None:
    run.mkdir()
    (run / "config.toml").write_text(Config().to_toml())
    log = MetricsLog(run)
    before = [play("A-v0", 0, [0.0]), play("A-v0", 1, [0.5]), play("B-v0", 0, [1.0])]
    after = [play("A-v0", 0, [0.5, 0.5]), play("A-v0", 1, [0.0]), play("B-v0", 0, [1.0])]

    def append(kind: str, iteration: int, played: Sequence[Trajectory], **more: object) -> None:
        score = summarize(played).to_record()
        log.append(
            {
                "kind": kind,
                "iteration": iteration,
                "elapsed_s": 60.0 * iteration,
                **score,
                "time": SPEED,
                **more,
            }
        )

    append("evaluation", 0, before, phase="test-start")
    append("evaluation", 0, before, phase="validation-0000")
    for iteration in (1, 2):
        extra = {"credit": {"flat_groups": 0.5}, "learner": {"entropy": 0.1}, "turns_seen": {"errors": 0.25}}
        append("iteration", iteration, after, **(extra | {"time": SPEED | {"learn_s": 1.0}}))
    append("evaluation", 2, after, phase="test-end")
    log.close()
    for phase, played in (("test-start", before), ("test-end", after)):
        for trajectory in played:
            record(run, phase, trajectory)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    make_run(tmp_path / "run")
    return tmp_path / "run"


def test_the_report_is_one_file_that_needs_nothing_from_outside(run: Path) -> None:
    page = write_report(run).read_text()
    assert (
        "Held-out success: 67% before" not in page
    )  # the mean over tasks counts, not the mean over episodes
    assert "Held-out success: 50% before, <b>75%</b> after" in page
    assert not re.search(r"(src|href)\s*=|@import|url\(|<script|<link", page)


def test_page_text_is_escaped(run: Path) -> None:
    page = write_report(run).read_text()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_report_shows_curves_milestones_throughput_and_configuration(run: Path) -> None:
    context = build_context(run)
    assert context["tasks"] == {"A-v0": 1, "B-v0": 2}
    assert context["reach"][0][2] == {"opened": 1}
    assert ("browser steps per second of rollout", "20.0") in context["throughput"]
    assert "advantage = &#34;milestone_loo&#34;" in write_report(run).read_text()


def test_a_run_that_is_not_finished_has_a_report_too(tmp_path: Path) -> None:
    page = write_report(tmp_path).read_text()
    assert "0 iterations so far" in page
    assert "no data yet" in page


def test_pairs_show_what_was_learnt_first_and_then_what_still_fails(run: Path) -> None:
    pairs = choose_pairs(run / "episodes")
    assert [(p.task_id, p.seed) for p in pairs] == [("A-v0", 0), ("B-v0", 0), ("A-v0", 1)]
    assert not pairs[0].before.trajectory.success
    assert pairs[0].after.trajectory.success


def test_an_episode_without_a_counterpart_is_not_shown(run: Path) -> None:
    record(run, "test-end", replace(play("A-v0", 9, [1.0]), seed=9))
    assert ("A-v0", 9) not in {(p.task_id, p.seed) for p in choose_pairs(run / "episodes")}


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0.0, 1.0, 5, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.0, 120.0, 4, [0.0, 50.0, 100.0]),
        (-0.3, 0.3, 3, [-0.2, 0.0, 0.2]),
        (2.0, 2.0, 4, [2.0]),
    ],
)
def test_ticks_are_round_numbers_inside_the_range(
    low: float, high: float, count: int, expected: list[float]
) -> None:
    assert pick_ticks(low, high, count) == expected


def test_a_line_is_drawn_from_corner_to_corner() -> None:
    chart = draw_lines(
        [Line(name="a", points=[(0, 0), (10, 1)])], title="t", width=100, height=100, y_range=(0, 1)
    )
    assert 'points="44.0,62.0 88.0,10.0"' in chart
    assert "<title>a, 10: 1</title>" in chart


def test_names_in_charts_are_escaped() -> None:
    chart = draw_lines([Line(name="<b>", points=[(0, 0), (1, 1)])], title='"t"')
    assert "<b>" not in chart
    change = Change(name="<b>", before=(0.1, 0.0, 0.2), after=(0.9, 0.8, 1.0))
    assert "<b>" not in draw_changes([change], title="t")


def test_changes_show_both_values_and_their_intervals() -> None:
    change = Change(name="A", before=(0.25, 0.1, 0.5), after=(1.0, 0.75, 1.0))
    chart = draw_changes([change], title="t", width=126)
    assert "25% → 100%" in chart
    assert '<line class="interval before" x1="20.0" x2="60.0"' in chart
    assert "after: 100.0% (95% 75.0% to 100.0%)" in chart


def test_smoothing_starts_at_the_first_value() -> None:
    assert smooth([(0, 1.0), (1, 0.0)], memory=0.75) == [(0, 1.0), (1, 0.75)]
