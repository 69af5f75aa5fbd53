"""Preferences become optimiser steps.

A preference loss joins whole trajectories, which may be far too long to be in memory together. So each step scores
all of them without gradient, takes the loss and its derivative by each trajectory's log-probability, and then runs
the policy again in micro-batches with these derivatives as weights. By the chain rule this is the gradient of the
loss, whatever the micro-batches are.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from milepost.training.attention import share_beginnings
from milepost.training.batch import MicroBatch, Row, cut_batch
from milepost.training.learner import DivergedError
from milepost.training.policy import TokenScores, check_head, check_sight, score_tokens
from milepost.training.preferences.losses import (
    PAIR_LOSSES,
    PairScores,
    balance_labels,
    estimate_divergence,
    imitation_loss,
    kto_loss,
)
from milepost.training.preferences.method import Method, Reference, Schedule, Terms
from milepost.training.preferences.pairs import Label, Pair, Sample

Lesson = Pair | Label | Sample
"""What a method learns from: a pair, a label, or a demonstration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Practice:
    """How a method is practised."""

    method: Method
    schedule: Schedule = Schedule.ONLINE
    sync_every: int = 1
    entropy_coef: float = 0.0
    epochs: int = 1
    minibatches: int = 1
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    grad_clip: float = 1.0
    token_budget: int = 16_384
    temperature: float = 1.0

    @property
    def plays_with_copy(self) -> bool:
        """Whether episodes are played by a copy of the policy that lags behind."""
        return self.schedule in (Schedule.OFFLINE, Schedule.SEMI_ONLINE)

    def is_sync_due(self, iteration: int) -> bool:
        """Say whether the playing copy takes the policy's weights before an iteration (from 1)."""
        if self.schedule is Schedule.OFFLINE:
            return iteration == 1
        return self.schedule is not Schedule.SEMI_ONLINE or (iteration - 1) % self.sync_every == 0


@dataclass(slots=True)
class _Sums:
    """What an update adds up to."""

    steps: int = 0
    tokens_computed: int = 0
    values: dict[str, float] = field(default_factory=dict)

    def add(self, **values: float) -> None:
        for name, value in values.items():
            self.values[name] = self.values.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        return {name: value / max(1, self.steps) for name, value in self.values.items()}


class PreferenceLearner:
    """Updates a policy's module in place with AdamW, from preferences."""

    def __init__(
        self, model: PreTrainedModel, practice: Practice, *, reference: PreTrainedModel | None = None
    ) -> None:
        """Prepare a learner.

        Args:
            model: the policy; stays in evaluation mode.
            practice: the method and how it is practised.
            reference: a frozen copy of the policy, required when the method has a reference.

        Raises:
            ValueError: the method needs a reference and there is none.
            UnsupportedModelError: the model's head cannot be applied to chosen positions.
        """
        if practice.method.needs_reference and reference is None:
            raise ValueError(
                f"method {practice.method.name!r} needs a reference policy ({practice.method.reference}), "
                "none was given"
            )
        check_head(model)
        check_sight(model)
        self.model: PreTrainedModel = model.eval()  # type: ignore[no-untyped-call]
        self.practice = practice
        self.syncs = 0
        """How often the playing copy took the policy's weights."""
        self._reference = reference
        self._behaviour: dict[str, Tensor] | None = None
        self._share_prompts = share_beginnings(model)
        self._renew_optimizer()

    def _renew_optimizer(self) -> None:
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=self.practice.learning_rate,
            weight_decay=self.practice.weight_decay,
            betas=(0.9, 0.95),
        )

    def begin(self, iteration: int) -> None:
        """Bring the playing copy and the reference up to date before an iteration is played.

        Args:
            iteration: its number, from 1.
        """
        practice = self.practice
        if practice.is_sync_due(iteration):
            self.syncs += 1
            if practice.plays_with_copy:
                self._behaviour = _copy_weights(self.model)
        every = practice.method.reference_every
        kind = practice.method.reference
        if kind is Reference.STAGE and every and (iteration - 1) % every == 0:
            self._set_reference(_copy_weights(self.model))
        elif kind is Reference.BEHAVIOUR and practice.is_sync_due(iteration):
            self._set_reference(self._behaviour or _copy_weights(self.model))

    def _set_reference(self, weights: Mapping[str, Tensor]) -> None:
        assert self._reference is not None
        self._reference.load_state_dict(dict(weights))

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Put the weights that play into the policy's module for a while; the policy's own come back after."""
        if self._behaviour is None:
            yield
            return
        own = _copy_weights(self.model)
        self.model.load_state_dict(self._behaviour)
        try:
            yield
        finally:
            self.model.load_state_dict(own)

    def update(self, epochs: Sequence[Sequence[Lesson]], rng: np.random.Generator) -> dict[str, float]:
        """Learn and report `loss, grad_norm, accuracy, margin, ...`.

        Without lessons, or with balanced labels of one kind alone, the policy stays as it is.

        Args:
            epochs: the lessons of each pass.
            rng: draws which lessons share an optimiser step.

        Raises:
            DivergedError: the loss or its gradient is no longer a number.
        """
        weighed = [(lessons, self._weigh(lessons)) for lessons in epochs if lessons]
        passes = [
            (lessons, terms)
            for lessons, terms in weighed
            if terms.desirable_weight or terms.undesirable_weight
        ]
        if not passes:
            return {"loss": 0.0, "grad_norm": 0.0, "tokens_computed": 0.0, "optimizer_steps": 0.0}
        if self.practice.method.restarts:
            assert self._reference is not None
            self.model.load_state_dict(self._reference.state_dict())
            self._renew_optimizer()
        sums = _Sums()
        for lessons, terms in passes:
            parts = min(self.practice.minibatches, len(lessons))
            for part in np.array_split(rng.permutation(len(lessons)), parts):
                self._step([lessons[i] for i in part.tolist()], terms, sums)
        return sums.means() | {
            "tokens_computed": float(sums.tokens_computed),
            "optimizer_steps": float(sums.steps),
        }

    def _weigh(self, lessons: Sequence[Lesson]) -> Terms:
        """Give the terms of a pass, which may depend on how many labels of each kind it has."""
        terms = self.practice.method.terms
        if not terms.balanced:
            return terms
        desirable = sum(isinstance(one, Label) and one.desirable for one in lessons)
        return balance_labels(terms, desirable, len(lessons) - desirable)

    def _step(self, lessons: Sequence[Lesson], terms: Terms, sums: _Sums) -> None:
        samples = [sample for lesson in lessons for sample in _sides(lesson)]
        reference_M = self._score_reference(samples, sums)
        logp_M = self._score(self.model, samples, sums).requires_grad_()
        loss = self._loss(lessons, samples, logp_M, reference_M, terms, sums)
        if not math.isfinite(float(loss.detach())):
            raise DivergedError(f"the loss is {float(loss.detach())}; {self._advise()}")
        (slope_M,) = torch.autograd.grad(loss, logp_M)
        entropy = self._accumulate(samples, slope_M.tolist(), sums)
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.practice.grad_clip))
        if not math.isfinite(norm):
            raise DivergedError(f"the gradient's norm is {norm}; {self._advise()}")
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        sums.steps += 1
        total = float(loss.detach()) - self.practice.entropy_coef * entropy
        sums.add(loss=total, grad_norm=norm, entropy=entropy)

    def _advise(self) -> str:
        return f"lower optim.learning_rate (now {self.practice.learning_rate}) and resume from the last checkpoint"

    def _loss(
        self,
        lessons: Sequence[Lesson],
        samples: Sequence[Sample],
        logp_M: Tensor,
        reference_M: Tensor,
        terms: Terms,
        sums: _Sums,
    ) -> Tensor:
        """Give the mean loss of lessons of one kind, whose samples come in their order."""
        tokens_M = torch.tensor([sample.tokens for sample in samples], dtype=logp_M.dtype)
        if isinstance(lessons[0], Pair):
            pairs = PairScores(
                chosen_B=logp_M[0::2],
                rejected_B=logp_M[1::2],
                reference_chosen_B=reference_M[0::2],
                reference_rejected_B=reference_M[1::2],
                chosen_tokens_B=tokens_M[0::2],
                rejected_tokens_B=tokens_M[1::2],
            )
            _note_pairs(pairs, terms.beta, sums)
            return PAIR_LOSSES[self.practice.method.form](pairs, terms).mean()
        if isinstance(lessons[0], Label):
            desirable_M = torch.tensor([isinstance(one, Label) and one.desirable for one in lessons])
            divergence = self._estimate_divergence(samples, sums)
            sums.add(kl_reference=divergence)
            return kto_loss(logp_M - reference_M, desirable_M, divergence, terms).mean()
        return imitation_loss(logp_M, tokens_M).mean()

    def _estimate_divergence(self, samples: Sequence[Sample], sums: _Sums) -> float:
        """Score completions after the prompts of the sample before, where they do not belong (KTO's z0)."""
        if len(samples) < 2:
            return 0.0
        assert self._reference is not None
        mismatched = [mismatch(a, b) for a, b in zip(samples, [*samples[1:], samples[0]], strict=True)]
        return estimate_divergence(
            self._score(self.model, mismatched, sums), self._score(self._reference, mismatched, sums)
        )

    def _score_reference(self, samples: Sequence[Sample], sums: _Sums) -> Tensor:
        if self._reference is None:
            return torch.zeros(len(samples), dtype=torch.float64)
        return self._score(self._reference, samples, sums)

    @torch.no_grad()
    def _score(self, model: PreTrainedModel, samples: Sequence[Sample], sums: _Sums) -> Tensor:
        """Sum the log-probabilities of each sample's completion tokens, shape (M,), float64."""
        logp_M = torch.zeros(len(samples), dtype=torch.float64)
        # A micro-batch spreads one number of each row over its tokens; here that is whose row it is.
        rows = [replace(row, advantage=float(i)) for i, one in enumerate(samples) for row in one.rows]
        for batch in self._cut(rows, sums):
            logp_N = self._run(model, batch).logp_U[batch.token_N]
            logp_M.index_add_(0, batch.advantage_N.long().cpu(), logp_N.double().cpu())
        return logp_M

    def _accumulate(self, samples: Sequence[Sample], slopes: Sequence[float], sums: _Sums) -> float:
        """Add the gradient of sum(slope x log-probability) and of the entropy bonus; give the mean entropy."""
        bonus = self.practice.entropy_coef
        rows = [
            replace(row, weight=slope)
            for sample, slope in zip(samples, slopes, strict=True)
            for row in sample.rows
            if slope or bonus
        ]
        tokens = sum(len(row.completion_ids) for row in rows)
        entropy = 0.0
        for batch in self._cut(rows, sums):
            scores = self._run(self.model, batch, entropy_gradient=bonus != 0.0)
            entropy_N = scores.entropy_U[batch.token_N]
            loss = (scores.logp_U[batch.token_N] * batch.weight_N).sum()
            if bonus:
                loss = loss - bonus * entropy_N.sum() / tokens
            loss.backward()  # type: ignore[no-untyped-call]
            entropy += float(entropy_N.detach().sum()) / tokens
        return entropy

    def _run(
        self, model: PreTrainedModel, batch: MicroBatch, *, entropy_gradient: bool = False
    ) -> TokenScores:
        temperature = self.practice.temperature
        return score_tokens(model, batch, temperature=temperature, entropy_gradient=entropy_gradient)

    def _cut(self, rows: Sequence[Row], sums: _Sums) -> Iterator[MicroBatch]:
        budget = self.practice.token_budget
        for batch in cut_batch(rows, token_budget=budget, share_prompts=self._share_prompts):
            sums.tokens_computed += batch.tokens
            yield batch.to(self.model.device)

    def state_dict(self) -> dict[str, Any]:
        """Give all that a resumed run needs besides the policy's weights."""
        state: dict[str, Any] = {**self.optimizer.state_dict(), "syncs": self.syncs}
        if self._behaviour is not None:
            state["behaviour"] = self._behaviour
        moved = self.practice.method.reference in (Reference.STAGE, Reference.BEHAVIOUR)
        if self._reference is not None and moved:
            state["reference"] = self._reference.state_dict()
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any], /) -> None:
        """Put everything back."""
        rest = dict(state_dict)
        self.syncs = rest.pop("syncs", 0)
        self._behaviour = rest.pop("behaviour", None)
        reference = rest.pop("reference", None)
        if reference is not None:
            self._set_reference(reference)
        self.optimizer.load_state_dict(rest)


def _copy_weights(model: PreTrainedModel) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _sides(lesson: Lesson) -> tuple[Sample, ...]:
    if isinstance(lesson, Pair):
        return lesson.chosen, lesson.rejected
    return (lesson.sample,) if isinstance(lesson, Label) else (lesson,)


def _note_pairs(pairs: PairScores, beta: float, sums: _Sums) -> None:
    gap_B = (beta * pairs.gap_B).detach()
    sums.add(
        accuracy=float((gap_B > 0).double().mean()),
        margin=float(gap_B.mean()),
        reward_chosen=float((beta * pairs.chosen_ratio_B).detach().mean()),
        reward_rejected=float((beta * pairs.rejected_ratio_B).detach().mean()),
        logp_chosen=float(pairs.chosen_B.detach().mean()),
        logp_rejected=float(pairs.rejected_B.detach().mean()),
    )


def mismatch(prompts: Sample, completions: Sample) -> Sample:
    """Put the completions of one sample after the prompts of another, turn by turn, as far as both go."""
    rows = tuple(
        replace(other, prompt_ids=row.prompt_ids, picture=row.picture)
        for row, other in zip(prompts.rows, completions.rows, strict=False)
    )
    return replace(completions, rows=rows)
