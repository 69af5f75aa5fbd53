"""Pairs with what the members of a tier read of their sides: what a model is fitted to."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from milepost.milestones.learned.features import featurize_all
from milepost.milestones.learned.transition import Transition
from milepost.training.reward_model.pairs import Label, Pair, Side, read_side, split_key

_Input = TypeVar("_Input", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material(Generic[_Input]):
    """Pairs with what is read of their sides, each side read once."""

    pairs: tuple[Pair, ...]
    inputs: Mapping[Side, _Input]
    """By side."""

    def select(self, keys: frozenset[str]) -> "Material[_Input]":
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
    def balance(self) -> dict[Side, float]:
        """How much each side counts when every template is to count the same; 1 on average."""
        home = {side: split_key(p.template) for p in self.pairs for side in (p.chosen, p.rejected)}
        counts = Counter(home.values())
        return {side: len(home) / len(counts) / counts[key] for side, key in home.items()}

    @property
    def swapped(self) -> frozenset[Side]:
        """Sides under a goal that was not their own: neither honest nor a hack."""
        return frozenset(pair.rejected for pair in self.pairs if pair.source is Label.GOAL)

    @property
    def demonstrations(self) -> list[Side]:
        """The tasks' own solutions; where there is none, what is preferred."""
        shown = [side for side in self.sides if side.is_demonstration]
        return shown or [pair.chosen for pair in self.pairs]


Features = Material[NDArray[np.float64]]
"""Of the small tier: each side's features, shape (steps, features)."""

Texts = Material[tuple[Transition, ...]]
"""Of the text tier: each side's steps."""


def load_material(run: Path, pairs: Sequence[Pair]) -> Features:
    """Read the features of the episodes of pairs.

    Raises:
        PreferenceError: an episode cannot be read.
    """
    return _load(pairs, lambda side: featurize_all(read_side(run, side)))


def load_texts(run: Path, pairs: Sequence[Pair]) -> Texts:
    """Read the steps of the episodes of pairs.

    Raises:
        PreferenceError: an episode cannot be read.
    """
    return _load(pairs, lambda side: read_side(run, side))


_Read = TypeVar("_Read", NDArray[np.float64], tuple[Transition, ...])


def _load(pairs: Sequence[Pair], read: Callable[[Side], _Read]) -> Material[_Read]:
    sides = dict.fromkeys(side for pair in pairs for side in (pair.chosen, pair.rejected))
    inputs = {side: read(side) for side in sides}
    kept = (pair for pair in pairs if len(inputs[pair.chosen]) and len(inputs[pair.rejected]))
    return Material(pairs=tuple(kept), inputs=inputs)
