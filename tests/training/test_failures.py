import pytest

from milepost.training.failures import FailureBudget, FailureBudgetError, describe_failures
from milepost.training.trajectory import Status
from tests.training.trajectories import from_rewards

GOOD = [from_rewards([1.0]) for _ in range(8)]
LOST = [
    from_rewards([], status=Status.INFRASTRUCTURE, failure="the browser died\nstack"),
    from_rewards([], status=Status.INFRASTRUCTURE, failure="the browser died\nother stack"),
    from_rewards([], status=Status.TIMEOUT, failure="no answer in 30 s"),
]


def test_failures_within_the_budget_pass() -> None:
    budget = FailureBudget(10, 0.2)
    for one in [*GOOD, *LOST[:2]]:
        budget.note(one)


def test_the_first_failure_beyond_the_budget_stops_the_run_with_a_table() -> None:
    budget = FailureBudget(11, 0.2)
    for one in [*LOST[:2], *GOOD[:3]]:
        budget.note(one)
    with pytest.raises(FailureBudgetError) as caught:
        budget.note(LOST[2])
    message = str(caught.value)
    assert "3 of 11 episodes failed" in message
    assert "   2 x infrastructure Demo-v0              the browser died" in message
    assert "   1 x timeout        Demo-v0              no answer in 30 s" in message
    assert "milepost doctor" in message


def test_a_long_table_is_cut_and_says_so() -> None:
    lost = [from_rewards([], status=Status.TIMEOUT, failure=f"reason {i}") for i in range(11)]
    table = describe_failures(lost).splitlines()
    assert len(table) == 9
    assert table[-1] == "  and 3 other kinds"
