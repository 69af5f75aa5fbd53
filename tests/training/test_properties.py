"""Properties that published methods are said to have, in miniature, and the table that says where each one is shown.

Most stand with the module they are about; here are those that join several, or none.
"""

import ast
import itertools
import math
import re
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from milepost.envs.registry import get_template, templates
from milepost.training.algorithm import KlKind, KlPlace
from milepost.training.batch import Row
from milepost.training.credit import credit_batch
from milepost.training.critic import Critic
from milepost.training.learner import Learner
from milepost.training.objective import Objective
from milepost.training.outcomes import grpo_process, standardize
from milepost.training.preferences.losses import PairScores, dpo_loss
from milepost.training.preferences.method import Terms
from milepost.training.presets import PRESETS
from milepost.training.sections import AlgorithmSection
from milepost.training.valuation import credit_by_values
from tests.training.trajectories import from_rewards, make_model

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/properties.md"


@cache
def list_tests(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {one.name for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_property_names_a_test_that_is_there_or_says_why_there_is_none() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+?) \| (.+) \|$", PAGE.read_text(), flags=re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 45))
    for number, _, shown in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", shown)
        assert named or "no test:" in shown, f"property {number}"
        for path, name in named:
            assert name in list_tests(path), f"property {number}: {path} has no {name}"


@pytest.mark.parametrize("baseline", [0.0, 3.0, 5.0])
def test_a_baseline_leaves_the_gradient_as_it_is_and_lowers_its_variance(baseline: float) -> None:
    """Three actions that pay about 5: E[grad log p (R - b)] by enumeration."""
    logits_A = torch.tensor([0.2, -0.3, 0.5], dtype=torch.float64)
    reward_A = torch.tensor([4.8, 5.0, 5.3], dtype=torch.float64)
    p_A = logits_A.softmax(0)
    slope_AA = torch.eye(3, dtype=torch.float64) - p_A  # d log p(a) / d logits

    def moments(b: float) -> tuple[Tensor, float]:
        sample_AA = slope_AA * (reward_A - b)[:, None]
        mean_A = (p_A[:, None] * sample_AA).sum(0)
        return mean_A, float((p_A[:, None] * (sample_AA - mean_A).square()).sum())

    mean_A, variance = moments(baseline)
    plain_A, plain = moments(0.0)
    torch.testing.assert_close(mean_A, plain_A, rtol=0, atol=1e-14)
    assert variance <= plain
    best = moments(float(p_A @ reward_A))[1]
    assert best < 0.01 * plain


def test_returns_are_fixed_before_the_critic_moves_and_carry_no_gradient() -> None:
    critic = Critic(make_model(), learning_rate=1e-2, token_budget=100)
    twin = Critic(make_model(), learning_rate=1e-2, token_budget=100)
    batch = [from_rewards([0.25, 0.5]), from_rewards([-1.0])]
    algorithm = replace(PRESETS["ppo"].algorithm, flags=())
    before, _ = credit_by_values(batch, algorithm, critic, constant=4)  # four passes of the critic
    after, _ = credit_by_values(batch, replace(algorithm, epochs=5), twin, constant=4)
    assert [row.token_advantages for row in before] == [row.token_advantages for row in after]
    assert critic.value_rows(before) != twin.value_rows(after)
    assert all(isinstance(value, float) for row in before for value in row.token_advantages)


def test_old_log_probabilities_are_those_of_the_batchs_start_in_every_pass() -> None:
    """After the first of three passes the ratio is no longer 1; against policies that move along it would be."""
    row = Row(prompt_ids=(2, 3), completion_ids=(4, 5), sampler_logps=(0.0, 0.0), advantage=1.0, weight=0.5)
    plain = Objective(learning_rate=1e-2, importance_cap=0.0, clip_high=10.0)
    ratios = [
        Learner(make_model(), replace(plain, epochs=epochs)).update([row], np.random.default_rng(0))["ratio"]
        for epochs in (1, 2, 3)
    ]
    second, third = 2 * ratios[1] - ratios[0], 3 * ratios[2] - 2 * ratios[1]
    assert ratios[0] == 1.0
    assert 1.0 < second < third


def test_away_from_its_start_two_rollout_grpo_and_dpo_part() -> None:
    """The ratio of a whole sequence against DPO, for a linear policy that drifts from its reference."""
    rng = torch.Generator().manual_seed(3)
    start_VD, state_TD, noise_VD = (
        torch.randn(size, dtype=torch.float64, generator=rng) for size in ((5, 6), (4, 6), (5, 6))
    )
    chosen_T, rejected_T = torch.tensor([0, 1, 2, 3]), torch.tensor([4, 0, 1, 1])

    def cosine(drift: float) -> float:
        weight_VD = (start_VD + drift * noise_VD).requires_grad_()
        ratio_TV = (state_TD @ weight_VD.T).log_softmax(-1) - (state_TD @ start_VD.T).log_softmax(-1)
        up = ratio_TV.gather(1, chosen_T[:, None]).sum()
        down = ratio_TV.gather(1, rejected_T[:, None]).sum()
        dpo = -torch.nn.functional.logsigmoid(up - down)
        grpo = -(up.exp() - down.exp()) / 2
        slopes = [torch.autograd.grad(one, weight_VD, retain_graph=True)[0].flatten() for one in (dpo, grpo)]
        return float(torch.cosine_similarity(slopes[0], slopes[1], dim=0))

    found = [cosine(drift) for drift in (0.0, 0.01, 0.1, 0.5)]
    assert found[0] == pytest.approx(1.0, abs=1e-12)
    assert found == sorted(found, reverse=True)
    assert found[3] < 0.9


@pytest.mark.parametrize("place", list(KlPlace))
def test_a_divergence_in_the_reward_changes_advantages_and_one_in_the_loss_does_not(place: KlPlace) -> None:
    batch = [
        from_rewards([1.0], group="g", member=0),
        from_rewards([0.0, 0.5], group="g", member=1),
    ]
    found = []
    for coef in (0.1, 0.7):
        objective = Objective(kl_coef=coef, kl_place=place, kl=KlKind.K1)
        learner = Learner(make_model(), objective, reference=make_model(seed=1))
        section = AlgorithmSection(preset="grpo")
        rows, _ = credit_batch(
            learner.charge_divergence(batch), section, constant=4, rng=np.random.default_rng(0)
        )
        found.append([row.advantage for row in rows])
    assert (found[0] == found[1]) is (place is not KlPlace.REWARD)


@pytest.mark.parametrize("beta", [0.1, 0.5, 2.0])
def test_reward_minus_divergence_is_greatest_at_the_tilted_reference(beta: float) -> None:
    """argmax E[r] - beta KL(p || q) is q exp(r / beta) / Z, and its implicit reward is r up to a constant."""
    reward_A = torch.tensor([1.0, 0.2, -0.5, 0.6], dtype=torch.float64)
    reference_A = torch.tensor([0.1, 0.4, 0.3, 0.2], dtype=torch.float64)
    logits_A = reference_A.log().clone().requires_grad_()
    optimizer = torch.optim.LBFGS([logits_A], max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-16)

    def loss() -> Tensor:
        optimizer.zero_grad()
        p_A = logits_A.softmax(0)
        value: Tensor = beta * (p_A * (p_A.log() - reference_A.log())).sum() - p_A @ reward_A
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    found_A = logits_A.detach().softmax(0)
    tilted_A = reference_A * (reward_A / beta).exp()
    torch.testing.assert_close(found_A, tilted_A / tilted_A.sum(), rtol=0, atol=1e-4)
    implicit_A = beta * (tilted_A.log() - reference_A.log())
    torch.testing.assert_close(implicit_A - implicit_A[0], reward_A - reward_A[0])


def test_process_advantages_sum_to_zero_by_reward_and_not_by_turn() -> None:
    rewards = [[0.0, 0.0, 1.0], [0.5]]
    flat = standardize([value for row in rewards for value in row])
    assert sum(flat) == pytest.approx(0.0, abs=1e-12)
    found = grpo_process(rewards)
    assert found[0] == pytest.approx([flat[0] + flat[1] + flat[2], flat[1] + flat[2], flat[2]])
    assert abs(sum(itertools.chain.from_iterable(found))) > 0.1


# A table of targets: 32 prompts, three tokens of four words each, one right answer for each prompt.
PROMPTS, TOKENS, WORDS = 32, 3, 4


def draw(logits_PTV: Tensor, size: int, rng: torch.Generator) -> Tensor:
    flat = logits_PTV.softmax(-1).reshape(PROMPTS * TOKENS, WORDS)
    drawn = torch.multinomial(flat, size, replacement=True, generator=rng)
    return drawn.view(PROMPTS, TOKENS, size).transpose(1, 2)


def score(logits_PTV: Tensor, tokens_PST: Tensor) -> Tensor:
    logp_PSTV = logits_PTV.log_softmax(-1)[:, None].expand(-1, tokens_PST.shape[1], -1, -1)
    return logp_PSTV.gather(3, tokens_PST[..., None])[..., 0].sum(-1)


def practise(sync_every: int, *, size: int = 8, dense: bool = False, steps: int = 100) -> tuple[float, int]:
    """Practise DPO on the best and the worst of each prompt; give the success at the end, and the syncs.

    With `sync_every` 0 all steps learn from what the policy said at the start.
    """
    rng = torch.Generator().manual_seed(0)
    target_PT = torch.randint(WORDS, (PROMPTS, TOKENS), generator=rng)
    logits_PTV = torch.zeros(PROMPTS, TOKENS, WORDS, requires_grad=True)
    reference_PTV = torch.zeros(PROMPTS, TOKENS, WORDS)
    optimizer = torch.optim.Adam([logits_PTV], lr=0.3)
    behaviour_PTV, tokens_PST, syncs = reference_PTV, draw(reference_PTV, size, rng), 0
    for step in range(steps):
        if sync_every and step % sync_every == 0:
            behaviour_PTV, syncs = logits_PTV.detach().clone(), syncs + 1
        if sync_every:
            tokens_PST = draw(behaviour_PTV, size, rng)
        hits_PST = (tokens_PST == target_PT[:, None]).float()
        return_PS = hits_PST.mean(-1) if dense else hits_PST.prod(-1)
        rows, best, worst = torch.arange(PROMPTS), return_PS.argmax(1), return_PS.argmin(1)
        differ = return_PS[rows, best] > return_PS[rows, worst]  # ties teach nothing
        if not differ.any():
            continue
        own_PS, start_PS = score(logits_PTV, tokens_PST), score(reference_PTV, tokens_PST)
        length_B = torch.full((int(differ.sum()),), TOKENS)
        pairs = PairScores(
            chosen_B=own_PS[rows, best][differ],
            rejected_B=own_PS[rows, worst][differ],
            reference_chosen_B=start_PS[rows, best][differ],
            reference_rejected_B=start_PS[rows, worst][differ],
            chosen_tokens_B=length_B,
            rejected_tokens_B=length_B,
        )
        optimizer.zero_grad()
        dpo_loss(pairs, Terms(beta=0.1)).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    p_PT = logits_PTV.detach().softmax(-1).gather(2, target_PT[..., None])[..., 0]
    return float(p_PT.prod(-1).mean()), syncs


def test_fresh_samples_teach_what_a_first_draw_does_not_cover() -> None:
    """The first draw holds a success for 1 - (63/64)^8 = 12 % of the prompts; offline learns nothing of the others.

    This is coverage, and says nothing about language models.
    """
    offline, none = practise(0)
    semi, few = practise(10)
    online, all_ = practise(1)
    assert (none, few, all_) == (0, 10, 100)
    assert offline < 0.2
    assert online > 0.95
    assert abs(online - semi) < 0.05


def test_an_interval_that_does_not_divide_the_steps_syncs_once_more() -> None:
    assert practise(7, steps=10)[1] == math.ceil(10 / 7)


def test_two_rollouts_are_enough_where_rewards_are_dense() -> None:
    assert practise(1, size=2, dense=True)[0] > 0.9


CATEGORIES = {
    "navigation": ("0.25", "0.25", "0.5"),
    "form": ("0.2", "0.3", "0.5"),
    "file": ("1", "0.5", "0.25"),
    "email": ("0.25", "0.5", "1"),
    "settings": ("0.25", "0.25", "0.5"),
    "search": ("0.25", "0.5", "0.5"),
}


@pytest.mark.parametrize("task_id", [row.id for row in templates() if ".judged." not in row.template])
def test_a_task_pays_the_rewards_of_its_category(task_id: str) -> None:
    known = get_template(task_id)
    paid = [milestone.reward for milestone in known.task(0).spec.milestones]
    assert paid == [Fraction(value) for value in CATEGORIES[known.family]]
