from milepost.milestones.judge.breaker import Breaker, Budget
from tests.milestones.judge.conftest import Clock


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.note(failed=True)


def test_five_failures_in_a_row_open_it_and_a_probe_closes_it() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    fail(breaker, 4)
    breaker.note(failed=False)
    fail(breaker, 4)
    assert breaker.admit()
    breaker.note(failed=True)
    assert not breaker.admit()
    clock.now = 30.0
    assert breaker.admit()
    assert not breaker.admit()  # one probe at a time
    breaker.note(failed=False)
    assert breaker.admit()
    assert breaker.admit()


def test_each_failed_probe_doubles_the_pause_up_to_ten_minutes() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    fail(breaker, 5)
    pauses = []
    for _ in range(6):
        start = clock.now
        while not breaker.admit():
            clock.now += 10.0
        pauses.append(clock.now - start)
        breaker.note(failed=True)
    assert pauses == [30.0, 60.0, 120.0, 240.0, 480.0, 600.0]


def test_more_than_half_of_twenty_opens_it() -> None:
    half, more = Breaker(Clock()), Breaker(Clock())
    for _ in range(10):
        half.note(failed=True)
        half.note(failed=False)
    assert half.admit()
    for outcome in [True, True, False] * 6 + [True, False]:
        more.note(failed=outcome)
    assert not more.admit()


def test_a_budget_says_what_has_run_out() -> None:
    budget = Budget(calls=2, tokens=100)
    assert budget.spent == ""
    budget.calls = 2
    assert budget.spent == "the budget of 2 calls is spent"
    budget.calls, budget.tokens = 1, 100
    assert budget.spent == "the budget of 100 tokens is spent"
