"""Imitation: a short supervised stage on episodes that the tasks' own oracles played."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from milepost.agents.agent import Agent, Completion, Decision
from milepost.agents.prompt import encode_decision, encode_observation, render_decision
from milepost.agents.sight import Sight, find_sight
from milepost.envs.registry import get_template
from milepost.envs.task import Oracle, Split
from milepost.sandbox.observation import Observation
from milepost.training.arena import Arena
from milepost.training.attention import share_beginnings
from milepost.training.batch import Row, cut_batch
from milepost.training.config import Config
from milepost.training.display import Display
from milepost.training.evaluation import summarize
from milepost.training.policy import score_tokens
from milepost.training.rollout import MakeAgent
from milepost.training.sampler import SEEDS_PER_RUN, plan_groups
from milepost.training.trajectory import EpisodeRequest, Trajectory

REHEARSED = 8
"""Oracle episodes of each task that are rehearsed beside learning from rewards (PPO-ptx)."""
REHEARSED_TURNS = 32
"""Turns of them in an iteration."""


class Demonstrator:
    """Plays a task's own solution, and says it in the policy's words: prompt and target as token ids."""

    def __init__(
        self, oracle: Oracle, tokenizer: PreTrainedTokenizerBase, sight: Sight | None = None
    ) -> None:
        """Take the solution, the policy's tokenizer, and how the policy sees."""
        self._oracle = oracle
        self._tokenizer = tokenizer
        self._sight = sight

    async def act(self, observation: Observation) -> Decision:
        """Ask the solution, and record the LLM call that would have given its action.

        The recorded log-probabilities are 0: the oracle is certain.
        """
        text = render_decision(self._oracle(observation), observation)
        completion_ids = encode_decision(text, self._tokenizer)
        sight = self._sight
        completion = Completion(
            prompt_ids=encode_observation(observation, self._tokenizer)
            if sight is None
            else await asyncio.to_thread(sight.encode_observation, observation),
            completion_ids=completion_ids,
            logps=(0.0,) * len(completion_ids),
            text=text,
            stop="stop",
            picture=None if sight is None else observation.screenshot,
        )
        return Decision(text=text, completion=completion)


def demonstrators(tokenizer: PreTrainedTokenizerBase, sight: Sight | None = None) -> MakeAgent:
    """Give the maker of agents that play every task's own solution, and say it as the policy would."""

    def make_agent(request: EpisodeRequest) -> Agent:
        task = get_template(request.task_id).task(request.seed, Split(request.split))
        return Demonstrator(task.oracle, tokenizer, sight)

    return make_agent


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """How demonstrations are learnt."""

    epochs: int = 2
    batch_rows: int = 64
    """Turns of one optimiser step."""
    learning_rate: float = 1e-3
    grad_clip: float = 1.0
    token_budget: int = 16_384

    def steps(self, examples: int) -> int:
        """Count the optimiser steps for a number of turns."""
        return -(-examples // self.batch_rows) * self.epochs


def build_drill(config: Config) -> Drill:
    """Take the drill out of a configuration."""
    return Drill(learning_rate=config.optim.learning_rate, token_budget=config.optim.token_budget)


def collect_examples(trajectories: Sequence[Trajectory], *, longest: int = 4096) -> list[Row]:
    """Take the turns of the demonstrations that reached their goal; a failed one teaches nothing.

    Args:
        trajectories: what the oracles played.
        longest: turns with more tokens than this are left out, unless a picture is what makes them long.
    """
    return [
        Row(
            prompt_ids=turn.completion.prompt_ids,
            completion_ids=turn.completion.completion_ids,
            sampler_logps=turn.completion.logps,
            picture=turn.completion.picture,
        )
        for trajectory in trajectories
        if trajectory.scored and trajectory.success
        for turn in trajectory.turns
        if turn.completion.completion_ids
        and (
            turn.completion.picture is not None
            or len(turn.completion.prompt_ids) + len(turn.completion.completion_ids) <= longest
        )
    ]


def imitate(
    model: PreTrainedModel,
    examples: Sequence[Row],
    *,
    drill: Drill,
    rng: np.random.Generator,
    on_step: Callable[[], None] = lambda: None,
) -> Iterator[list[float]]:
    """Raise the likelihood of the demonstrations' completions, in place; yields each epoch's losses.

    A loss is the mean negative log-likelihood of a batch's completion tokens (nats per token). AdamW; the
    learning rate falls linearly to a tenth. Who has seen enough stops iterating.

    Args:
        model: the policy.
        examples: turns to imitate.
        drill: how.
        rng: draws the order.
        on_step: is called after every optimiser step.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=drill.learning_rate, weight_decay=0.0)
    steps, done = drill.steps(len(examples)), 0
    for _ in range(drill.epochs):
        losses: list[float] = []
        order = rng.permutation(len(examples)).tolist()
        for start in range(0, len(order), drill.batch_rows):
            for group in optimizer.param_groups:
                group["lr"] = drill.learning_rate * (1.0 - 0.9 * done / steps)
            batch = [examples[i] for i in order[start : start + drill.batch_rows]]
            losses.append(_accumulate(model, batch, drill.token_budget))
            torch.nn.utils.clip_grad_norm_(model.parameters(), drill.grad_clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            done += 1
            on_step()
        yield losses


def _accumulate(model: PreTrainedModel, batch: Sequence[Row], token_budget: int) -> float:
    weight = 1.0 / sum(len(row.completion_ids) for row in batch)
    rows = [replace(row, weight=weight) for row in batch]
    total = 0.0
    for micro in cut_batch(rows, token_budget=token_budget, share_prompts=share_beginnings(model)):
        on_device = micro.to(model.device)
        logp_N = score_tokens(model, on_device).logp_U[on_device.token_N]
        loss = -(logp_N * on_device.weight_N).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    return total


def plan_rehearsal(config: Config) -> list[EpisodeRequest]:
    """Plan the oracles' episodes that a run rehearses: of each task the same ones whenever the run is resumed."""
    last = (config.run.seed + 1) * SEEDS_PER_RUN
    tasks = [(task_id, last - 1 - i) for task_id in config.tasks.ids for i in range(REHEARSED)]
    return plan_groups(tasks, size=1, run_seed=config.run.seed, phase="rehearsal")


def draw_rehearsal(demonstrations: Sequence[Row], rng: np.random.Generator) -> list[Row]:
    """Draw the turns that an iteration rehearses, each at most once."""
    drawn = rng.permutation(len(demonstrations))[:REHEARSED_TURNS].tolist() if demonstrations else []
    return [demonstrations[i] for i in drawn]


async def follow_oracles(
    arena: Arena,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[EpisodeRequest],
    *,
    drill: Drill,
    rng: np.random.Generator,
    display: Display,
) -> dict[str, Any]:
    """Have the oracles play, then imitate them: the whole supervised stage.

    Args:
        arena: where they play.
        model: the policy, changed in place.
        tokenizer: its tokenizer.
        requests: what they play.
        drill: how it is learnt.
        rng: draws the order.
        display: is told of every episode and step.

    Returns:
        What `metrics.jsonl` says about the stage.
    """
    played = await arena.play("watching the oracles", requests, demonstrators(tokenizer, find_sight(model)))
    examples = collect_examples(played.trajectories)
    display.begin("imitating", drill.steps(len(examples)))
    start, losses = time.monotonic(), list[float]()
    for epoch in imitate(model, examples, drill=drill, rng=rng, on_step=display.advance):
        losses += epoch
    return {
        "episodes": len(played.trajectories),
        "solved": summarize(played.trajectories).mean_success,
        "examples": len(examples),
        "steps": len(losses),
        "loss_first": losses[0] if losses else None,
        "loss_last": losses[-1] if losses else None,
        "learn_s": time.monotonic() - start,
        "time": played.speed,
    }
