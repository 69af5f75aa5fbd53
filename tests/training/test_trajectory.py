import pytest

from milepost.training.trajectory import EpisodeRequest, Status
from tests.training.trajectories import from_rewards


def test_an_episodes_name_says_what_it_is_for() -> None:
    request = EpisodeRequest(
        task_id="ReportExport-v0",
        seed=3,
        split="test",
        group="g",
        member=1,
        sampling_seed=0,
        phase="test-end",
    )
    assert request.episode_id == "test-end-ReportExport-v0-3-1"


def test_the_return_is_the_sum_of_all_rewards() -> None:
    trajectory = from_rewards([0.25, 0.0, 0.5])
    assert trajectory.step_rewards() == [0.25, 0.0, 0.5]
    assert trajectory.ret == 0.75


@pytest.mark.parametrize(
    ("status", "scored"),
    [
        (Status.FINISHED, True),
        (Status.TRUNCATED, True),
        (Status.INFRASTRUCTURE, False),
        (Status.TIMEOUT, False),
    ],
)
def test_failures_of_the_harness_have_no_score(status: Status, scored: bool) -> None:
    assert from_rewards([1.0], status=status).scored is scored
