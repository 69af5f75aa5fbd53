from milepost.training.returns import reinforce, return_to_go_loo, returns_to_go


def test_returns_to_go_discount_per_turn() -> None:
    assert returns_to_go([1.0, 0.0, 4.0], gamma=0.5) == [2.0, 2.0, 4.0]
    assert returns_to_go([]) == []


def test_reinforce_subtracts_its_baseline_from_every_return() -> None:
    assert reinforce([[1.0, 2.0], [0.0]], baseline=0.5) == [[2.5, 1.5], [-0.5]]
    assert reinforce([[0.0, 2.0]], gamma=0.5) == [[1.0, 2.0]]


def test_the_others_at_the_same_turn_are_the_baseline_and_finished_ones_count_0() -> None:
    advantages = return_to_go_loo([[0.25, 1.0], [0.0, 0.5], [0.5]])
    assert advantages == [[1.25 - 0.5, 1.0 - 0.25], [0.5 - 0.875, 0.5 - 0.5], [0.5 - 0.875]]
    assert return_to_go_loo([[1.0, 1.0]]) == [[0.0, 0.0]]
