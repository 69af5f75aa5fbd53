"""One batch of rows becomes optimiser steps."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from milepost.training.algorithm import KlPlace, Step
from milepost.training.attention import share_beginnings
from milepost.training.batch import MicroBatch, Row, cut_batch
from milepost.training.corrections import adapt_coefficient
from milepost.training.critic import Critic
from milepost.training.divergence import price_divergence
from milepost.training.objective import Objective
from milepost.training.policy import check_head, score_tokens
from milepost.training.surrogate import Prepared, Sums, measure_loss
from milepost.training.trajectory import Trajectory
from milepost.training.trust_region import Region, join, take_step


class DivergedError(RuntimeError):
    """The loss or its gradient is no longer a number; the optimiser has not taken the step."""


class Learner:
    """Updates a policy's module in place, with AdamW or inside a trust region."""

    def __init__(
        self,
        model: PreTrainedModel,
        objective: Objective,
        *,
        reference: PreTrainedModel | None = None,
        critic: Critic | None = None,
    ) -> None:
        """Prepare a learner.

        Args:
            model: the policy; stays in evaluation mode, so that dropout cannot part it from its sampler.
            objective: what to minimise.
            reference: the frozen policy of the KL term; required when `kl_coef` is not 0.
            critic: kept beside the policy, for advantages that need values.

        Raises:
            ValueError: a KL term without a reference.
            UnsupportedModelError: the model's head cannot be applied to chosen positions.
        """
        if objective.kl_coef and reference is None:
            raise ValueError(
                f"kl_coef is {objective.kl_coef}: a reference policy is expected, none was given"
            )
        check_head(model)
        self.model: PreTrainedModel = model.eval()  # type: ignore[no-untyped-call]
        self.objective = objective
        self.optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=objective.learning_rate,
            weight_decay=objective.weight_decay,
            betas=(0.9, 0.95),
        )
        self.critic = critic
        self._reference = reference
        self._refreshed = False
        self._step_kl_coef = objective.step_kl_coef
        self._share_prompts = share_beginnings(model)

    def update(
        self, rows: Sequence[Row], rng: np.random.Generator, *, demonstrations: Sequence[Row] = ()
    ) -> dict[str, float]:
        """Learn from a batch and report `loss, ratio, clip_low, clip_high, kl_step, entropy, ...`.

        Rows without a loss are left out; what the others weigh was fixed before and stays. With none left and
        nothing to rehearse the policy does not change.

        Args:
            rows: the whole batch.
            rng: draws which rows share an optimiser step.
            demonstrations: what is rehearsed in every optimiser step, where the objective has a weight for it.

        Raises:
            DivergedError: the loss or its gradient is no longer a number.
        """
        kept = [r for r in rows if self.objective.needs_all_rows or not r.silent]
        facts = {"rows": float(len(rows)), "rows_learnt": float(len(kept))}
        rehearsal = self._cut_rehearsal(demonstrations)
        if not kept and not (rows and rehearsal):
            return facts | {"loss": 0.0, "grad_norm": 0.0, "tokens_computed": 0.0}
        minibatches = [self._prepare(part) for part in self._split(kept, rng)]
        sums, norms, loss = Sums(), [], 0.0
        for _ in range(self.objective.epochs):
            for minibatch in minibatches:
                loss += self._accumulate(minibatch, len(minibatches), sums)
                if rehearsal:
                    facts["rehearsal"] = self._rehearse(rehearsal)
                norms.append(self._limit_norm())
                if self.objective.step is Step.TRUST_REGION:
                    facts |= self._move(minibatch, rehearsal)
                else:
                    self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
        self._adapt(sums)
        steps = len(norms)
        computed = sum(p.batch.tokens for minibatch in minibatches for p in minibatch)
        return (
            sums.means()
            | facts
            | {
                "loss": loss / steps,
                "grad_norm": float(np.mean(norms)),
                "optimizer_steps": float(steps),
                "tokens_computed": float(computed * self.objective.epochs),
            }
        )

    def _split(self, rows: Sequence[Row], rng: np.random.Generator) -> list[list[Row]]:
        """Deal rows to the optimiser steps of a pass; rows of one prompt stay together."""
        if self.objective.minibatches == 1 or not rows:
            return [list(rows)]
        prompts = list(dict.fromkeys(row.prompt_ids for row in rows))
        parts = np.array_split(rng.permutation(len(prompts)), min(self.objective.minibatches, len(prompts)))
        home = {prompts[i]: part for part, indices in enumerate(parts) for i in indices.tolist()}
        dealt: list[list[Row]] = [[] for _ in parts]
        for row in rows:
            dealt[home[row.prompt_ids]].append(row)
        return dealt

    def _prepare(self, rows: Sequence[Row]) -> list[Prepared]:
        cut = cut_batch(rows, token_budget=self.objective.token_budget, share_prompts=self._share_prompts)
        prepared = [Prepared(micro.to(self.model.device)) for micro in cut]
        several = self.objective.epochs * self.objective.minibatches > 1
        several = several or self.objective.step is Step.TRUST_REGION  # its line search goes back and forth
        for one in prepared:
            if several:
                one.old_logp_N = self._score_fixed(self.model, one.batch)
            if self._reference is not None and self.objective.penalizes:
                one.reference_logp_N = self._score_fixed(self._reference, one.batch)
        return prepared

    @torch.no_grad()
    def _score_fixed(self, model: PreTrainedModel, batch: MicroBatch) -> Tensor:
        scores = score_tokens(model, batch, temperature=self.objective.temperature)
        return scores.logp_U[batch.token_N]

    def _accumulate(self, minibatch: Sequence[Prepared], parts: int, sums: Sums) -> float:
        """Accumulate the gradient of one optimiser step; weights are of the whole batch, hence `parts`."""
        total = 0.0
        for prepared in minibatch:
            loss = self._measure(prepared, sums) * parts
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return total

    def _measure(self, prepared: Prepared, sums: Sums) -> Tensor:
        return measure_loss(self.model, prepared, self.objective, step_kl_coef=self._step_kl_coef, sums=sums)

    def _cut_rehearsal(self, demonstrations: Sequence[Row]) -> list[MicroBatch]:
        """Cut demonstrations into micro-batches whose weights make a loss: coefficient / tokens."""
        coef = self.objective.rehearsal_coef
        if not coef or not demonstrations:
            return []
        weight = coef / sum(len(row.completion_ids) for row in demonstrations)
        rows = [replace(row, weight=weight) for row in demonstrations]
        cut = cut_batch(rows, token_budget=self.objective.token_budget, share_prompts=self._share_prompts)
        return [batch.to(self.model.device) for batch in cut]

    def _rehearse(self, rehearsal: Sequence[MicroBatch]) -> float:
        """Accumulate the gradient of coefficient x negative log-likelihood per token, and give that."""
        total = 0.0
        for batch in rehearsal:
            # Demonstrations are no samples of the policy, so no temperature flattens it here.
            logp_N = score_tokens(self.model, batch).logp_U[batch.token_N]
            loss = -(logp_N * batch.weight_N).sum()
            if torch.is_grad_enabled():
                loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return total

    def _move(self, minibatch: Sequence[Prepared], rehearsal: Sequence[MicroBatch]) -> dict[str, float]:
        """Move along the natural gradient of what was accumulated, inside the trust region."""
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        gradient_P = join([torch.zeros_like(p) if p.grad is None else p.grad for p in parameters])
        batches = [prepared.batch for prepared in minibatch]
        region = Region(self.model, batches, parameters, temperature=self.objective.temperature)

        @torch.no_grad()
        def measure() -> tuple[float, float]:
            loss = sum(float(self._measure(prepared, Sums())) for prepared in minibatch)
            return loss + self._rehearse(rehearsal), region.measure_divergence()

        move = take_step(parameters, gradient_P, region.multiply, measure, limit=self.objective.step_kl)
        return {
            "kl_step": move.divergence,
            "step_fraction": move.fraction,
            "improvement": move.loss_before - move.loss_after,
        }

    def _adapt(self, sums: Sums) -> None:
        """Hold the divergence of a batch's steps at its target."""
        if self.objective.adapts and sums.tokens:
            self._step_kl_coef = adapt_coefficient(
                self._step_kl_coef, divergence=sums.means()["kl_step"], target=self.objective.step_kl
            )

    def charge_divergence(self, trajectories: Sequence[Trajectory]) -> list[Trajectory]:
        """Charge each turn for its divergence from the reference, where that goes into the reward."""
        objective = self.objective
        if self._reference is None or not objective.kl_coef or objective.kl_place is not KlPlace.REWARD:
            return list(trajectories)
        return price_divergence(
            trajectories,
            self.model,
            self._reference,
            coef=objective.kl_coef,
            kind=objective.kl,
            temperature=objective.temperature,
            token_budget=objective.token_budget,
        )

    def refresh_reference(self) -> None:
        """Make the current policy the reference."""
        if self._reference is not None:
            self._reference.load_state_dict(self.model.state_dict())
            self._refreshed = True

    def state_dict(self) -> dict[str, Any]:
        """Give all that a resumed run needs besides the policy's weights."""
        state = {**self.optimizer.state_dict(), "step_kl_coef": self._step_kl_coef}
        if self.critic is not None:
            state["critic"] = self.critic.state_dict()
        if self._reference is not None and self._refreshed:
            state["reference"] = self._reference.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put everything back."""
        rest = dict(state)
        self._step_kl_coef = rest.pop("step_kl_coef", self._step_kl_coef)
        critic, reference = rest.pop("critic", None), rest.pop("reference", None)
        if self.critic is not None and critic is not None:
            self.critic.load_state_dict(critic)
        if self._reference is not None and reference is not None:
            self._reference.load_state_dict(reference)
            self._refreshed = True
        self.optimizer.load_state_dict(rest)

    def _limit_norm(self) -> float:
        """Give the gradient's norm, and cut it where AdamW takes the step; a trust region has a limit of its own."""
        free = self.objective.step is Step.TRUST_REGION
        largest = math.inf if free else self.objective.grad_clip
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), largest))
        if not math.isfinite(norm):
            raise DivergedError(
                f"the gradient's norm is {norm}; lower optim.learning_rate (now "
                f"{self.objective.learning_rate}) and resume from the last checkpoint"
            )
        return norm
