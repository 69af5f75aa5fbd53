import pytest
import torch

from milepost.training.batch import Row, cut_batch
from milepost.training.objective import Objective
from milepost.training.policy import score_tokens
from milepost.training.surrogate import Prepared, measure_loss
from milepost.training.tally import TokenSums
from tests.training.trajectories import make_model

ROW = Row(prompt_ids=(2, 3), completion_ids=(4, 5), sampler_logps=(-3.0, -3.0), advantage=2.0, weight=0.25)


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
