"""The same numbers as TRL, whose losses are called without its trainers: losses and gradients of GRPO's family."""

import importlib
import itertools
import warnings
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from milepost.training.aggregation import Aggregation, weigh_tokens
from milepost.training.algorithm import Correction, KlKind, Loss, Ratio
from milepost.training.corrections import importance_weights, off_policy_mask
from milepost.training.losses import kl_divergence, policy_loss
from milepost.training.outcomes import (
    STD_EPSILON,
    deviation,
    grpo,
    normalize_batch,
    normalize_then_sum,
    rloo,
    soft_overlong,
)

GRPOTrainer: Any = importlib.import_module("trl.trainer.grpo_trainer").GRPOTrainer
RLOOTrainer: Any = importlib.import_module("trl.trainer.rloo_trainer").RLOOTrainer
get_soft_overlong_punishment: Any = importlib.import_module("trl.rewards").get_soft_overlong_punishment

WIDTH, LONGEST, ACCUMULATED, PER_GENERATION = 10, 16, 2, 4
LENGTHS = (10, 7, 5, 9)
LOSSES = {
    "grpo": (Loss.PPO, Aggregation.ROW),
    "bnpo": (Loss.PPO, Aggregation.TOKEN),
    "dr_grpo": (Loss.PPO, Aggregation.CONSTANT),
    "dapo": (Loss.PPO, Aggregation.TOKEN),
    "luspo": (Loss.PPO, Aggregation.ROW_SUM),
    "cispo": (Loss.CISPO, Aggregation.TOKEN),
    "sapo": (Loss.SAPO, Aggregation.ROW),
    "vespo": (Loss.VESPO, Aggregation.TOKEN),
}
"""TRL's names, and the parts that make them here."""


class OneProcess:
    num_processes, process_index, sync_gradients, is_main_process = 1, 0, True, True

    def gather(self, values: Tensor) -> Tensor:
        return values

    def gather_for_metrics(self, values: Tensor) -> Tensor:
        return values

    def reduce(self, values: Tensor, reduction: str = "sum") -> Tensor:
        return values


def make_inputs() -> SimpleNamespace:
    generator = torch.Generator().manual_seed(0)

    def draw(scale: float = 1.0) -> Tensor:
        return scale * torch.randn(len(LENGTHS), WIDTH, generator=generator)

    old = -2 * torch.rand(len(LENGTHS), WIDTH, generator=generator)
    completion = (torch.arange(WIDTH)[None] < torch.tensor(LENGTHS)[:, None]).long()
    tool = torch.ones_like(completion)
    tool[:, 3:5] = 0  # what the environment said
    return SimpleNamespace(
        old=old,
        sampler=old + draw(0.1),
        reference=old + draw(0.2),
        current=old + draw(0.15),
        completion=completion,
        tool=tool,
        mask=(completion * tool).bool(),
        by_row=torch.randn(len(LENGTHS), generator=generator),
        by_token=draw(),
    )


IN = make_inputs()
ROW_N = torch.arange(len(LENGTHS))[:, None].expand(-1, WIDTH)[IN.mask]


def weights(aggregation: Aggregation) -> Tensor:
    per_row = weigh_tokens([[int(n)] for n in IN.mask.sum(1)], aggregation, constant=LONGEST)
    return torch.tensor([row[0] for row in per_row])[ROW_N]


def their_loss(
    name: str, logps: Tensor, advantages: Tensor, *, coef: float, level: str, correct: bool, delta: float | None,
    threshold: float | None,
) -> Tensor:  # fmt: skip
    args = SimpleNamespace(
        use_bias_correction_kl=True, delta=delta, sapo_temperature_pos=1.0, sapo_temperature_neg=1.05, vespo_k_pos=2.0,
        vespo_lambda_pos=3.0, vespo_k_neg=3.0, vespo_lambda_neg=2.0, steps_per_generation=PER_GENERATION,
    )  # fmt: skip
    trainer = SimpleNamespace(
        args=args, accelerator=OneProcess(), model=SimpleNamespace(training=True), beta=coef, loss_type=name,
        _metrics={"train": defaultdict(list), "eval": defaultdict(list)}, top_entropy_quantile=1.0,
        off_policy_mask_threshold=threshold, importance_sampling_level=level, epsilon_low=0.2, epsilon_high=0.28,
        use_vllm=correct, vllm_importance_sampling_correction=correct, max_completion_length=LONGEST,
        current_gradient_accumulation_steps=ACCUMULATED, aux_loss_enabled=False, _entropy_bonus_enabled=False,
        _get_per_token_logps_and_entropies=lambda *a, **k: (logps, torch.zeros_like(logps), None),
        get_off_policy_mask=GRPOTrainer.get_off_policy_mask, get_gamma_weights=GRPOTrainer.get_gamma_weights,
    )  # fmt: skip
    inputs = {
        "prompt_ids": torch.zeros(len(LENGTHS), 3, dtype=torch.long),
        "prompt_mask": torch.ones(len(LENGTHS), 3, dtype=torch.long),
        "completion_ids": torch.zeros(len(LENGTHS), WIDTH, dtype=torch.long),
        "completion_mask": IN.completion, "tool_mask": IN.tool, "advantages": advantages,
        "old_per_token_logps": IN.old, "sampling_per_token_logps": IN.sampler,
        "ref_per_token_logps": IN.reference, "num_items_in_batch": IN.mask.sum() * PER_GENERATION,
    }  # fmt: skip
    if correct:
        inputs["importance_sampling_ratio"] = ((IN.old - IN.sampler) * IN.mask).exp().clamp(max=3.0)
    loss: Tensor = GRPOTrainer._compute_loss(trainer, None, inputs)
    return loss


def our_loss(
    name: str, logps: Tensor, advantages: Tensor, *, coef: float, level: str, correct: bool, delta: float | None,
    threshold: float | None,
) -> Tensor:  # fmt: skip
    loss, aggregation = LOSSES[name]
    logp_N, old_N, sampler_N = logps[IN.mask], IN.old[IN.mask], IN.sampler[IN.mask]
    by_token = advantages if advantages.dim() == 2 else advantages[:, None].expand(-1, WIDTH)
    advantage_N = by_token[IN.mask]
    ratio = Ratio.TOKEN if level == "token" else Ratio.SEQUENCE
    importance_N = importance_weights(old_N, sampler_N, cap=3.0) if correct else None
    found = policy_loss(
        logp_N, old_N, advantage_N, loss=loss, ratio=ratio, row_N=ROW_N, importance_N=importance_N,
        delta=delta if loss is Loss.PPO else None,
    )  # fmt: skip
    loss_N = found.loss_N
    if threshold is not None:
        loss_N = loss_N * off_policy_mask(logp_N, sampler_N, advantage_N, ROW_N, threshold=threshold)
    if importance_N is not None and loss is not Loss.VESPO:
        loss_N = loss_N * importance_N
    if coef:
        log_N = logp_N - old_N
        if ratio is Ratio.SEQUENCE:
            sums = torch.zeros(len(LENGTHS)).index_add(0, ROW_N, log_N)
            log_N = (sums / IN.mask.sum(1))[ROW_N]
        loss_N = loss_N + coef * kl_divergence(logp_N, IN.reference[IN.mask], KlKind.K3) * log_N.exp()
    return (loss_N * weights(aggregation)).sum() / ACCUMULATED


CASES = [
    (name, coef, level, shape, correct, delta, threshold)
    for name, coef, level, shape, correct, delta, threshold in itertools.product(
        LOSSES,
        (0.0, 0.04),
        ("token", "sequence"),
        ("by_row", "by_token"),
        (False, True),
        (None, 2.0),
        (None, 0.02),
    )
    if not (name == "vespo" and shape == "by_token")
]


def test_the_cases_are_many() -> None:
    assert len(CASES) >= 480


@pytest.mark.parametrize("name", list(LOSSES))
def test_losses_and_gradients_are_those_of_trl(name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    for case, coef, level, shape, correct, delta, threshold in CASES:
        if case != name:
            continue
        noise = 0.15 * torch.randn(len(LENGTHS), WIDTH, generator=generator)
        logps = (IN.old + noise).requires_grad_()
        options: dict[str, Any] = {
            "coef": coef, "level": level, "correct": correct, "delta": delta, "threshold": threshold,
        }  # fmt: skip
        theirs = their_loss(name, logps, getattr(IN, shape), **options)
        ours = our_loss(name, logps, getattr(IN, shape), **options)
        assert float(ours.detach()) == pytest.approx(float(theirs.detach()), abs=1e-6), options
        (their_gradient,) = torch.autograd.grad(theirs, logps)
        (our_gradient,) = torch.autograd.grad(ours, logps)
        assert float((their_gradient - our_gradient).abs().max()) < 1e-6, options


class StillModel(SimpleNamespace):
    training, is_gradient_checkpointing = True, False


def their_batch(rewards: Tensor, *, size: int = 4, **options: Any) -> dict[str, Tensor]:
    members, kinds = rewards.shape
    old, sampler, tool = options.get("old"), options.get("sampler"), options.get("tool")
    width = 4 if old is None else old.shape[1]
    completions = [list(range(1, width + 1))] * members
    trainer = SimpleNamespace(
        accelerator=SimpleNamespace(**{name: getattr(OneProcess(), name) for name in dir(OneProcess) if name[0] != "_"}, device=torch.device("cpu")),
        model=StillModel(), environment_factories=None, environments=None, tools=None, _tokenizer=SimpleNamespace(pad_token_id=0),
        _generate=lambda prompts: (
            [[1, 2]] * members, completions, None if tool is None else tool.tolist(), ["x"] * members,
            None if sampler is None else sampler.tolist(), {}, None, None,
        ),
        pad_to_multiple_of=None, mask_truncated_completions=False, num_iterations=1, use_vllm=old is not None,
        vllm_importance_sampling_correction=old is not None, vllm_importance_sampling_mode=options.get("mode", "sequence_mask"),
        vllm_importance_sampling_clip_max=1.5, vllm_importance_sampling_clip_min=0.5, beta=0.0, _is_vlm=False,
        _get_per_token_logps_and_entropies=lambda *a, **k: (old, None, None),
        args=SimpleNamespace(per_device_train_batch_size=members, steps_per_generation=1, gradient_accumulation_steps=1, gradient_checkpointing_kwargs=None),
        _calculate_rewards=lambda *a: rewards.clone(), num_generations=size, scale_rewards=options.get("scale", "group"),
        multi_objective_aggregation=options.get("aggregation", "sum_then_normalize"), reward_weights=options.get("weights", torch.ones(kinds)),
        reward_funcs=[0] * kinds, reward_func_names=[f"r{k}" for k in range(kinds)], log_multimodal=False,
        _metrics={"train": defaultdict(list), "eval": defaultdict(list)}, _pending_extra_logs=defaultdict(list), _pending_metrics=defaultdict(list),
        _logs={"prompt": [], "completion": [], "rewards": defaultdict(list), "advantages": [], "extra": defaultdict(list), "images": []},
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: dict[str, Tensor] = GRPOTrainer._generate_and_score_completions(
            trainer, [{"prompt": "p"}] * members
        )
    return found


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_outcome_advantages_are_those_of_trl(scale: str) -> None:
    rewards = torch.rand(8, 1, generator=torch.Generator().manual_seed(2))
    values = rewards[:, 0].tolist()
    groups = [values[:4], values[4:]]
    divisors = {
        "group": [deviation(one) + STD_EPSILON for one in groups],
        "batch": [deviation(values) + STD_EPSILON] * 2,
        "none": [1.0, 1.0],
    }[scale]
    ours = [a / d for one, d in zip(groups, divisors, strict=True) for a in grpo(one)]
    assert their_batch(rewards, scale=scale)["advantages"].tolist() == pytest.approx(ours, abs=1e-6)


def test_normalise_then_sum_is_that_of_trl_with_rewards_that_are_missing() -> None:
    rewards = torch.rand(8, 2, generator=torch.Generator().manual_seed(3))
    rewards[2], rewards[5, 1] = float("nan"), float("nan")
    theirs = their_batch(rewards, aggregation="normalize_then_sum", weights=torch.tensor([1.0, 0.5]))
    sums = [x for half in (rewards[:4], rewards[4:]) for x in normalize_then_sum(half.tolist(), [1.0, 0.5])]
    assert theirs["advantages"].tolist() == pytest.approx(normalize_batch(sums), abs=1e-5)


@pytest.mark.parametrize("correction", [one for one in Correction if one is not Correction.NONE])
def test_corrections_are_those_of_trl(correction: Correction) -> None:
    generator = torch.Generator().manual_seed(4)
    old = -torch.rand(8, 6, generator=generator)
    sampler = old + 0.5 * torch.randn(8, 6, generator=generator)
    tool = torch.ones(8, 6, dtype=torch.long)
    tool[:, 2] = 0
    theirs = their_batch(
        torch.rand(8, 1, generator=generator), old=old, sampler=sampler, tool=tool, mode=correction.value
    )
    mask = tool.bool()
    row_N = torch.arange(8)[:, None].expand(-1, 6)[mask]
    ours_N = importance_weights(
        old[mask], sampler[mask], correction=correction, cap=1.5, floor=0.5, row_N=row_N
    )
    expected = theirs["importance_sampling_ratio"].expand(8, 6)[mask]
    assert float((ours_N - expected).abs().max()) < 1e-5


def test_rloo_is_that_of_trl() -> None:
    generator = torch.Generator().manual_seed(5)
    old = -torch.rand(4, 6, generator=generator)
    logps = (old + 0.1 * torch.randn(4, 6, generator=generator)).requires_grad_()
    mask = torch.ones(4, 6, dtype=torch.long)
    mask[1, 4:] = 0
    advantages = torch.tensor(rloo([1.0, 0.25, 0.0, 0.5]))
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *a, **k: (logps, torch.zeros(4, 6), None), epsilon_low=0.2, epsilon_high=0.2,
        model=SimpleNamespace(training=True), aux_loss_enabled=False, accelerator=OneProcess(), args=SimpleNamespace(),
        _metrics={"train": defaultdict(list), "eval": defaultdict(list)},
    )  # fmt: skip
    inputs = {
        "prompt_ids": torch.zeros(4, 2, dtype=torch.long), "prompt_mask": torch.ones(4, 2, dtype=torch.long),
        "completion_ids": torch.zeros(4, 6, dtype=torch.long), "completion_mask": mask,
        "old_logps": (old * mask).sum(1), "advantages": advantages,
    }  # fmt: skip
    theirs = RLOOTrainer._compute_loss(trainer, None, inputs)
    keep = mask.bool()
    row_N = torch.arange(4)[:, None].expand(-1, 6)[keep]
    found = policy_loss(
        logps[keep], old[keep], advantages[row_N], ratio=Ratio.TRAJECTORY, row_N=row_N, clip_high=0.2
    )
    weight = weigh_tokens([[int(n)] for n in mask.sum(1)], Aggregation.ROW, constant=1)
    ours = (found.loss_N * torch.tensor([row[0] for row in weight])[row_N]).sum()
    assert float(ours.detach()) == pytest.approx(float(theirs.detach()), abs=1e-6)
    gradients = [torch.autograd.grad(one, logps)[0] for one in (theirs, ours)]
    assert float((gradients[0] - gradients[1]).abs().max()) < 1e-6


def test_soft_overlong_is_that_of_trl() -> None:
    theirs = get_soft_overlong_punishment(100, 20)
    lengths = [0, 79, 80, 81, 90, 99, 100, 101, 500]
    ours = [soft_overlong(n, longest=100, cache=20) for n in lengths]
    assert theirs([[1] * n for n in lengths]) == pytest.approx(ours)
