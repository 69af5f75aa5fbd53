"""The divergence from a reference as a reward."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from milepost.agents.agent import Completion
from milepost.training.adapters import as_reference
from milepost.training.algorithm import KlKind
from milepost.training.attention import share_beginnings
from milepost.training.batch import MicroBatch, build_rows
from milepost.training.losses import kl_divergence
from milepost.training.penalties import pay
from milepost.training.policy import score_tokens
from milepost.training.scoring import score_rows
from milepost.training.trajectory import Trajectory

DIVERGENCE = "divergence"
"""Name of the reward that a divergence from the reference costs."""


def price_divergence(
    trajectories: Sequence[Trajectory],
    policy: PreTrainedModel,
    reference: PreTrainedModel,
    *,
    coef: float,
    kind: KlKind = KlKind.K1,
    temperature: float = 1.0,
    token_budget: int = 16_384,
) -> list[Trajectory]:
    """Charge each turn `coef` times its divergence, summed over its tokens (Ouyang et al. 2022, equation 2).

    The divergence is that of the policy which played, so it is a reward like any other and has no gradient.
    """
    rows = build_rows(trajectories, [[0.0] * len(one.turns) for one in trajectories])

    def score(model: PreTrainedModel) -> list[list[float]]:
        def logps(batch: MicroBatch) -> torch.Tensor:
            return score_tokens(model, batch, temperature=temperature).logp_U

        return score_rows(
            logps,
            rows,
            token_budget=token_budget,
            share_prompts=share_beginnings(model),
            device=model.device,
        )

    prices: dict[tuple[tuple[int, ...], tuple[int, ...], bytes | None], float] = {}
    scores = score(policy)
    with as_reference(policy, reference) as fixed:
        reference_scores = score(fixed)
    for row, own, other in zip(rows, scores, reference_scores, strict=True):
        kl_T = kl_divergence(torch.tensor(own), torch.tensor(other), kind)
        prices[row.prompt_ids, row.completion_ids, row.picture] = -coef * float(kl_T.sum())
    charged = pay(
        trajectories,
        DIVERGENCE,
        lambda turn: prices.get(_identify(turn.completion), 0.0),
    )
    return [new if old.scored else old for old, new in zip(trajectories, charged, strict=True)]


def _identify(call: Completion) -> tuple[tuple[int, ...], tuple[int, ...], bytes | None]:
    return call.prompt_ids, call.completion_ids, call.picture
