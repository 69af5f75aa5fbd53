"""The losses against TRL's, called on the same log-probabilities without a model."""

import importlib
import math
from collections import defaultdict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from milepost.training.preferences.losses import (
    PAIR_LOSSES,
    PairScores,
    bco_loss,
    cdpo_loss,
    estimate_divergence,
    imitation_loss,
    kto_loss,
    orpo_loss,
)
from milepost.training.preferences.method import Form, Terms

TOLERANCE = 1e-6
PAIRS, PROMPT, LENGTH = 3, 3, 7
BETA, NOISE, TAU = 0.1, 0.1, 0.05


def find_trainer(name: str) -> Any:
    """Import a trainer of TRL's when it is needed: every worker that collects these tests would wait for it.

    Its methods are called on stand-ins that hold what the formula reads, which their types do not allow.
    """
    place = {
        "dpo": "trainer.dpo",
        "kto": "trainer.kto",
        "cpo": "experimental.cpo.cpo",
        "orpo": "experimental.orpo.orpo",
    }
    return getattr(importlib.import_module(f"trl.{place[name]}_trainer"), f"{name.upper()}Trainer")


class _Accelerator:
    device = torch.device("cpu")

    def gather(self, x: Tensor) -> Tensor:
        return x

    def gather_for_metrics(self, x: Tensor) -> Tensor:
        return x


class _Scored(SimpleNamespace):
    """Stands where a model does, and gives log-probabilities that were fixed before."""

    def __call__(self, **inputs: Any) -> SimpleNamespace:
        logps: Tensor = self.choose(inputs["input_ids"])
        nothing = torch.zeros_like(logps)
        return SimpleNamespace(
            log_probs=logps * (inputs["labels"][:, 1:] != -100).float(),
            entropy=nothing,
            mean_logits=nothing,
            is_top1=nothing.bool(),
            log_sum_sq_probs=nothing,
        )


def draw() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw token ids, completion mask, and the log-probabilities of policy and reference."""
    g = torch.Generator().manual_seed(3)
    ids = torch.randint(1, 9, (2 * PAIRS, LENGTH), generator=g)
    mask = (torch.arange(LENGTH)[None] >= PROMPT).long().repeat(2 * PAIRS, 1)
    mask[1, 6:] = 0
    mask[4, 5:] = 0
    policy = -2.0 * torch.rand(2 * PAIRS, LENGTH - 1, generator=g)
    reference = -2.0 * torch.rand(2 * PAIRS, LENGTH - 1, generator=g)
    return ids, mask, policy, reference


def score(policy: Tensor, reference: Tensor, mask: Tensor) -> PairScores:
    kept = mask[:, 1:].float()
    chosen, rejected = (policy * kept).sum(1).chunk(2)
    reference_chosen, reference_rejected = (reference * kept).sum(1).chunk(2)
    chosen_tokens, rejected_tokens = mask.sum(1).float().chunk(2)
    return PairScores(
        chosen_B=chosen,
        rejected_B=rejected,
        reference_chosen_B=reference_chosen,
        reference_rejected_B=reference_rejected,
        chosen_tokens_B=chosen_tokens,
        rejected_tokens_B=rejected_tokens,
    )


def theirs(loss_type: str, policy: Tensor, reference: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    kept = mask[:, 1:].float()
    reference_chosen, reference_rejected = (reference * kept).sum(1).chunk(2)
    stub = SimpleNamespace(
        model=SimpleNamespace(training=True),
        accelerator=_Accelerator(),
        aux_loss_enabled=False,
        ld_alpha=None,
        precompute_ref_logps=True,
        f_divergence_type="reverse_kl",
        loss_types=[loss_type],
        loss_weights=[1.0],
        beta=BETA,
        label_smoothing=NOISE,
        use_weighting=False,
        _metrics={"train": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
        args=SimpleNamespace(discopop_tau=TAU),
    )
    inputs = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "completion_mask": mask,
        "ref_chosen_logps": reference_chosen,
        "ref_rejected_logps": reference_rejected,
    }
    found: Tensor = find_trainer("dpo")._compute_loss(stub, _Scored(choose=lambda _: policy), inputs, False)
    return found


def compare(ours: Callable[[Tensor], Tensor], reference_loss: Callable[[Tensor], Tensor], at: Tensor) -> None:
    """Compare losses and their gradients by the policy's log-probabilities."""
    first, second = at.clone().requires_grad_(), at.clone().requires_grad_()
    loss, expected = ours(first), reference_loss(second)
    assert float((loss - expected).detach().abs()) <= TOLERANCE * max(1.0, float(expected.detach().abs()))
    (slope,), (wanted,) = torch.autograd.grad(loss, first), torch.autograd.grad(expected, second)
    assert float((slope - wanted).abs().max()) <= TOLERANCE * max(1.0, float(wanted.abs().max()))


DPO_TYPES: dict[str, Callable[[PairScores, Terms], Tensor]] = {
    "sigmoid": PAIR_LOSSES[Form.DPO],
    "sigmoid_norm": PAIR_LOSSES[Form.DPO_NORM],
    "ipo": PAIR_LOSSES[Form.IPO],
    "hinge": PAIR_LOSSES[Form.HINGE],
    "robust": PAIR_LOSSES[Form.ROBUST],
    "bco_pair": lambda pairs, terms: bco_loss(pairs, terms, shift=0.0),
    "nca_pair": PAIR_LOSSES[Form.NCA],
    "sppo_hard": PAIR_LOSSES[Form.SPPO],
    "apo_zero": PAIR_LOSSES[Form.APO_ZERO],
    "apo_down": PAIR_LOSSES[Form.APO_DOWN],
    "discopop": PAIR_LOSSES[Form.DISCOPOP],
    "sft": lambda pairs, _: imitation_loss(pairs.chosen_B, pairs.chosen_tokens_B),
}


@pytest.mark.parametrize("loss_type", DPO_TYPES)
def test_a_loss_and_its_gradient_are_those_of_trls_dpo_trainer(loss_type: str) -> None:
    ids, mask, policy, reference = draw()
    terms = Terms(beta=BETA, smoothing=NOISE, tau=TAU)
    compare(
        lambda logps: DPO_TYPES[loss_type](score(logps, reference, mask), terms).mean(),
        lambda logps: theirs(loss_type, logps, reference, ids, mask),
        policy,
    )


@pytest.mark.parametrize(("loss_type", "noise"), [("sigmoid", 0.0), ("sigmoid", 0.1), ("simpo", 0.0)])
def test_reference_free_losses_are_those_of_trls_cpo_trainer(loss_type: str, noise: float) -> None:
    _, mask, policy, reference = draw()
    stub = SimpleNamespace(
        alpha=0.0,
        accelerator=_Accelerator(),
        loss_type=loss_type,
        beta=BETA,
        simpo_gamma=0.5,
        label_smoothing=noise,
    )
    zeros = torch.zeros_like(reference)
    terms = Terms(beta=BETA, gamma=0.5, smoothing=noise)
    form = PAIR_LOSSES[Form.SIMPO] if loss_type == "simpo" else cdpo_loss if noise else PAIR_LOSSES[Form.CPO]

    def expected(logps: Tensor) -> Tensor:
        pairs = score(logps, zeros, mask)
        lengths = (pairs.chosen_tokens_B, pairs.rejected_tokens_B) if loss_type == "simpo" else (1.0, 1.0)
        losses: Tensor = find_trainer("cpo").cpo_loss(
            stub, pairs.chosen_B / lengths[0], pairs.rejected_B / lengths[1]
        )[0]
        return losses.mean()

    compare(lambda logps: form(score(logps, zeros, mask), terms).mean(), expected, policy)


def test_the_odds_ratio_is_that_of_trls_orpo_trainer() -> None:
    _, mask, policy, reference = draw()
    stub = SimpleNamespace(beta=BETA, accelerator=_Accelerator())

    def expected(logps: Tensor) -> Tensor:
        pairs = score(logps, reference, mask)
        losses: Tensor = find_trainer("orpo").odds_ratio_loss(
            stub, pairs.chosen_B / pairs.chosen_tokens_B, pairs.rejected_B / pairs.rejected_tokens_B
        )[0]
        return -losses.mean()

    compare(lambda x: orpo_loss(score(x, reference, mask), Terms(beta=BETA)).mean(), expected, policy)


def test_kto_and_its_reference_point_are_those_of_trls_kto_trainer() -> None:
    ids, mask, policy, reference = draw()
    desirable = torch.tensor([True, True, False, True, False, False])
    other_policy, other_reference = policy.flip(0) + 0.3, reference.flip(0)
    kept = mask[:, 1:].float()
    stub = SimpleNamespace(
        model=SimpleNamespace(training=True),
        accelerator=_Accelerator(),
        aux_loss_enabled=False,
        precompute_ref_logps=True,
        calculate_KL=True,
        loss_type="kto",
        beta=BETA,
        desirable_weight=1.0,
        undesirable_weight=1.33,
        _metrics={"train": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
    )
    stub._compute_kl_logps = lambda model, batch: find_trainer("kto")._compute_kl_logps(stub, model, batch)
    batch = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "completion_mask": mask,
        "label": desirable,
        "KL_input_ids": ids + 10,
        "KL_attention_mask": torch.ones_like(ids),
        "KL_completion_mask": mask,
        "ref_logps": (reference * kept).sum(1),
        "ref_KL_logps": (other_reference * kept).sum(1),
    }
    divergence = estimate_divergence((other_policy * kept).sum(1), (other_reference * kept).sum(1))
    assert divergence > 0.0

    def expected(logps: Tensor) -> Tensor:
        model = _Scored(choose=lambda found: logps if torch.equal(found, ids) else other_policy)
        found: Tensor = find_trainer("kto")._compute_loss(stub, model, batch, False)
        return found

    def ours(logps: Tensor) -> Tensor:
        ratio = ((logps - reference) * kept).sum(1)
        return kto_loss(ratio, desirable, divergence, Terms(beta=BETA, undesirable_weight=1.33)).mean()

    compare(ours, expected, policy)
    assert math.isfinite(divergence)
