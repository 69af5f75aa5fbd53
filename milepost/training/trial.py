"""A dry run: one group is played and one optimiser step taken. Nothing is left on disk."""

import asyncio
import resource
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from transformers import PreTrainedModel
from transformers.utils import logging

from milepost.agents.llm import load_policy
from milepost.envs.registry import get_template
from milepost.training.arena import Arena, Played, build_limits
from milepost.training.config import Config, count_engine_threads
from milepost.training.display import Display, SilentDisplay
from milepost.training.estimate import Estimate, Trial, estimate
from milepost.training.learner import Learner
from milepost.training.sampler import TaskSampler, find_mixed, plan_groups
from milepost.training.study import check_study, load_lessons
from milepost.training.teaching import build_learner, needs_reference, teach
from milepost.training.trajectory import Trajectory


def dry_run(
    config: Config, *, progress: Display | None = None, clock: Callable[[], float] = time.monotonic
) -> Estimate:
    """Play one group, take one optimiser step, and estimate the whole run.

    Args:
        config: what would be done.
        progress: shows how it goes; nothing by default.
        clock: monotonic seconds.

    Raises:
        ConfigError: options do not go together.
        PreferenceFileError: the preference file is not as it should be.
        UnknownTaskError: a task id is not known.
        ModelLoadError: the policy cannot be loaded.
        FailureBudgetError: too many episodes failed for reasons that are not the policy's.
    """
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    for task_id in config.tasks.ids:
        get_template(task_id)
    check_study(config)
    torch.set_num_threads(count_engine_threads(config))
    return estimate(config, asyncio.run(_try_out(config, progress or SilentDisplay(), clock)))


async def _try_out(config: Config, display: Display, clock: Callable[[], float]) -> Trial:
    model, tokenizer = load_policy(config.policy.model)
    load_lessons(config, model)
    reference = deepcopy(model).requires_grad_(False) if needs_reference(config) else None
    single = config.algorithm.model_copy(update={"epochs": 1, "minibatches": 1})
    one_step = config.model_copy(update={"algorithm": single})
    learner = build_learner(one_step, model, reference)
    sampler = TaskSampler(config.tasks.ids, run_seed=config.run.seed)
    rng = np.random.default_rng(config.run.seed)
    requests = plan_groups(
        sampler.draw(1, rng), size=config.rollout.group_size, run_seed=config.run.seed, phase="trial"
    )
    async with Arena(
        model, tokenizer, limits=build_limits(config), run=None, display=display, clock=clock
    ) as arena:
        agents = arena.policy_agents(config.policy.temperature)
        played = await arena.play("one group", requests, agents)
    display.begin("one optimiser step", 1)
    torch.set_num_threads(config.run.threads)
    start = clock()
    facts, _ = teach(learner, make_mixed(played.trajectories), one_step, rng)
    critic = learner.critic if isinstance(learner, Learner) else None
    return _record(
        played,
        model,
        computed_tokens=int(facts["tokens_computed"]),
        learn_s=clock() - start,
        copies=sum(one is not None for one in (reference, critic)),
    )


def _record(
    played: Played, model: PreTrainedModel, *, computed_tokens: int, learn_s: float, copies: int
) -> Trial:
    turns = [turn.completion for one in played.trajectories if one.scored for turn in one.turns]
    return Trial(
        episodes=len(played.trajectories),
        rows=len(turns),
        prompt_tokens=sum(len(one.prompt_ids) for one in turns),
        completion_tokens=sum(len(one.completion_ids) for one in turns),
        computed_tokens=computed_tokens,
        rollout_s=played.seconds,
        learn_s=learn_s,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        copies=copies,
        peak_bytes=_measure_peak(model),
    )


def _measure_peak(model: PreTrainedModel) -> int:
    if model.device.type == "cuda":
        return torch.cuda.max_memory_allocated(model.device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def make_mixed(trajectories: list[Trajectory]) -> list[Trajectory]:
    """Pay the first member of a group for its first turn, where all fared alike: else there is nothing to learn."""
    if find_mixed(trajectories):
        return trajectories
    index = next((i for i, one in enumerate(trajectories) if one.scored and one.turns), None)
    if index is None:
        return trajectories
    first = trajectories[index]
    turn = replace(first.turns[0], rewards={**first.turns[0].rewards, "trial": 1.0})
    paid = replace(first, turns=(turn, *first.turns[1:]), success=True)
    return [*trajectories[:index], paid, *trajectories[index + 1 :]]
