import pytest

from milepost.training.meter import Gauge, Meter, describe_pace


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_gauge_tells_time_with_anybody_from_time_of_all() -> None:
    clock = Clock()
    gauge = Gauge(clock)
    clock.now = 1.0
    with gauge.enter():
        clock.now = 3.0
        with gauge.enter():
            clock.now = 4.0
        clock.now = 4.5
    clock.now = 9.0
    assert (gauge.busy_s, gauge.area_s) == (3.5, 4.5)


def test_whoever_is_still_there_counts_up_to_now() -> None:
    clock = Clock()
    gauge = Gauge(clock)
    with gauge.enter():
        clock.now = 2.0
        assert (gauge.busy_s, gauge.area_s) == (2.0, 2.0)


def test_an_error_inside_leaves_nobody_behind() -> None:
    clock = Clock()
    gauge = Gauge(clock)
    with pytest.raises(RuntimeError), gauge.enter():
        raise RuntimeError
    clock.now = 5.0
    assert gauge.area_s == 0.0


def test_pace_is_what_lies_between_two_readings() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.steps = 100
    before = meter.read()
    with meter.queueing.enter():
        clock.now = 1.0
    with meter.stepping.enter():
        clock.now = 4.0
    with meter.asking.enter():
        clock.now = 5.0
    clock.now = 10.0
    meter.episodes, meter.steps, meter.tokens = 2, 104, 50
    pace = describe_pace(before, meter.read(), contexts=2)
    assert pace == {
        "rollout_s": 10.0,
        "steps": 4.0,
        "steps_per_s": 0.4,
        "tokens_per_s": 5.0,
        "episodes_per_s": 0.2,
        "retries": 0.0,
        "cancelled": 0.0,
        "refills": 0.0,
        "policy_share": 0.25,
        "engine_busy": 0.1,
        "browser_busy": 0.15,
        "context_wait_s": 0.5,
        "decision_wait_s": 0.25,
        "settle_wait_s": 0.0,
    }
