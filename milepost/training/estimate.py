"""What a whole run comes to, derived from its configuration and a trial of one group and one optimiser step."""

import math
from dataclasses import dataclass
from typing import Any

from milepost.training.algorithm import Flag
from milepost.training.budget import read_budget
from milepost.training.config import Config
from milepost.training.imitation import REHEARSED, build_drill
from milepost.training.refill import REFILLS

FLOAT_BYTES = 4
"""Of a weight, its gradient, and each of the two moments that AdamW keeps of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one group and one optimiser step took."""

    episodes: int
    rows: int
    """LLM calls of these episodes: what the learner gets."""
    prompt_tokens: int
    completion_tokens: int
    computed_tokens: int
    """Tokens of the learner's forward passes in its one step, where prompts are shared."""
    rollout_s: float
    learn_s: float
    parameters: int
    copies: int
    """Further models beside the policy: a reference, a critic."""
    peak_bytes: int
    """Largest memory of this process, without browsers; on a GPU that of the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A derived count."""

    name: str
    value: float
    unit: str
    how: str
    """How it follows from the configuration or the trial."""

    def show(self) -> str:
        """Give the value with its unit, as a person reads it."""
        number = (
            f"{self.value:,.0f}"
            if self.value >= 100 or self.value == int(self.value)
            else f"{self.value:,.1f}"
        )
        return f"{number} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a whole run comes to."""

    trial: Trial
    counts: tuple[Count, ...]

    def to_record(self) -> dict[str, Any]:
        """Give the JSON form: each count by its name."""
        return {
            count.name: {"value": count.value, "unit": count.unit, "how": count.how} for count in self.counts
        }


def estimate(config: Config, trial: Trial) -> Estimate:
    """Derive every count of a run from its configuration and a trial."""
    counts = [*_count_work(config, trial), *_count_memory(config, trial), *_count_time(config, trial)]
    return Estimate(trial=trial, counts=tuple(counts))


def _episodes(config: Config) -> int:
    """Count the episodes of an iteration; a preference file needs none."""
    return 0 if config.preference.file else config.train.tasks_per_iteration * config.rollout.group_size


def _validations(config: Config, iterations: int) -> int:
    return 1 + math.ceil(iterations / config.eval.every) if config.eval.episodes[0] else 0


def _held_out(config: Config, iterations: int) -> int:
    validation, test = config.eval.episodes
    return len(config.tasks.ids) * (_validations(config, iterations) * validation + 2 * test)


def _shown(config: Config) -> int:
    """Count the oracles' episodes: imitated before, or rehearsed beside."""
    rehearsed = REHEARSED if config.algorithm.rehearsal_coef and not config.preference.method else 0
    return len(config.tasks.ids) * (config.imitation.episodes + rehearsed)


def _count_work(config: Config, trial: Trial) -> list[Count]:
    algorithm, train = config.algorithm, config.train
    episodes, iterations = _episodes(config), train.iterations
    per_episode = trial.rows / trial.episodes
    steps = algorithm.epochs * algorithm.minibatches
    rows = round(episodes * per_episode)
    computed = round(trial.computed_tokens / trial.episodes * episodes * algorithm.epochs)
    written = round(trial.completion_tokens / trial.episodes * episodes)
    read = round(trial.prompt_tokens / trial.episodes * episodes)
    refilled = Flag.DYNAMIC_SAMPLING in algorithm.flags and not config.preference.method
    demonstrated = config.imitation.episodes * len(config.tasks.ids)
    drilled = build_drill(config).steps(round(demonstrated * per_episode))
    size = f"{train.tasks_per_iteration} groups of {config.rollout.group_size}"
    spare = f", up to {(1 + REFILLS) * episodes:,} where groups are replaced" if refilled else ""
    return [
        Count(name="rollouts_per_iteration", value=episodes, unit="episodes", how=size + spare),
        Count(name="rows_per_iteration", value=rows, unit="rows", how=f"{per_episode:.1f} turns an episode"),
        Count(name="prompt_tokens_per_iteration", value=read, unit="tokens", how="read by the policy"),
        Count(
            name="completion_tokens_per_iteration", value=written, unit="tokens", how="written by the policy"
        ),
        Count(
            name="learner_tokens_per_iteration",
            value=computed,
            unit="tokens",
            how="shared prompts once, at most",
        ),
        Count(
            name="optimizer_steps_per_iteration",
            value=steps,
            unit="steps",
            how=f"{algorithm.epochs} epochs of {algorithm.minibatches} minibatches, at most",
        ),
        Count(name="iterations", value=iterations, unit="iterations", how="train.iterations"),
        Count(name="rollouts", value=iterations * episodes, unit="episodes", how="all iterations"),
        Count(name="rows", value=iterations * rows, unit="rows", how="all iterations"),
        Count(name="completion_tokens", value=iterations * written, unit="tokens", how="all iterations"),
        Count(name="learner_tokens", value=iterations * computed, unit="tokens", how="all iterations"),
        Count(name="optimizer_steps", value=iterations * steps, unit="steps", how="all iterations"),
        Count(name="oracle_episodes", value=_shown(config), unit="episodes", how="imitated or rehearsed"),
        Count(name="imitation_steps", value=drilled, unit="steps", how="if oracles take as many turns"),
        Count(
            name="held_out_episodes",
            value=_held_out(config, iterations),
            unit="episodes",
            how=f"{_validations(config, iterations)} validations, 2 tests",
        ),
        Count(
            name="checkpoints",
            value=math.ceil(iterations / config.eval.every) + 1,
            unit="checkpoints",
            how="written; two are kept",
        ),
    ]


def _count_memory(config: Config, trial: Trial) -> list[Count]:
    mebibyte = 2**20
    kept = trial.parameters * FLOAT_BYTES * (4 + trial.copies) / mebibyte
    budget = config.optim.token_budget
    return [
        Count(name="parameters", value=trial.parameters, unit="numbers", how="of the policy"),
        Count(
            name="model_memory",
            value=kept,
            unit="MiB",
            how=f"weights, gradient, two moments, {trial.copies} further models, in float32",
        ),
        Count(
            name="peak_memory",
            value=trial.peak_bytes / mebibyte,
            unit="MiB",
            how=f"measured, without browsers; micro-batches of up to {budget:,} tokens may need more",
        ),
    ]


def _count_time(config: Config, trial: Trial) -> list[Count]:
    train = config.train
    episode_s, group_s = trial.rollout_s / trial.episodes, trial.learn_s / trial.episodes
    episodes = _episodes(config)
    learnt = episodes or config.train.tasks_per_iteration
    iteration_s = episodes * episode_s + learnt * group_s * config.algorithm.epochs
    outside_s = (_held_out(config, 0) + _shown(config)) * episode_s
    every_s = len(config.tasks.ids) * config.eval.episodes[0] * episode_s / config.eval.every
    whole_s = train.iterations * (iteration_s + every_s) + outside_s
    budget = read_budget(train.budget)
    by_time = (budget.seconds - outside_s) / max(1e-9, iteration_s + every_s)
    by_steps = budget.steps / max(1e-9, episodes * trial.rows / trial.episodes)
    fitting = max(0, math.floor(min(train.iterations, by_time, math.ceil(min(by_steps, train.iterations)))))
    return [
        Count(
            name="rollout_time_per_iteration",
            value=episodes * episode_s,
            unit="s",
            how="as fast as one group",
        ),
        Count(name="iteration_time", value=iteration_s, unit="s", how="rollouts and learning"),
        Count(name="run_time", value=whole_s / 60.0, unit="min", how="all iterations and evaluations"),
        Count(
            name="iterations_in_budget",
            value=fitting,
            unit="iterations",
            how=f"fit into train.budget, {train.budget}",
        ),
    ]
