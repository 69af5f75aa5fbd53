"""Losses over pairs of trajectories, single labelled trajectories, and demonstrations.

Everything here is a pure function of log-probabilities of whole trajectories: sums over the completion tokens of all
turns (`_B`, one entry a pair or a label). A loss is returned for each entry; the loss of a batch is its mean. A
reference that a method does not use may be zeros.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from milepost.training.preferences.method import Form, Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class PairScores:
    """What policy and reference say about B pairs; the policy's with gradient, the others without."""

    chosen_B: Tensor
    rejected_B: Tensor
    reference_chosen_B: Tensor
    reference_rejected_B: Tensor
    chosen_tokens_B: Tensor
    """Completion tokens of the chosen side, at least 1."""
    rejected_tokens_B: Tensor

    @property
    def chosen_ratio_B(self) -> Tensor:
        """Log-ratio of policy to reference on the chosen side: the implicit reward over beta."""
        return self.chosen_B - self.reference_chosen_B

    @property
    def rejected_ratio_B(self) -> Tensor:
        """Log-ratio of policy to reference on the rejected side."""
        return self.rejected_B - self.reference_rejected_B

    @property
    def gap_B(self) -> Tensor:
        """By how much the log-ratio of the chosen side is larger."""
        return self.chosen_ratio_B - self.rejected_ratio_B

    @property
    def nll_B(self) -> Tensor:
        """Chosen side's negative log-likelihood; the mean over pairs is the mean over all its tokens."""
        return -self.chosen_B / self.chosen_tokens_B.to(self.chosen_B.dtype).mean()


def dpo_loss(pairs: PairScores, terms: Terms) -> Tensor:
    """-log sigma(beta gap) (Rafailov 2023, eq. 7)."""
    return -logsigmoid(terms.beta * pairs.gap_B)


def dpo_norm_loss(pairs: PairScores, terms: Terms) -> Tensor:
    """DPO over log-ratios per token (Meng 2024, appendix; TRL's `sigmoid_norm`)."""
    gap_B = pairs.chosen_ratio_B / pairs.chosen_tokens_B - pairs.rejected_ratio_B / pairs.rejected_tokens_B
    return -logsigmoid(terms.beta * gap_B)


def ipo_loss(pairs: PairScores, terms: Terms) -> Tensor:
    """(gap per token - 1/(2 beta))^2 (Azar 2023, eq. 17, with the mean over tokens that its authors use)."""
    gap_B = pairs.chosen_ratio_B / pairs.chosen_tokens_B - pairs.rejected_ratio_B / pairs.rejected_tokens_B
    return (gap_B - 0.5 / terms.beta).square()


def hinge_loss(pairs: PairScores, terms: Terms) -> Tensor:
    """max(0, 1 - beta gap): SLiC's rank calibration on log-ratios (Zhao 2023; Liu 2023, RSO, eq. 10)."""
    return torch.relu(1.0 - terms.beta * pairs.gap_B)


def cdpo_loss(pairs: PairScores, terms: Terms) -> Tensor:
    """DPO for labels that are wrong with probability s: a mixture of both directions (Mitchell 2023)."""
    scaled_B = terms.beta * pairs.gap_B
    return -(1.0 - terms.smoothing) * logsigmoid(scaled_B) - terms.smoothing * logsigmoid(-scaled_B)


def robust_loss(pairs: PairScores, terms: Terms) -> Tensor:
    """An unbiased estimate of the DPO loss of clean labels (Chowdhury 2024, eq. 12); s below 1/2."""
    scaled_B = terms.beta * pairs.gap_B
    mixed_B = -(1.0 - terms.smoothing) * logsigmoid(scaled_B) + terms.smoothing * logsigmoid(-scaled_B)
    return mixed_B / (1.0 - 2.0 * terms.smoothing)


def apo_zero_loss(pairs: PairScores, terms: Terms) -> Tensor:
    """1 - sigma(beta r_w) + sigma(beta r_l): winners up, losers down (D'Oosterlinck 2024, eq. 7)."""
    up_B = torch.sigmoid(terms.beta * pairs.chosen_ratio_B)
    return 1.0 - up_B + torch.sigmoid(terms.beta * pairs.rejected_ratio_B)


def apo_down_loss(pairs: PairScores, terms: Terms) -> Tensor:
    """sigma(beta r_w) + 1 - sigma(beta gap): both down, losers more (D'Oosterlinck 2024, eq. 8)."""
    return torch.sigmoid(terms.beta * pairs.chosen_ratio_B) + 1.0 - torch.sigmoid(terms.beta * pairs.gap_B)


def sppo_loss(pairs: PairScores, terms: Terms) -> Tensor:
    """(r_w - 1/(2 beta))^2 + (r_l + 1/(2 beta))^2: SPPO with hard probabilities (Wu 2024, eq. 4.7)."""
    half = 0.5 / terms.beta
    return (pairs.chosen_ratio_B - half).square() + (pairs.rejected_ratio_B + half).square()


def bco_loss(pairs: PairScores, terms: Terms, *, shift: float | None = None) -> Tensor:
    """-log sigma(beta r_w - d) - log sigma(d - beta r_l) (Jung 2024, eq. 8).

    Args:
        pairs: the pairs.
        terms: `beta` is used.
        shift: d; the mean of the batch's implicit rewards when it is None, without gradient.
    """
    chosen_B, rejected_B = terms.beta * pairs.chosen_ratio_B, terms.beta * pairs.rejected_ratio_B
    mean = 0.5 * float((chosen_B.mean() + rejected_B.mean()).detach()) if shift is None else shift
    return -logsigmoid(chosen_B - mean) - logsigmoid(mean - rejected_B)


def nca_loss(pairs: PairScores, terms: Terms) -> Tensor:
    """-log sigma(c) - (log sigma(-c) + log sigma(-l)) / 2 with implicit rewards c and l (Chen 2024, NCA)."""
    chosen_B, rejected_B = terms.beta * pairs.chosen_ratio_B, terms.beta * pairs.rejected_ratio_B
    return -logsigmoid(chosen_B) - 0.5 * logsigmoid(-chosen_B) - 0.5 * logsigmoid(-rejected_B)


def discopop_loss(pairs: PairScores, terms: Terms) -> Tensor:
    """(1 - m)(-log sigma(z)) + m exp(-z), z = beta gap, m = sigma(z / tau) (Lu 2024, eq. 5)."""
    scaled_B = terms.beta * pairs.gap_B
    mix_B = torch.sigmoid(scaled_B / terms.tau)
    return -(1.0 - mix_B) * logsigmoid(scaled_B) + mix_B * torch.exp(-scaled_B)


def simpo_loss(pairs: PairScores, terms: Terms) -> Tensor:
    """-log sigma(beta (mean log p_w - mean log p_l) - gamma), no reference (Meng 2024, eq. 6)."""
    gap_B = pairs.chosen_B / pairs.chosen_tokens_B - pairs.rejected_B / pairs.rejected_tokens_B
    return -logsigmoid(terms.beta * gap_B - terms.gamma)


def cpo_loss(pairs: PairScores, terms: Terms) -> Tensor:
    """-log sigma(beta (log p_w - log p_l)) + nll_coef NLL of the chosen side, no reference (Xu 2024, eq. 3)."""
    scaled_B = terms.beta * (pairs.chosen_B - pairs.rejected_B)
    return -logsigmoid(scaled_B) + terms.nll_coef * pairs.nll_B


def log_odds(mean_logp_B: Tensor) -> Tensor:
    """log(p / (1 - p)) with p = exp(mean_logp), which must be below 0; exact near p = 0 and p = 1."""
    return mean_logp_B - torch.log(-torch.expm1(mean_logp_B.clamp(max=-1e-7)))


def orpo_loss(pairs: PairScores, terms: Terms) -> Tensor:
    """nll_coef NLL_w - beta log sigma(log odds_w - log odds_l) over means per token (Hong 2024, eq. 6 and 7)."""
    chosen_B = log_odds(pairs.chosen_B / pairs.chosen_tokens_B)
    rejected_B = log_odds(pairs.rejected_B / pairs.rejected_tokens_B)
    return terms.nll_coef * pairs.nll_B - terms.beta * logsigmoid(chosen_B - rejected_B)


def kto_loss(ratio_B: Tensor, desirable_B: Tensor, divergence: float, terms: Terms) -> Tensor:
    """Weight x (1 - sigma(+-beta (ratio - z0))) for desirable and undesirable trajectories (Ethayarajh 2024, eq. 7).

    Args:
        ratio_B: log-ratio of policy to reference, with gradient.
        desirable_B: whether each is desirable, boolean.
        divergence: z0, an estimate of KL(policy || reference) without gradient and not below 0; see
            `estimate_divergence`.
        terms: `beta` and the two weights are used.
    """
    scaled_B = terms.beta * (ratio_B - divergence)
    good_B = terms.desirable_weight * (1.0 - torch.sigmoid(scaled_B))
    bad_B = terms.undesirable_weight * (1.0 - torch.sigmoid(-scaled_B))
    return torch.where(desirable_B, good_B, bad_B)


def balance_labels(terms: Terms, desirable: int, undesirable: int) -> Terms:
    """Weigh the commoner label down until both sides weigh the same, as Ethayarajh 2024 advises for unequal counts.

    A policy that mostly fails gives many undesirable trajectories of its own, and would unlearn all it does. With labels
    of one kind alone there is no contrast, and both weights are 0.

    Args:
        terms: whose weights are those of balanced labels.
        desirable: how many labels are desirable in a pass.
        undesirable: how many are not.
    """
    if not desirable or not undesirable:
        return replace(terms, desirable_weight=0.0, undesirable_weight=0.0)
    return replace(
        terms,
        desirable_weight=terms.desirable_weight * min(1.0, undesirable / desirable),
        undesirable_weight=terms.undesirable_weight * min(1.0, desirable / undesirable),
    )


def estimate_divergence(mismatched_B: Tensor, reference_mismatched_B: Tensor) -> float:
    """Estimate KTO's z0: the mean log-ratio of completions after prompts that are not theirs, at least 0."""
    return max(0.0, float((mismatched_B - reference_mismatched_B).detach().mean()))


def imitation_loss(logp_B: Tensor, tokens_B: Tensor) -> Tensor:
    """Negative log-likelihood; the mean over demonstrations is the mean over all their tokens."""
    return -logp_B / tokens_B.to(logp_B.dtype).mean()


PAIR_LOSSES: dict[Form, Callable[[PairScores, Terms], Tensor]] = {
    Form.DPO: dpo_loss,
    Form.DPO_NORM: dpo_norm_loss,
    Form.IPO: ipo_loss,
    Form.HINGE: hinge_loss,
    Form.CDPO: cdpo_loss,
    Form.ROBUST: robust_loss,
    Form.APO_ZERO: apo_zero_loss,
    Form.APO_DOWN: apo_down_loss,
    Form.SPPO: sppo_loss,
    Form.BCO: bco_loss,
    Form.NCA: nca_loss,
    Form.DISCOPOP: discopop_loss,
    Form.SIMPO: simpo_loss,
    Form.CPO: cpo_loss,
    Form.ORPO: orpo_loss,
}
"""The losses over pairs, each with shape (B,)."""
