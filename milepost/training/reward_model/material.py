"""Pairs with the features of their sides: what the small tier is fitted to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milepost.milestones.learned.features import featurize_all
from milepost.training.reward_model.pairs import Label, Pair, Side, read_side, split_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Pairs with the features of their sides, each side read once."""

    pairs: tuple[Pair, ...]
    features: Mapping[Side, NDArray[np.float64]]
    """By side, shape (steps, features)."""

    def select(self, keys: frozenset[str]) -> "Material":
        """Give the part whose templates have one of these split keys."""
        return replace(self, pairs=tuple(p for p in self.pairs if split_key(p.template) in keys))

    @property
    def keys(self) -> tuple[str, ...]:
        """The split keys, sorted."""
        return tuple(sorted({split_key(pair.template) for pair in self.pairs}))

    @property
    def sides(self) -> list[Side]:
        """Every side of the pairs, once, in order."""
        return list(dict.fromkeys(side for pair in self.pairs for side in (pair.chosen, pair.rejected)))

    @property
    def swapped(self) -> frozenset[Side]:
        """Sides under a goal that was not their own: neither honest nor a hack."""
        return frozenset(pair.rejected for pair in self.pairs if pair.source is Label.GOAL)


def load_material(run: Path, pairs: Sequence[Pair]) -> Material:
    """Read the episodes of pairs.

    Raises:
        PreferenceError: an episode cannot be read.
    """
    features = {}
    for pair in pairs:
        for side in (pair.chosen, pair.rejected):
            if side not in features:
                features[side] = featurize_all(read_side(run, side))
    kept = [p for p in pairs if len(features[p.chosen]) and len(features[p.rejected])]
    return Material(pairs=tuple(kept), features=features)
