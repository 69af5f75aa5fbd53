import pytest

from milepost.milestones.calibration import (
    bound_error,
    find_threshold,
    measure_adaptive_calibration,
    measure_calibration,
    rank_separation,
)


def test_the_bound_of_no_errors_is_known_in_closed_form() -> None:
    assert bound_error(0, 50, 0.1) == pytest.approx(1 - 0.1 ** (1 / 50))
    assert bound_error(0, 1, 0.1) == pytest.approx(0.9)
    assert bound_error(3, 3, 0.1) == 1.0
    assert bound_error(0, 0, 0.1) == 1.0


def test_the_bound_is_where_so_few_errors_have_probability_delta() -> None:
    # P(X <= 1) for n=2 is 1 - p^2, so p = sqrt(0.9).
    assert bound_error(1, 2, 0.1) == pytest.approx(0.9**0.5)


def test_the_threshold_is_the_lowest_that_keeps_the_promise() -> None:
    confidences = [0.9] * 200 + [0.7] * 100
    correct = [True] * 200 + [True] * 50 + [False] * 50
    assert find_threshold(confidences, correct, grid=(0.95, 0.9, 0.8, 0.7)) == 0.8
    assert find_threshold(confidences[200:], correct[200:], grid=(0.7,)) is None


def test_too_few_points_promise_nothing() -> None:
    assert find_threshold([0.9] * 29, [True] * 29) is None
    assert find_threshold([0.9] * 29, [True] * 29, min_points=1) is None  # 7.6 % may still be wrong
    assert find_threshold([0.9] * 120, [True] * 120, grid=(0.9,)) == 0.9


def test_the_search_ends_at_the_first_failure() -> None:
    # 0.9 fails; 0.8 would pass again, but a fixed sequence does not go on.
    confidences = [0.9] * 40 + [0.8] * 4000
    correct = [False] * 5 + [True] * 35 + [True] * 4000
    assert find_threshold(confidences, correct, grid=(0.9, 0.8)) is None


def test_calibration_error_on_a_small_example() -> None:
    # One bin holds 0.8, 0.8 with one success: |1.6 - 1| / 4; the other 0.2, 0.2 with none: 0.4 / 4.
    assert measure_calibration([0.8, 0.8, 0.2, 0.2], [True, False, False, False]) == pytest.approx(0.25)
    assert measure_calibration([1.0, 0.0], [True, False]) == 0.0
    assert measure_calibration([], []) == 0.0


def test_bins_of_equal_count_leave_no_bin_nearly_empty() -> None:
    # Two bins: 0.1, 0.2, 0.3 with one success, |0.6 - 1|; 0.6, 0.9 with one, |1.5 - 1|; of five cases.
    chance, reached = [0.9, 0.1, 0.3, 0.2, 0.6], [True, False, True, False, False]
    assert measure_adaptive_calibration(chance, reached, bins=2) == pytest.approx((0.4 + 0.5) / 5)
    assert measure_adaptive_calibration([0.25], [False]) == pytest.approx(0.25)
    assert measure_adaptive_calibration([], []) == 0.0


def test_rank_separation_counts_ties_half() -> None:
    assert rank_separation([2.0, 1.0], [1.0, 0.0]) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    with pytest.raises(ValueError, match="both classes are needed, got 0 positive, 1 negative"):
        rank_separation([], [1.0])
