import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from milepost.training.preferences.losses import (
    PAIR_LOSSES,
    PairScores,
    balance_labels,
    bco_loss,
    cdpo_loss,
    discopop_loss,
    dpo_loss,
    estimate_divergence,
    hinge_loss,
    imitation_loss,
    ipo_loss,
    kto_loss,
    log_odds,
    nca_loss,
    orpo_loss,
    robust_loss,
    simpo_loss,
)
from milepost.training.preferences.method import METHODS, Form, Terms

B01 = Terms(beta=0.1)


def row(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def make_pairs(
    chosen: Sequence[float],
    rejected: Sequence[float],
    reference: tuple[Sequence[float], Sequence[float]] | None = None,
    tokens: tuple[Sequence[float], Sequence[float]] | None = None,
) -> PairScores:
    zeros = [0.0] * len(chosen)
    ones = [1.0] * len(chosen)
    first, second = reference or (zeros, zeros)
    more, fewer = tokens or (ones, ones)
    return PairScores(
        chosen_B=row(*chosen),
        rejected_B=row(*rejected),
        reference_chosen_B=row(*first),
        reference_rejected_B=row(*second),
        chosen_tokens_B=row(*more),
        rejected_tokens_B=row(*fewer),
    )


def sigma(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


PAIR = make_pairs([-4.0], [-9.0], ([-6.0], [-5.0]), ([2.0], [4.0]))
"""Log-ratios of 2 and -4: a gap of 6, with beta 0.1 a scaled gap of 0.6."""

HAND = {
    Form.DPO: -math.log(sigma(0.6)),
    Form.DPO_NORM: -math.log(sigma(0.1 * (2 / 2 + 4 / 4))),
    Form.IPO: (2 / 2 + 4 / 4 - 5.0) ** 2,
    Form.HINGE: 0.4,
    Form.CDPO: -0.75 * math.log(sigma(0.6)) - 0.25 * math.log(sigma(-0.6)),
    Form.ROBUST: (-0.75 * math.log(sigma(0.6)) + 0.25 * math.log(sigma(-0.6))) / 0.5,
    Form.APO_ZERO: 1 - sigma(0.2) + sigma(-0.4),
    Form.APO_DOWN: sigma(0.2) + 1 - sigma(0.6),
    Form.SPPO: (2 - 5) ** 2 + (-4 + 5) ** 2,
    Form.BCO: -math.log(sigma(0.2 + 0.1)) - math.log(sigma(-0.1 + 0.4)),
    Form.NCA: -math.log(sigma(0.2)) - 0.5 * math.log(sigma(-0.2)) - 0.5 * math.log(sigma(0.4)),
    Form.DISCOPOP: -(1 - sigma(0.6 / 0.05)) * math.log(sigma(0.6)) + sigma(0.6 / 0.05) * math.exp(-0.6),
    Form.SIMPO: -math.log(sigma(0.1 * (-4 / 2 + 9 / 4) - 0.5)),
    Form.CPO: -math.log(sigma(0.5)) + 2.0 * 4 / 2,
    Form.ORPO: 2.0 * 4 / 2
    - 0.1 * math.log(sigma((-2 - math.log(1 - math.exp(-2))) - (-9 / 4 - math.log(1 - math.exp(-9 / 4))))),
}


@pytest.mark.parametrize("form", PAIR_LOSSES)
def test_each_loss_is_what_its_formula_gives_by_hand(form: Form) -> None:
    terms = Terms(beta=0.1, gamma=0.5, smoothing=0.25, nll_coef=2.0)
    assert PAIR_LOSSES[form](PAIR, terms).tolist() == pytest.approx([HAND[form]], abs=1e-12)


def test_every_form_has_a_loss() -> None:
    assert set(PAIR_LOSSES) == set(Form) - {Form.KTO, Form.IMITATION}


def slopes(
    loss: Callable[[PairScores, Terms], Tensor], pairs: PairScores, terms: Terms
) -> tuple[Tensor, Tensor]:
    chosen, rejected = pairs.chosen_B.clone().requires_grad_(), pairs.rejected_B.clone().requires_grad_()
    moved = replace(pairs, chosen_B=chosen, rejected_B=rejected)
    first, second = torch.autograd.grad(loss(moved, terms).sum(), (chosen, rejected))
    return first, second


@pytest.mark.parametrize(
    "form",
    [f for f in PAIR_LOSSES if f not in (Form.APO_DOWN, Form.SPPO, Form.BCO, Form.DISCOPOP)],
)
def test_a_step_raises_the_chosen_and_never_raises_the_rejected_side(form: Form) -> None:
    first, second = slopes(PAIR_LOSSES[form], PAIR, Terms(beta=0.1, smoothing=0.1, nll_coef=1.0))
    assert float(first) < 0.0
    assert float(second) >= 0.0


def test_apo_down_lowers_both_sides_and_the_rejected_one_more() -> None:
    equal = make_pairs([0.0], [0.0])
    first, second = slopes(PAIR_LOSSES[Form.APO_DOWN], equal, B01)
    # sigma'(0) = 1/4 cancels on the chosen side where both are at the reference
    assert (float(first), float(second)) == pytest.approx((0.0, 0.025))
    first, second = slopes(PAIR_LOSSES[Form.APO_DOWN], make_pairs([2.0], [-40.0]), B01)
    assert float(first) > 0.0


@pytest.mark.parametrize(("gap", "weight"), [(0.0, 0.5), (400.0, 0.0), (-400.0, 1.0)])
def test_the_weight_of_dpo_is_half_at_the_start_none_when_right_and_whole_when_wrong(
    gap: float, weight: float
) -> None:
    first, second = slopes(dpo_loss, make_pairs([gap], [0.0]), B01)
    assert float(first) == pytest.approx(-0.1 * weight, abs=1e-12)
    assert float(second) == -float(first)


def test_the_series_of_dpo_has_no_cubic_term() -> None:
    z = 0.3
    rest = float(dpo_loss(make_pairs([3.0], [0.0]), B01)) - (math.log(2) - z / 2 + z * z / 8)
    assert rest == pytest.approx(-(z**4) / 192, rel=0.01)


def test_at_the_reference_dpo_is_grpo_of_two_with_a_ratio_of_the_whole_sequence() -> None:
    # Rewards (1, 0) give advantages (1, -1) when the deviation is the population's.
    logp = row(-3.0, -7.0).requires_grad_()
    old = logp.detach().clone()
    objective = (torch.exp(logp - old) * row(1.0, -1.0)).mean()
    (policy,) = torch.autograd.grad(objective, logp)
    pair = make_pairs([-3.0], [-7.0], ([-3.0], [-7.0]))
    first, second = slopes(dpo_loss, pair, B01)
    assert torch.cat([first, second]).tolist() == pytest.approx((-0.1 * policy).tolist(), abs=1e-15)


@pytest.mark.parametrize(("lengths", "same"), [((4, 4), True), ((4, 6), False)])
def test_a_mean_over_tokens_breaks_that_identity_unless_lengths_are_equal(
    lengths: tuple[int, int], same: bool
) -> None:
    logp = torch.full((sum(lengths),), -1.0, dtype=torch.float64, requires_grad=True)
    chosen, rejected = torch.split(torch.exp(logp - logp.detach()), list(lengths))
    (policy,) = torch.autograd.grad(0.5 * (chosen.mean() - rejected.mean()), logp)
    sums = [part.sum() for part in torch.split(logp, list(lengths))]
    pair = make_pairs([-1.0], [-1.0])
    pair = replace(
        pair,
        chosen_B=sums[0][None],
        rejected_B=sums[1][None],
        reference_chosen_B=sums[0].detach()[None],
        reference_rejected_B=sums[1].detach()[None],
    )
    (preference,) = torch.autograd.grad(dpo_loss(pair, B01).sum(), logp)
    cosine = float(torch.nn.functional.cosine_similarity(-preference, policy, dim=0))
    assert (cosine == pytest.approx(1.0, abs=1e-12)) is same


def test_ipo_is_content_at_its_target_while_dpo_always_asks_for_more() -> None:
    target = make_pairs([5.0], [0.0])
    assert ipo_loss(target, B01).tolist() == pytest.approx([0.0])
    assert float(slopes(ipo_loss, target, B01)[0]) == pytest.approx(0.0)
    assert float(slopes(dpo_loss, target, B01)[0]) < 0.0


def test_hinge_stops_once_the_gap_is_wide_enough() -> None:
    assert float(slopes(hinge_loss, make_pairs([9.9], [0.0]), B01)[0]) == pytest.approx(-0.1)
    assert float(slopes(hinge_loss, make_pairs([10.1], [0.0]), B01)[0]) == 0.0


def test_losses_for_noisy_labels_are_dpo_where_there_is_no_noise() -> None:
    plain = dpo_loss(PAIR, B01).tolist()
    assert cdpo_loss(PAIR, B01).tolist() == plain
    assert robust_loss(PAIR, B01).tolist() == plain


def test_robust_is_unbiased_under_flipped_labels() -> None:
    flipped = make_pairs([-9.0], [-4.0], ([-5.0], [-6.0]), ([4.0], [2.0]))
    terms = Terms(beta=0.1, smoothing=0.3)
    mean = 0.7 * robust_loss(PAIR, terms) + 0.3 * robust_loss(flipped, terms)
    assert mean.tolist() == pytest.approx(dpo_loss(PAIR, B01).tolist(), abs=1e-12)


def test_cdpo_rests_where_the_gap_says_how_sure_the_labels_are() -> None:
    gap = math.log(0.8 / 0.2) / 0.1
    first, _ = slopes(cdpo_loss, make_pairs([gap], [0.0]), Terms(beta=0.1, smoothing=0.2))
    assert float(first) == pytest.approx(0.0, abs=1e-12)


def test_bco_does_not_change_when_all_rewards_move_together() -> None:
    moved = make_pairs([-4.0 + 30.0], [-9.0 + 30.0], ([-6.0], [-5.0]))
    assert bco_loss(moved, B01).tolist() == pytest.approx(bco_loss(PAIR, B01).tolist())
    assert bco_loss(moved, B01, shift=0.0).tolist() != pytest.approx(bco_loss(PAIR, B01, shift=0.0).tolist())


def test_nca_pulls_the_chosen_side_back_when_its_reward_is_too_high() -> None:
    assert float(slopes(nca_loss, make_pairs([0.0], [0.0]), B01)[0]) < 0.0
    assert float(slopes(nca_loss, make_pairs([40.0], [0.0]), B01)[0]) > 0.0


def test_simpo_at_equal_means_is_the_margin_alone_and_repeating_tokens_changes_nothing() -> None:
    terms = Terms(beta=2.0, gamma=0.5)
    equal = make_pairs([-4.0], [-6.0], tokens=([2.0], [3.0]))
    assert float(simpo_loss(equal, terms)) == pytest.approx(0.9740769841801067)
    doubled = make_pairs([-8.0], [-9.0], tokens=([4.0], [4.0]))
    assert float(simpo_loss(doubled, terms)) == float(
        simpo_loss(make_pairs([-4.0], [-9.0], tokens=([2.0], [4.0])), terms)
    )


def test_orpo_at_equal_means_is_log_two_and_its_odds_are_exact_at_both_ends() -> None:
    terms = Terms(beta=1.0, nll_coef=0.0)
    equal = make_pairs([-4.0], [-6.0], tokens=([2.0], [3.0]))
    assert float(orpo_loss(equal, terms)) == pytest.approx(math.log(2))
    assert float(log_odds(row(-50.0))) == pytest.approx(-50.0, abs=1e-12)
    assert float(log_odds(row(-1e-6))) == pytest.approx(math.log(1e6), abs=1e-5)
    assert math.isfinite(float(log_odds(row(0.0))))


def test_kto_is_half_at_its_reference_point_bounded_and_moves_each_label_its_own_way() -> None:
    terms = Terms(beta=0.1, desirable_weight=1.0, undesirable_weight=3.0)
    both = torch.tensor([True, False])
    at = kto_loss(row(2.0, 2.0), both, 2.0, terms)
    assert at.tolist() == pytest.approx([0.5, 1.5])
    far = kto_loss(row(-1e4, 1e4), both, 0.0, terms)
    assert far.tolist() == pytest.approx([1.0, 3.0])
    ratio = row(1.0, 1.0).requires_grad_()
    (slope,) = torch.autograd.grad(kto_loss(ratio, both, 0.0, terms).sum(), ratio)
    assert slope[0] < 0.0 < slope[1]


def test_discopop_as_published_begins_the_wrong_way_and_the_preset_never_goes_it() -> None:
    def slope(gap: float, terms: Terms) -> float:
        chosen = row(gap).requires_grad_()
        pairs = replace(make_pairs([0.0], [0.0]), chosen_B=chosen)
        (found,) = torch.autograd.grad(discopop_loss(pairs, terms).sum(), chosen)
        return float(found)

    assert slope(0.0, Terms(beta=1.0, tau=0.05)) == pytest.approx(-0.75 + 0.25 / 0.05 * (1 - math.log(2)))
    preset = replace(METHODS["discopop"].terms, beta=1.0)
    assert slope(0.0, preset) == pytest.approx(-0.75 + 0.25 / 0.2 * (1 - math.log(2)))
    assert all(slope(gap / 100, preset) < 0.0 for gap in range(-300, 301))


def test_the_commoner_label_is_weighed_down_until_both_sides_weigh_the_same() -> None:
    def weigh(desirable: int, undesirable: int) -> tuple[float, float]:
        terms = balance_labels(Terms(desirable_weight=1.0, undesirable_weight=1.5), desirable, undesirable)
        return terms.desirable_weight, terms.undesirable_weight

    assert weigh(6, 6) == (1.0, 1.5)
    assert weigh(3, 12) == (1.0, 0.375)
    assert weigh(12, 3) == (0.25, 1.5)
    assert weigh(0, 6) == weigh(6, 0) == (0.0, 0.0)


def test_the_divergence_of_kto_is_a_mean_that_is_never_below_zero() -> None:
    assert estimate_divergence(row(1.0, 4.0), row(0.0, 1.0)) == 2.0
    assert estimate_divergence(row(0.0), row(1.0)) == 0.0


def test_the_mean_of_the_imitation_loss_is_the_mean_over_all_tokens() -> None:
    loss = imitation_loss(row(-2.0, -12.0), row(1.0, 3.0))
    assert float(loss.mean()) == pytest.approx(14.0 / 4.0)


def test_dpo_on_all_pairs_of_a_group_is_the_ranking_loss_of_its_implicit_rewards() -> None:
    # InstructGPT's loss over K ranked answers: the mean of -log sigma over all K (K - 1) / 2 pairs.
    scores = row(3.0, 1.0, -2.0, 0.5, -1.0).sort(descending=True).values
    pairs = [(i, j) for i in range(5) for j in range(i + 1, 5)]
    ranking = sum(-math.log(sigma(float(scores[i] - scores[j]))) for i, j in pairs) / 10
    found = dpo_loss(
        make_pairs([10 * float(scores[i]) for i, _ in pairs], [10 * float(scores[j]) for _, j in pairs]), B01
    )
    assert len(pairs) == 10
    assert float(found.mean()) == pytest.approx(ranking)
    equal = dpo_loss(make_pairs([7.0] * 10, [7.0] * 10), B01)
    assert float(equal.mean()) == pytest.approx(math.log(2))
