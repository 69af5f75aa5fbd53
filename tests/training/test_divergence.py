from dataclasses import replace

import pytest

from milepost.agents.sight import find_sight
from milepost.training.algorithm import KlKind
from milepost.training.divergence import DIVERGENCE, price_divergence
from milepost.training.trajectory import Status
from tests.agents.seeing import draw_picture, make_seeing
from tests.training.trajectories import from_rewards, make_model, make_trajectory, make_turn


def test_a_policy_pays_nothing_against_itself() -> None:
    batch = [from_rewards([1.0])]
    (same,) = price_divergence(batch, make_model(), make_model(), coef=0.5)
    assert same.ret == pytest.approx(1.0, abs=1e-6)


def test_a_turn_pays_for_the_divergence_of_its_tokens_and_a_failed_episode_nothing() -> None:
    turns = [make_turn(1.0), make_turn(prompt=(7, 8), completion=(9, 10, 11))]
    batch = [make_trajectory(turns), from_rewards([0.0], status=Status.TIMEOUT)]
    charged = price_divergence(batch, make_model(), make_model(seed=1), coef=1.0, kind=KlKind.K3)
    prices = [turn.rewards[DIVERGENCE] for turn in charged[0].turns]
    assert all(price < 0.0 for price in prices)
    assert charged[0].turns[0].rewards["paid"] == 1.0
    assert charged[1] == batch[1]
    halved = price_divergence(batch, make_model(), make_model(seed=1), coef=0.5, kind=KlKind.K3)
    assert [2 * turn.rewards[DIVERGENCE] for turn in halved[0].turns] == pytest.approx(prices)


def test_the_divergence_of_a_turn_is_that_of_its_own_picture() -> None:
    model, _ = make_seeing("llava")
    reference, _ = make_seeing("llava", seed=1)
    sight = find_sight(model)
    assert sight is not None
    turns = []
    for picture in (draw_picture(10), draw_picture(240)):
        ids = sight.encode([{"role": "user", "content": "Which?"}], picture)
        turn = make_turn(prompt=ids, completion=(7, 9))
        turns.append(replace(turn, completion=replace(turn.completion, picture=picture)))
    together = price_divergence([make_trajectory(turns)], model, reference, coef=1.0)[0]
    prices = [turn.rewards[DIVERGENCE] for turn in together.turns]
    apart = [
        price_divergence([make_trajectory([turn])], model, reference, coef=1.0)[0]
        .turns[0]
        .rewards[DIVERGENCE]
        for turn in turns
    ]
    assert prices == pytest.approx(apart, abs=1e-5)
    assert abs(prices[0] - prices[1]) > 1e-3
