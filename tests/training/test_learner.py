from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from milepost.training.batch import Row
from milepost.training.learner import Learner
from milepost.training.objective import Objective
from milepost.training.sections import AlgorithmSection
from tests.training.trajectories import make_model
from tests.training.world import learn

SGD_LIKE = Objective(learning_rate=1e-2, grad_clip=1e9, importance_cap=0.0)


def make_rows(advantages: Sequence[float]) -> list[Row]:
    rng = np.random.default_rng(7)
    prompts = [tuple(rng.integers(2, 40, size=n).tolist()) for n in (5, 9, 3)]
    rows = []
    for index, advantage in enumerate(advantages):
        completion = tuple(rng.integers(2, 40, size=1 + index % 4).tolist())
        rows.append(
            Row(
                prompt_ids=prompts[index % 3],
                completion_ids=completion,
                sampler_logps=tuple((-3.0 - rng.random(len(completion))).tolist()),
                advantage=advantage,
                weight=1 / 40,
            )
        )
    return rows


ROWS = make_rows([1.0, -0.5, 0.25, 0.0, -1.0, 0.5, 0.75, 0.0, -0.25])


def parameters(learner: Learner) -> Tensor:
    return torch.cat([p.detach().flatten() for p in learner.model.parameters()])


def update(objective: Objective, rows: Sequence[Row] = ROWS) -> tuple[Tensor, dict[str, float]]:
    learner = Learner(make_model(), objective, reference=make_model(seed=1))
    facts = learner.update(rows, np.random.default_rng(0))
    return parameters(learner), facts


def gradient(objective: Objective) -> tuple[Tensor, float]:
    learner = Learner(make_model(), objective, reference=make_model(seed=1))
    kept: list[Tensor] = []

    def keep(*_: object) -> None:
        kept.append(torch.cat([p.grad.flatten() for p in learner.model.parameters() if p.grad is not None]))

    learner.optimizer.register_step_pre_hook(keep)
    facts = learner.update(ROWS, np.random.default_rng(0))
    return kept[0], facts["loss"]


@pytest.mark.parametrize("objective", [SGD_LIKE, replace(SGD_LIKE, kl_coef=0.1, entropy_coef=0.01)])
def test_loss_and_gradient_do_not_depend_on_how_the_batch_is_cut(objective: Objective) -> None:
    whole, loss = gradient(replace(objective, token_budget=10_000))
    for budget in (1, 12, 30):
        parts, parts_loss = gradient(replace(objective, token_budget=budget))
        assert parts_loss == pytest.approx(loss, abs=1e-6)
        assert float((parts - whole).abs().max()) < 1e-6


def test_the_first_steps_loss_is_the_weighted_sum_of_advantages() -> None:
    _, facts = update(SGD_LIKE)
    expected = -sum(r.advantage * len(r.completion_ids) * r.weight for r in ROWS)
    assert facts["loss"] == pytest.approx(expected, abs=1e-6)
    assert facts["ratio"] == 1.0
    assert facts["clip_low"] == facts["clip_high"] == 0.0


def test_rows_without_an_advantage_are_left_out_and_change_nothing() -> None:
    with_zeros, facts = update(SGD_LIKE)
    without, _ = update(SGD_LIKE, [r for r in ROWS if r.advantage != 0.0])
    assert torch.equal(with_zeros, without)
    assert facts["rows_learnt"] == 7
    assert facts["rows"] == 9


def test_a_batch_without_any_advantage_leaves_the_policy_as_it_was() -> None:
    before = parameters(Learner(make_model(), SGD_LIKE))
    after, facts = update(SGD_LIKE, make_rows([0.0, 0.0]))
    assert torch.equal(before, after)
    assert facts["loss"] == 0.0


def test_updates_raise_good_completions_and_lower_bad_ones() -> None:
    learner = Learner(make_model(), replace(SGD_LIKE, learning_rate=3e-3, epochs=4, minibatches=2))
    good, bad = make_rows([1.0, -1.0])

    @torch.no_grad()
    def score(row: Row) -> float:
        ids_1T = torch.tensor([row.prompt_ids + row.completion_ids])
        logps_TV = learner.model(input_ids=ids_1T).logits[0].log_softmax(-1)
        start = len(row.prompt_ids)
        return float(sum(logps_TV[start + k - 1, t] for k, t in enumerate(row.completion_ids)))

    before = score(good), score(bad)
    facts = learner.update([good, bad], np.random.default_rng(0))
    assert score(good) > before[0]
    assert score(bad) < before[1]
    assert facts["optimizer_steps"] == 8


def test_a_ratio_past_its_bound_is_counted_on_later_passes() -> None:
    _, facts = update(replace(SGD_LIKE, epochs=4, clip_low=0.01, clip_high=0.01))
    assert facts["clip_low"] > 0
    assert facts["clip_high"] > 0
    assert facts["kl_step"] > 0


def test_the_sampler_correction_scales_each_tokens_loss() -> None:
    row = make_rows([1.0])[0]
    _, plain = update(SGD_LIKE, [row])
    _, corrected = update(replace(SGD_LIKE, importance_cap=2.0), [replace(row, sampler_logps=(-100.0,))])
    assert corrected["loss"] == pytest.approx(2.0 * plain["loss"])


def test_a_kl_term_needs_a_reference() -> None:
    with pytest.raises(ValueError, match="a reference policy is expected"):
        Learner(make_model(), replace(SGD_LIKE, kl_coef=0.1))


def test_a_kl_term_is_zero_against_the_policy_itself() -> None:
    learner = Learner(make_model(), replace(SGD_LIKE, kl_coef=0.5), reference=make_model())
    assert learner.update(ROWS, np.random.default_rng(0))["kl_reference"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("advantage", ["milestone_loo", "grpo", "rloo"])
def test_milestone_rewards_teach(advantage: str) -> None:
    start, end = learn(AlgorithmSection.model_validate_json(f'{{"advantage": "{advantage}"}}'))
    assert start < 0.2
    assert end > 0.9


def test_shuffled_rewards_do_not_teach() -> None:
    start, end = learn(AlgorithmSection(control="shuffled_rewards"))
    assert end < start + 0.1


def test_what_rows_share_is_computed_once_and_reported() -> None:
    prompt = tuple(range(2, 12))
    rows = [
        Row(prompt_ids=prompt, completion_ids=ids, sampler_logps=(-1.0, -1.0), advantage=1.0, weight=0.1)
        for ids in ((20, 21), (30, 31))
    ]
    _, facts = update(replace(SGD_LIKE, epochs=3), rows)
    assert facts["tokens_computed"] == 3 * 12
    assert facts["tokens_shared"] == pytest.approx(1 - 12 / 22)
