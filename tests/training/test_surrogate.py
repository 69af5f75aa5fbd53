from dataclasses import replace

import numpy as np
import pytest
import torch

from milepost.training.batch import Row, cut_batch
from milepost.training.learner import Learner
from milepost.training.objective import Objective
from milepost.training.policy import score_tokens
from milepost.training.surrogate import Prepared, measure_loss
from milepost.training.tally import TokenSums
from tests.training.trajectories import make_model

ROW = Row(prompt_ids=(2, 3), completion_ids=(4, 5), sampler_logps=(-3.0, -3.0), advantage=2.0, weight=0.25)
ROWS = [ROW, replace(ROW, prompt_ids=(3,), advantage=-1.0)]
HELD = Objective(adapts=True, step_kl_coef=3.0, step_kl=1.0, importance_cap=0.0, learning_rate=1e-2)


def test_a_loss_weighs_ratio_and_advantage_of_each_token() -> None:
    model = make_model()
    (batch,) = cut_batch([ROW], token_budget=100)
    logp_N = score_tokens(model, batch).logp_U.detach()
    prepared = Prepared(batch, old_logp_N=logp_N - torch.log(torch.tensor([1.1, 0.9])))
    sums = TokenSums()
    loss = measure_loss(
        score_tokens(model, batch), prepared, Objective(importance_cap=0.0), step_kl_coef=0.0, sums=sums
    )
    assert float(loss.detach()) == pytest.approx(-0.25 * 2.0 * (1.1 + 0.9), abs=1e-6)
    assert sums.means()["ratio"] == pytest.approx(1.0, abs=1e-6)


def test_the_divergence_from_the_batchs_start_costs_its_present_weight() -> None:
    model = make_model()
    (batch,) = cut_batch([ROW], token_budget=100)
    logp_N = score_tokens(model, batch).logp_U.detach()
    prepared = Prepared(batch, old_logp_N=logp_N - torch.log(torch.tensor([2.0, 0.5])))
    losses = [
        float(
            measure_loss(
                score_tokens(model, batch),
                prepared,
                Objective(importance_cap=0.0),
                step_kl_coef=coef,
                sums=TokenSums(),
            ).detach()
        )
        for coef in (0.0, 3.0)
    ]
    # k3 of KL(old || policy) is r - log r - 1 with r the ratio of policy to old
    k3 = (2.0 - torch.log(torch.tensor(2.0)) - 1.0) + (0.5 - torch.log(torch.tensor(0.5)) - 1.0)
    assert losses[1] - losses[0] == pytest.approx(0.25 * 3.0 * float(k3), abs=1e-6)


@pytest.mark.parametrize("steps", [1, 4])
def test_an_adaptive_weight_follows_the_divergence_at_the_end_of_a_batch(steps: int) -> None:
    """r - 1 - log r over all tokens, r = p / p_old: one step has come some way too, though it began at 0."""
    model, old = make_model(), make_model()
    found = Learner(model, replace(HELD, epochs=steps)).update(ROWS, np.random.default_rng(0))
    (batch,) = cut_batch(ROWS, token_budget=100)
    now_N, old_N = (score_tokens(one, batch).logp_U[batch.token_N].detach() for one in (model, old))
    expected = float((torch.exp(now_N - old_N) - 1.0 - (now_N - old_N)).mean())
    assert expected > 1e-4
    assert found["kl_step"] == pytest.approx(expected, rel=1e-3)
    assert found["step_kl_coef"] == 1.5
    assert found["optimizer_steps"] == steps


def learn(objective: Objective) -> tuple[dict[str, float], Learner]:
    """What a batch of two rows comes to, and the learner that has learnt it."""
    learner = Learner(make_model(), objective)
    return learner.update(ROWS, np.random.default_rng(0)), learner


def test_a_batch_ends_after_the_pass_that_led_too_far_from_its_start() -> None:
    too_far, stopped = learn(replace(HELD, step_kl=1e-9, epochs=4, minibatches=2))
    one_pass, plain = learn(replace(HELD, step_kl=1.0, epochs=1, minibatches=2))
    all_passes, _ = learn(replace(HELD, step_kl=1.0, epochs=4, minibatches=2))
    found = (too_far, one_pass, all_passes)
    assert [facts["optimizer_steps"] for facts in found] == [2.0, 2.0, 8.0]
    assert [facts["step_kl_coef"] for facts in found] == [6.0, 1.5, 1.5]
    assert too_far["tokens_computed"] == one_pass["tokens_computed"] == all_passes["tokens_computed"] / 4
    for left, right in zip(stopped.policy.parameters(), plain.policy.parameters(), strict=True):
        assert torch.equal(left, right)


def test_a_batch_that_only_rehearses_leaves_an_adaptive_weight_alone() -> None:
    learner = Learner(make_model(), replace(HELD, rehearsal_coef=0.1, skip_silent=True))
    silent = [replace(row, advantage=0.0) for row in ROWS]
    facts = learner.update(silent, np.random.default_rng(0), demonstrations=ROWS)
    assert facts["optimizer_steps"] == 1.0
    assert learner.state_dict()["step_kl_coef"] == 3.0
