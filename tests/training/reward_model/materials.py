"""A small material: in every template more of one feature is better, and hacks have another."""

import numpy as np

from milepost.milestones.learned.features import NAMES
from milepost.training.reward_model.material import Features, Material
from milepost.training.reward_model.pairs import Label, Pair, Side

TELLING = NAMES.index("target_in_goal")
CLAIMING = NAMES.index("text_claims")


def make_material(templates: int = 4, *, seed: int = 0) -> Features:
    rng = np.random.default_rng(seed)
    pairs, features = [], {}
    for n in range(templates):
        for prompt in range(3):
            good = Side(episode=f"play-oracle-T{n}-{prompt}", end=3, goal="g", success=True)
            bad = [
                Side(episode=f"play-{play}-T{n}-{prompt}", end=3, goal="g", success=False)
                for play in ("random", "stopped", "claim", "churn")
            ]
            for side in (good, *bad):
                rows = rng.normal(0, 0.1, (int(rng.integers(2, 6)), len(NAMES)))
                rows[:, TELLING] += 0.8 if side.success else -0.8
                rows[:, CLAIMING] += 0.8 * side.is_hack
                features[side] = rows
            for k, side in enumerate(bad):
                pairs.append(
                    Pair(
                        id=f"{n}-{prompt}-{k}",
                        template=f"T{'abcdefghijkl'[n]}-v0",
                        prompt=f"{n}:{prompt}",
                        chosen=good,
                        rejected=side,
                        margin=1.0,
                        source=Label.HACK if k > 1 else Label.MILESTONES,
                    )
                )
    return Material(pairs=tuple(pairs), inputs=features)
