"""The preference loop's part of a run: what an iteration teaches, and the learner that learns it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from transformers import PreTrainedModel

from milepost.training.algorithm import Flag
from milepost.training.config import Config
from milepost.training.overrides import ConfigError
from milepost.training.preference_learner import Lesson, Practice, PreferenceLearner
from milepost.training.preferences.dataset import read_preferences
from milepost.training.preferences.method import Schedule, Source
from milepost.training.preferences.pairs import (
    Label,
    Pair,
    Sample,
    mine_labels,
    mine_pairs,
    pick_best,
    pick_rising,
    pick_solved,
    take_sample,
)
from milepost.training.preferences.section import PreferenceSection, read_schedule
from milepost.training.trajectory import Trajectory


def check_study(config: Config) -> None:
    """Check what `[preference]` asks of other sections.

    Raises:
        ConfigError: a continuous schedule without groups of two, rollouts ahead of the learner, a copy that plays while
            the engine serves the policy, or a reward control that only advantages know.
    """
    section = config.preference
    if not section.method:
        return
    if read_schedule(section.schedule)[0] is Schedule.CONTINUOUS and config.rollout.group_size != 2:
        raise ConfigError(
            "preference.schedule is continuous, which plays two episodes of each task, but rollout.group_size is "
            f"{config.rollout.group_size}; set it to 2, or choose the schedule 'online'"
        )
    if config.rollout.max_staleness:
        raise ConfigError(
            f"rollout.max_staleness is {config.rollout.max_staleness} and preference.method is {section.method!r}: "
            "preference methods play and learn in turn, their own staleness is that of preference.schedule; set "
            "max_staleness to 0"
        )
    if config.policy.engine != "transformers" and not section.file and build_practice(config).plays_with_copy:
        raise ConfigError(
            f"preference.schedule is {section.schedule!r}, which plays with a copy of the policy, and policy.engine "
            f"{config.policy.engine!r} serves the policy itself; set the engine to 'transformers', or the schedule to "
            "'online'"
        )
    if Flag.SHUFFLED_REWARDS in config.algorithm.flags:
        raise ConfigError(
            f"algorithm.flags has 'shuffled_rewards' and preference.method is {section.method!r}: "
            "rewards are shuffled for the policy-gradient loop only; leave one of them out"
        )


def build_practice(config: Config) -> Practice:
    """Take the practice out of a configuration that chooses a preference method."""
    section, algorithm, optim = config.preference, config.algorithm, config.optim
    schedule, sync_every = read_schedule(section.schedule)
    return Practice(
        method=section.resolve(),
        schedule=schedule,
        sync_every=sync_every,
        entropy_coef=algorithm.entropy_coef,
        epochs=algorithm.epochs,
        minibatches=algorithm.minibatches,
        learning_rate=optim.learning_rate,
        token_budget=optim.token_budget,
        temperature=config.policy.temperature,
    )


def load_lessons(config: Config, model: PreTrainedModel) -> list[Lesson]:
    """Read the lessons of a configuration's preference file; empty when it names none.

    Raises:
        PreferenceFileError: the file is not as it should be.
        ConfigError: it holds nothing that the method learns from.
    """
    section = config.preference
    if not section.method or not section.file:
        return []
    found = read_preferences(Path(section.file), vocabulary=model.config.get_text_config().vocab_size)
    source = section.resolve().source
    lessons: list[Lesson] = []
    for one in found:
        if isinstance(one, Pair) and source is Source.PAIRS:
            lessons += [one] if one.chosen.ret - one.rejected.ret > section.margin else []
        elif isinstance(one, Pair) and source is Source.LABELS:
            lessons += [Label(sample=one.chosen, desirable=True), Label(sample=one.rejected, desirable=False)]
        elif isinstance(one, Pair):
            lessons.append(one.chosen)
        elif source is Source.LABELS:
            lessons.append(one)
        elif source is Source.SOLVED and one.desirable:
            lessons.append(one.sample)
    if not lessons:
        raise ConfigError(
            f"{section.file} holds {len(found)} preferences, but none that {section.method!r} learns from: "
            f"it needs {source}" + (f" with a margin above {section.margin:g}" if section.margin else "")
        )
    return lessons


def draw_lessons(lessons: Sequence[Lesson], size: int, rng: np.random.Generator) -> list[Lesson]:
    """Draw an iteration's lessons from a file's, each at most once."""
    return [lessons[i] for i in rng.permutation(len(lessons))[:size].tolist()]


def choose_lessons(
    trajectories: Sequence[Trajectory], section: PreferenceSection, *, epochs: int
) -> tuple[list[list[Lesson]], dict[str, float]]:
    """Choose what each pass learns from the episodes of an iteration, and count it.

    Raises:
        ValueError: a return is not a number.
    """
    source = section.resolve().source
    if source is Source.PAIRS:
        pairs, facts = mine_pairs(trajectories, margin=section.margin, pairing=section.pairing)
        return [list[Lesson](pairs)] * epochs, facts
    if source is Source.LABELS:
        labels, facts = mine_labels(trajectories)
        return [list[Lesson](labels)] * epochs, facts
    passes = [_pick(source, trajectories, section, step, epochs) for step in range(epochs)]
    return passes, {"demonstrations": float(len(passes[0])), "trajectories": float(len(trajectories))}


def _pick(
    source: Source, trajectories: Sequence[Trajectory], section: PreferenceSection, step: int, epochs: int
) -> list[Lesson]:
    if source is Source.BEST:
        return list[Lesson](pick_best(trajectories, margin=section.margin))
    samples: list[Sample] = [one for t in trajectories if (one := take_sample(t)) is not None]
    if source is Source.RISING:
        return list[Lesson](pick_rising(samples, step=step, steps=epochs, margin=section.margin))
    return list[Lesson](pick_solved(samples))


def study_episodes(
    learner: PreferenceLearner,
    trajectories: Sequence[Trajectory],
    section: PreferenceSection,
    rng: np.random.Generator,
) -> tuple[dict[str, float], dict[str, float]]:
    """Learn from the episodes of an iteration: what the learner says, and what was mined.

    Raises:
        ValueError: a return is not a number.
        DivergedError: the loss is no longer a number.
    """
    passes, facts = choose_lessons(trajectories, section, epochs=learner.practice.epochs)
    return learner.update(passes, rng), facts
