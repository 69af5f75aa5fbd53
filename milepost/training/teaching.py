"""What both loops share: the learner that a configuration asks for, and what an iteration's episodes teach it."""

from collections.abc import Sequence

import numpy as np
from transformers import PreTrainedModel

from milepost.training.algorithm import Flag
from milepost.training.batch import Row
from milepost.training.config import Config
from milepost.training.credit import credit_batch
from milepost.training.critic import build_critic
from milepost.training.imitation import draw_rehearsal
from milepost.training.learner import Learner
from milepost.training.objective import build_objective
from milepost.training.preference_learner import PreferenceLearner
from milepost.training.ranks import Ranks
from milepost.training.refill import keep_mixed
from milepost.training.study import build_practice, study_episodes
from milepost.training.trajectory import Trajectory


def needs_reference(config: Config) -> bool:
    """Say whether a configuration's method holds the policy to a copy of itself."""
    section = config.preference
    return section.resolve().needs_reference if section.method else bool(config.algorithm.kl_coef)


def build_learner(
    config: Config, model: PreTrainedModel, reference: PreTrainedModel | None, ranks: Ranks | None = None
) -> Learner | PreferenceLearner:
    """Make the learner that a configuration asks for, with its critic if it has one.

    Args:
        config: chooses the loop, the method and its numbers.
        model: the policy.
        reference: what it is compared with, see `needs_reference`.
        ranks: the processes that learn together, this one alone by default; the others are told to begin.
    """
    if config.preference.method:
        return PreferenceLearner(model, build_practice(config), reference=reference)
    objective, critic = build_objective(config), build_critic(model, config)
    if ranks is not None:
        ranks.tell("begin")
    return Learner(model, objective, reference=reference, critic=critic, ranks=ranks)


def teach(
    learner: Learner | PreferenceLearner,
    trajectories: Sequence[Trajectory],
    config: Config,
    rng: np.random.Generator,
    *,
    demonstrations: Sequence[Row] = (),
) -> tuple[dict[str, float], dict[str, float]]:
    """Learn from the episodes of an iteration: what the learner says, and what credit or mining says.

    Args:
        learner: changed in place.
        trajectories: the episodes.
        config: how they are turned into lessons.
        rng: draws what shares an optimiser step.
        demonstrations: of these some are rehearsed beside, where the algorithm has a weight for it.

    Raises:
        RewardError: a reward is not a finite number.
        DivergedError: the loss is no longer a number.
    """
    if isinstance(learner, PreferenceLearner):
        return study_episodes(learner, trajectories, config.preference, rng)
    if Flag.DYNAMIC_SAMPLING in config.algorithm.flags:
        trajectories = keep_mixed(trajectories)
    rows, facts = credit_batch(
        learner.charge_divergence(trajectories),
        config.algorithm,
        constant=config.policy.max_tokens,
        rng=rng,
        critic=learner.critic,
    )
    drawn = draw_rehearsal(demonstrations, rng)
    return learner.update(rows, rng, demonstrations=drawn), facts
