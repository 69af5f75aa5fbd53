from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from milepost.agents.agent import Sampling
from milepost.agents.engines.transformers import sample_batch
from milepost.agents.sight import find_sight
from milepost.training.algorithm import Flag, KlPlace, Loss
from milepost.training.batch import Row
from milepost.training.learner import Learner
from milepost.training.objective import Objective
from milepost.training.sections import AlgorithmSection
from tests.agents.seeing import draw_picture, make_seeing
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


def gradient(
    objective: Objective,
    rows: Sequence[Row] = ROWS,
    *,
    model: PreTrainedModel | None = None,
    demonstrations: Sequence[Row] = (),
) -> tuple[Tensor, float]:
    learner = Learner(model or make_model(), objective, reference=make_model(seed=1))
    kept: list[Tensor] = []

    def keep(*_: object) -> None:
        kept.append(torch.cat([p.grad.flatten() for p in learner.model.parameters() if p.grad is not None]))

    learner.optimizer.register_step_pre_hook(keep)
    facts = learner.update(rows, np.random.default_rng(0), demonstrations=demonstrations)
    return kept[0], facts["loss"]


EVERYTHING = replace(
    SGD_LIKE,
    importance_cap=2.0,
    kl_coef=0.1,
    kl_place=KlPlace.CORRECTED_LOSS,
    entropy_coef=0.01,
    step_kl_coef=0.5,
    rehearsal_coef=0.3,
)


@pytest.mark.parametrize("loss", list(Loss))
def test_loss_and_gradient_do_not_depend_on_cuts_packing_or_the_order_of_rows(loss: Loss) -> None:
    objective = replace(EVERYTHING, loss=loss, clip_high=5.0 if loss is Loss.CISPO else 0.28)
    # one sequence for a prompt and all that was written after it, against one for each completion
    whole, whole_loss = gradient(replace(objective, token_budget=10_000), demonstrations=ROWS[:2])
    for budget, rows in ((1, ROWS), (12, ROWS[::-1]), (30, ROWS[3:] + ROWS[:3])):
        cut = replace(objective, token_budget=budget)
        parts, parts_loss = gradient(cut, rows, demonstrations=ROWS[1::-1])
        assert parts_loss == pytest.approx(whole_loss, abs=1e-6)
        assert float((parts - whole).abs().max()) < 1e-6


def test_what_was_observed_is_never_a_target() -> None:
    """Without attention a token's distribution depends on the token before it alone.

    So of a prompt only the last token may matter: if any other were learnt, changing it would change the loss.
    """
    model = make_model()
    for name, parameter in model.named_parameters():
        if "o_proj" in name:
            parameter.data.zero_()
            parameter.requires_grad_(False)
    rng = np.random.default_rng(1)
    others = [
        replace(
            row, prompt_ids=(*rng.integers(2, 40, size=len(row.prompt_ids) - 1).tolist(), row.prompt_ids[-1])
        )
        for row in ROWS
    ]
    assert all(a.prompt_ids != b.prompt_ids for a, b in zip(ROWS, others, strict=True))
    seen, seen_loss = gradient(SGD_LIKE, model=deepcopy(model))
    changed, changed_loss = gradient(SGD_LIKE, others, model=deepcopy(model))
    assert changed_loss == pytest.approx(seen_loss, abs=1e-6)
    assert float((changed - seen).abs().max()) < 1e-6
    last = [replace(row, prompt_ids=(*row.prompt_ids[:-1], 2)) for row in ROWS]
    assert float((gradient(SGD_LIKE, last, model=deepcopy(model))[0] - seen).abs().max()) > 1e-4


def test_rehearsal_adds_its_weight_times_the_likelihood_of_a_token_to_the_gradient() -> None:
    demonstrations = ROWS[:3]
    plain, _ = gradient(SGD_LIKE)
    both, _ = gradient(replace(SGD_LIKE, rehearsal_coef=0.5), demonstrations=demonstrations)
    model = make_model()
    total = torch.zeros(())
    for row in demonstrations:
        ids_1T = torch.tensor([row.prompt_ids + row.completion_ids])
        logp_TV = model(input_ids=ids_1T).logits[0].log_softmax(-1)
        start = len(row.prompt_ids) - 1
        total = total + sum(logp_TV[start + k, token] for k, token in enumerate(row.completion_ids))
    tokens = sum(len(row.completion_ids) for row in demonstrations)
    (-0.5 * total / tokens).backward()  # type: ignore[no-untyped-call]
    alone = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    assert float((both - plain - alone).abs().max()) < 1e-6
    assert float(alone.abs().max()) > 1e-3


def test_what_is_rehearsed_is_learnt_where_no_row_has_an_advantage() -> None:
    objective = replace(SGD_LIKE, rehearsal_coef=0.5, epochs=2, minibatches=3)
    learner = Learner(make_model(), objective)
    silent = [replace(row, advantage=0.0) for row in ROWS]
    first = learner.update(silent, np.random.default_rng(0), demonstrations=ROWS[:3])
    again = learner.update(silent, np.random.default_rng(0), demonstrations=ROWS[:3])
    assert again["rehearsal"] < first["rehearsal"]
    assert first["optimizer_steps"] == 2.0


def test_without_a_weight_demonstrations_change_nothing() -> None:
    assert torch.equal(gradient(SGD_LIKE, demonstrations=ROWS)[0], gradient(SGD_LIKE)[0])


def test_a_refreshed_reference_is_the_policy_as_it_is() -> None:
    learner = Learner(make_model(), replace(SGD_LIKE, kl_coef=0.1), reference=make_model(seed=1))
    assert learner.update(ROWS, np.random.default_rng(0))["kl_reference"] > 1e-4
    learner.refresh_reference()
    assert learner.update(ROWS, np.random.default_rng(0))["kl_reference"] == pytest.approx(0.0, abs=1e-9)
    assert learner.update(ROWS, np.random.default_rng(0))["kl_reference"] > 1e-6


@pytest.mark.parametrize(("target", "factor"), [(1.0, 0.5), (1e-9, 2.0)])
def test_an_adaptive_weight_is_halved_below_its_target_and_doubled_above(
    target: float, factor: float
) -> None:
    objective = replace(SGD_LIKE, step_kl_coef=3.0, adapts=True, step_kl=target, epochs=2)
    learner = Learner(make_model(), objective)
    assert learner.update(ROWS, np.random.default_rng(0))["kl_step"] > 1.5e-9
    assert learner.state_dict()["step_kl_coef"] == 3.0 * factor
    fixed = Learner(make_model(), replace(objective, adapts=False))
    fixed.update(ROWS, np.random.default_rng(0))
    assert fixed.state_dict()["step_kl_coef"] == 3.0


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


@pytest.mark.parametrize("advantage", ["milestone_loo", "grpo"])
def test_milestone_rewards_teach(advantage: str) -> None:
    start, end = learn(AlgorithmSection.model_validate_json(f'{{"advantage": "{advantage}"}}'))
    assert start < 0.2
    assert end > 0.9


def test_shuffled_rewards_do_not_teach() -> None:
    start, end = learn(AlgorithmSection(flags=[Flag.SHUFFLED_REWARDS]))
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


def test_a_policy_learns_what_only_the_picture_says() -> None:
    model, _ = make_seeing("llava")
    sight = find_sight(model)
    assert sight is not None
    pictures = [draw_picture(10), draw_picture(240)]
    prompt, other = (sight.encode([{"role": "user", "content": "Which?"}], picture) for picture in pictures)
    assert prompt == other
    rows = [
        Row(
            prompt_ids=prompt,
            completion_ids=(word,),
            sampler_logps=(-7.0,),
            picture=picture,
            advantage=1.0 if word == right else -1.0,
            weight=0.25,
        )
        for picture, right in zip(pictures, (7, 9), strict=True)
        for word in (7, 9)
    ]
    tower = [p for name, p in model.named_parameters() if "vision_tower" in name and p.ndim > 1]
    before = [p.detach().clone() for p in tower]
    learner = Learner(model, Objective(learning_rate=1e-3, importance_cap=0.0, recompute=True))
    facts: dict[str, float] = {}
    for _ in range(20):
        facts = learner.update(rows, np.random.default_rng(0))
    assert facts["tokens_shared"] == 0.0
    assert any(not torch.equal(old, new) for old, new in zip(before, tower, strict=True))
    greedy = [Sampling(temperature=0.0, max_tokens=1)] * 2
    said = sample_batch(model, [prompt] * 2, greedy, stops=frozenset(), pictures=pictures)
    assert [one.ids for one in said] == [[7], [9]]
