"""What a section of a configuration is, and the one that names an algorithm."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from milepost.training.advantages import Estimator, Scale
from milepost.training.aggregation import Aggregation
from milepost.training.algorithm import (
    TWO_SIDED_CLIP,
    Algorithm,
    Correction,
    Flag,
    KlKind,
    KlPlace,
    Loss,
    Ratio,
    Step,
)
from milepost.training.presets import DEFAULT, PRESETS

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A section: frozen, and no key that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True)


def _check_clip(clip: list[float]) -> list[float]:
    if len(clip) != 2 or clip[0] > 1.0:
        raise ValueError(
            "expected two bounds, how far the ratio may fall, at most 1, and how far it may rise"
        )
    return clip


def _check_step_kl(step_kl: list[float]) -> list[float]:
    if len(step_kl) != 2 or step_kl[1] == 0.0:
        raise ValueError("expected the divergence's weight and, above 0, the divergence a batch may lead to")
    return step_kl


class AlgorithmSection(Section):
    """`[algorithm]`: credit and loss. What is left out is as in the preset."""

    preset: str = DEFAULT
    """A published method by name: `milepost algorithms` lists them."""
    advantage: Estimator = Estimator.MILESTONE_LOO
    scale: Scale = Scale.NONE
    """What advantages are divided by."""
    gamma: Fraction = 1.0
    """Discount per turn; per token with `token_gae`."""
    shrinkage: Amount = 0.0
    """How many peers the other groups of a template count for in a baseline (`milestone_loo`); 0 is off."""
    loss: Loss = Loss.PPO
    ratio: Ratio = Ratio.TOKEN
    """Of what the ratio of new to old probability is."""
    clip: Annotated[list[Amount], AfterValidator(_check_clip)] = [0.2, 0.28]
    """How far the ratio may fall, and how far it may rise."""
    aggregation: Aggregation = Aggregation.ROLLOUT_SUM
    """How tokens weigh."""
    kl: KlKind = KlKind.K3
    kl_place: KlPlace = KlPlace.LOSS
    """Whether the divergence goes into the loss or into the reward."""
    kl_coef: Amount = 0.0
    """Weight of the divergence from the policy at the start of this stage; 0 is off."""
    entropy_coef: Amount = 0.0
    correction: Correction = Correction.TOKEN_TRUNCATE
    """How a sampler that is not the learner is corrected for."""
    flags: list[Flag] = []
    """What is done besides: `dynamic_sampling`, `overlong_filter`, `adaptive_kl`, ..."""
    reference_every: Count = 0
    """Iterations after which the reference of the divergence becomes the current policy; 0 is never."""
    step_kl: Annotated[list[Amount], AfterValidator(_check_step_kl)] = [0.0, 0.01]
    """Weight of the divergence from the policy of the batch's start, PPO's penalty, where 0 is off; and the divergence a
    batch may lead to: the target of `adaptive_kl`, the bound of `trpo`."""
    rehearsal_coef: Amount = 0.0
    """Weight of the likelihood of the oracles' demonstrations beside the loss, as in `ppo_ptx`; 0 is off."""
    epochs: Positive = 1
    """Passes over a batch."""
    minibatches: Positive = 1
    """Optimiser steps per pass."""

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        """Take what is left out from the preset."""
        if not isinstance(data, Mapping):
            return data
        name = data.get("preset", DEFAULT)
        if not isinstance(name, str) or name not in PRESETS:
            near = difflib.get_close_matches(str(name), PRESETS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the presets are {', '.join(PRESETS)}"
            raise ValueError(f"there is no preset {name!r}; {hint}")
        return {**_list_parts(PRESETS[name].algorithm), **data}

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Refuse what does not go together."""
        for wrong, message in (
            (
                self.kl_place is not KlPlace.LOSS and self.kl_coef == 0.0 and "kl_place" in self._chosen(),
                f"kl_place is {self.kl_place} but kl_coef is 0: give kl_coef a weight, or leave kl_place out",
            ),
            (
                self.reference_every > 0 and self.kl_coef == 0.0,
                f"reference_every is {self.reference_every} but kl_coef is 0: there is no reference to refresh",
            ),
            (
                self.advantage.needs_critic and self.scale is not Scale.NONE,
                f"advantage {self.advantage} and scale {self.scale} do not go together: a critic's advantages "
                "are scaled by the flag whiten",
            ),
            (
                self.advantage.needs_critic and self.shrinkage > 0.0,
                f"advantage {self.advantage} and shrinkage {self.shrinkage} do not go together: a critic has no peers",
            ),
            (
                Flag.WHITEN in self.flags and not self.advantage.needs_critic,
                f"the flag whiten and advantage {self.advantage} do not go together: set scale instead",
            ),
            (
                Flag.DUAL_CLIP in self.flags and self.loss is not Loss.PPO,
                f"the flag dual_clip and loss {self.loss} do not go together: it bounds the loss ppo",
            ),
            (
                Flag.TWO_SIDED_CLIP in self.flags
                and (self.loss is not Loss.PPO or self.clip[1] >= TWO_SIDED_CLIP - 1.0),
                f"the flag two_sided_clip, loss {self.loss} and clip {self.clip} do not go together: "
                f"it bounds the ratio of the loss ppo at {TWO_SIDED_CLIP:g}, above 1 + clip[1]",
            ),
            (
                Flag.FRONTIER in self.flags and Flag.BAND in self.flags,
                "the flags frontier and band do not go together: each says which templates are drawn",
            ),
            (
                Flag.HORIZON in self.flags and Flag.OVERLONG_FILTER in self.flags,
                "the flags horizon and overlong_filter do not go together: what the first one cuts off, which is most "
                "episodes at first, the second one does not learn from",
            ),
            (
                PRESETS[self.preset].algorithm.step is Step.TRUST_REGION
                and self.epochs * self.minibatches > 1,
                f"preset {self.preset} takes one step a batch, but epochs is {self.epochs} and minibatches is "
                f"{self.minibatches}: leave both out",
            ),
        ):
            if wrong:
                raise ValueError(message)
        return self

    def _chosen(self) -> set[str]:
        """Name the fields that differ from the preset's."""
        parts = _list_parts(PRESETS[self.preset].algorithm)
        return {key for key, value in parts.items() if getattr(self, key) != value}

    def resolve(self) -> Algorithm:
        """Give the whole algorithm: this section, and from the preset what has no key here."""
        preset = PRESETS[self.preset].algorithm
        parts = {key: getattr(self, key) for key in _list_parts(preset)}
        parts |= {key: tuple(value) for key, value in parts.items() if isinstance(value, list)}
        return dataclasses.replace(preset, **parts)


def _list_parts(algorithm: Algorithm) -> dict[str, Any]:
    """Give the parts of an algorithm that have a key, as a configuration writes them."""
    values = {
        key: getattr(algorithm, key) for key in AlgorithmSection.model_fields if hasattr(algorithm, key)
    }
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
