"""A world without a browser, in which a small policy learns within a second.

It has two turns. The page shows a number; the first right answer reaches a milestone worth 1/4 and
leads to a second page, whose right answer reaches the goal, worth 3/4. A wrong answer ends the episode.
"""

from dataclasses import replace

import numpy as np

from milepost.agents.agent import Completion, Sampling
from milepost.agents.engines.transformers import sample_batch
from milepost.training.config import build_config
from milepost.training.credit import credit_batch
from milepost.training.critic import Critic
from milepost.training.learner import Learner
from milepost.training.objective import Objective, build_objective
from milepost.training.preference_learner import PreferenceLearner
from milepost.training.sampler import draw_seed
from milepost.training.sections import AlgorithmSection
from milepost.training.trajectory import Trajectory, Turn
from tests.training.trajectories import make_model, make_trajectory

END, PAGES, SIZE, GROUPS, ROUNDS = 1, 4, 8, 16, 40


def play(learner: Learner | PreferenceLearner, pages: list[int], round_number: int) -> list[Trajectory]:
    turns: list[list[Turn]] = [[] for _ in range(len(pages) * SIZE)]
    going = list(range(len(turns)))
    for t in range(2):
        prompts = [(2 + t, 4 + pages[i // SIZE]) for i in going]
        samplings = [Sampling(max_tokens=1, seed=draw_seed(round_number, t, i)) for i in going]
        sampled = sample_batch(learner.model, prompts, samplings, stops=frozenset({END}))
        right = [one.ids[0] == 10 + 5 * t + pages[i // SIZE] for i, one in zip(going, sampled, strict=True)]
        for i, prompt, one, good in zip(going, prompts, sampled, right, strict=True):
            completion = Completion(
                prompt_ids=prompt,
                completion_ids=tuple(one.ids),
                logps=tuple(one.logps),
                text="",
                stop=one.stop,
            )
            name, value = (("first", 0.25), ("goal", 0.75))[t]
            turns[i].append(
                Turn(
                    completion=completion,
                    action="",
                    error="",
                    rewards={name: value} if good else {},
                    reached=frozenset({"first"} if t else ()),
                )
            )
        going = [i for i, good in zip(going, right, strict=True) if good]
        if not going:
            break
    return [
        make_trajectory(steps, group=f"{round_number}-{i // SIZE}", member=i % SIZE, success=i in going)
        for i, steps in enumerate(turns)
    ]


def learn(algorithm: AlgorithmSection) -> tuple[float, float]:
    """Give the mean return of the first and of the last five rounds."""
    learner = Learner(make_model(vocabulary=20), Objective(learning_rate=1e-2))
    rng = np.random.default_rng(0)
    returns = []
    for round_number in range(ROUNDS):
        batch = play(learner, rng.integers(PAGES, size=GROUPS).tolist(), round_number)
        returns.append(np.mean([t.ret for t in batch]))
        rows, _ = credit_batch(batch, algorithm, constant=1, rng=rng)
        facts = learner.update(rows, rng)
        assert abs(facts.get("kl_sampler", 0.0)) < 1e-6
    return float(np.mean(returns[:5])), float(np.mean(returns[-5:]))


def train_briefly(algorithm: AlgorithmSection) -> dict[str, float]:
    """Take one batch through everything a preset is made of, and give what is reported of it."""
    config = build_config({"algorithm": algorithm.model_dump(mode="json")})
    model = make_model(vocabulary=20)
    critic = (
        Critic(model, learning_rate=1e-3, token_budget=4096) if algorithm.advantage.needs_critic else None
    )
    learner = Learner(
        model, build_objective(config), reference=make_model(seed=1, vocabulary=20), critic=critic
    )
    rng = np.random.default_rng(0)
    batch = play(learner, rng.integers(PAGES, size=GROUPS).tolist(), 0)
    charged = learner.charge_divergence(batch)
    rows, facts = credit_batch(charged, algorithm, constant=1, rng=rng, critic=critic)
    return facts | learner.update(rows, rng, demonstrations=[replace(row, advantage=0.0) for row in rows[:4]])
