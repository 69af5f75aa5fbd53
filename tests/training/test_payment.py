import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import pytest

from milepost.milestones import RewardMode
from milepost.milestones.router import Opinion, Routing, Tier
from milepost.training.algorithm import Flag
from milepost.training.credit import credit_batch
from milepost.training.evaluation import summarize
from milepost.training.failures import FailureBudget
from milepost.training.learner import Learner
from milepost.training.objective import Objective
from milepost.training.payment import add_settlement
from milepost.training.sections import AlgorithmSection
from milepost.training.trajectory import Status, Trajectory
from tests.milestones.test_case import ON, make_case
from tests.milestones.test_settlement import DOWN, LIKES, settle
from tests.training.trajectories import make_model, make_trajectory, make_turn

NOBODY = {Tier.LEARNED: DOWN, Tier.JUDGE: DOWN}


def play(opinions: Mapping[Tier, Opinion], *, member: int = 0, routing: Routing = ON) -> Trajectory:
    turns = [make_turn(0.5, name="sent"), make_turn()]
    played = make_trajectory(turns, member=member, status=Status.TRUNCATED)
    return add_settlement(played, settle(make_case("Send"), opinions, routing), RewardMode.MILESTONES)


def test_what_was_settled_is_paid_after_the_last_turn() -> None:
    paid = play({Tier.LEARNED: LIKES})
    assert [turn.rewards for turn in paid.turns] == [{"sent": 0.5}, {"fits": 0.75}]
    assert (paid.status, paid.scored, paid.success, paid.ret) == (Status.TRUNCATED, True, True, 1.25)
    assert paid.reward_parts == {"sent": 0.5, "fits": 0.75}
    assert paid.routes == {"fits": "learned", "goal": "learned"}


def test_an_outage_masks_the_whole_trajectory_and_is_no_failure_of_the_harness() -> None:
    lost = play(NOBODY)
    assert math.isnan(lost.turns[-1].rewards["fits"])
    assert (lost.status, lost.scored, lost.success) == (Status.UNSCORED, False, False)
    assert "the endpoint answered 503" in lost.failure
    assert lost.routes == {"fits": "unscored", "goal": "unscored"}
    assert math.isnan(lost.ret)
    FailureBudget(1, 0.0).note(lost)


def test_with_the_rules_off_their_rewards_are_taken_out() -> None:
    paid = play({Tier.LEARNED: LIKES}, routing=Routing(tiers=frozenset({Tier.LEARNED})))
    assert [turn.rewards for turn in paid.turns] == [{}, {"goal": 0.75}]


def test_masked_trajectories_teach_nothing_and_the_others_go_on_as_if_they_were_not_there() -> None:
    good = [play({Tier.LEARNED: LIKES}, member=0), play({}, member=1)]
    assert not good[1].scored
    algorithm, rng = AlgorithmSection(), np.random.default_rng(0)
    other = make_trajectory([make_turn(0.5, name="sent"), make_turn()], member=2)
    alone, _ = credit_batch([good[0], other], algorithm, constant=1, rng=rng)
    beside, _ = credit_batch([good[0], good[1], other], algorithm, constant=1, rng=rng)
    assert [row.advantage for row in beside] == [row.advantage for row in alone]
    assert any(row.advantage for row in alone)


@pytest.mark.parametrize("flags", [[], [Flag.SHUFFLED_REWARDS]])
def test_a_batch_that_nobody_scored_changes_no_weight(flags: list[Flag]) -> None:
    learner = Learner(make_model(), Objective())
    before = [p.clone() for p in learner.model.parameters()]
    rng = np.random.default_rng(0)
    batch = [play(NOBODY, member=n) for n in range(3)]
    algorithm = AlgorithmSection.model_validate({"flags": flags})
    rows, facts = credit_batch(batch, algorithm, constant=1, rng=rng)
    assert learner.update(rows, rng)["loss"] == 0.0
    assert facts["flat_groups"] == 0.0
    assert all(bool((a == b).all()) for a, b in zip(before, learner.model.parameters(), strict=True))


def test_figures_count_routes_and_leave_masked_episodes_out() -> None:
    score = summarize([play({Tier.LEARNED: LIKES}), play(NOBODY)]).to_record()
    assert score["routes"] == {"learned": 2, "unscored": 2}
    assert (score["unscored"], score["success"], score["return"]) == (1, 1.0, float(Fraction(5, 4)))
