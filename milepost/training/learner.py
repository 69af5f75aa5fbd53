"""One batch of rows becomes optimiser steps."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from milepost.agents.sight import find_sight
from milepost.training.adapters import as_reference, has_adapter
from milepost.training.algorithm import KlPlace, Step
from milepost.training.attention import share_beginnings
from milepost.training.batch import MicroBatch, Row, cut_batch, deal_rows
from milepost.training.corrections import adapt_coefficient, exceeds_band
from milepost.training.critic import Critic
from milepost.training.divergence import price_divergence
from milepost.training.objective import Objective
from milepost.training.policy import TokenScores, UnsupportedModelError, check_head, check_sight, score_tokens
from milepost.training.precision import choose_precision, computing
from milepost.training.ranks import Ranks
from milepost.training.shards import (
    collect_weights,
    deal_optimizer,
    gather_state,
    load_weights,
    outline_state,
    run_gathered,
    shard_model,
    take_shards,
)
from milepost.training.surrogate import Prepared, measure_loss
from milepost.training.tally import TokenSums
from milepost.training.trajectory import Trajectory
from milepost.training.trust_region import Region, join, take_step, thin_rows


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
        ranks: Ranks | None = None,
    ) -> None:
        """Prepare a learner.

        Args:
            model: the policy; stays in evaluation mode, so that dropout cannot part it from its sampler.
            objective: what to minimise.
            reference: the frozen policy of the KL term; required when `kl_coef` is not 0. The policy itself, where
                it carries an adapter: that is off then.
            critic: kept beside the policy, for advantages that need values.
            ranks: the processes that learn together; this one alone by default. All take rank 0's weights. Where they
                share weights out, `model` and `reference` are theirs from now on, but for rank 0's `model`: that stays
                whole and follows after every batch.

        Raises:
            ValueError: a KL term without a reference.
            UnsupportedModelError: the model's head cannot be applied to chosen positions, or it sees and is sharded.
        """
        if objective.kl_coef and reference is None:
            raise ValueError(
                f"kl_coef is {objective.kl_coef}: a reference policy is expected, none was given"
            )
        if reference is model and not has_adapter(model):
            raise ValueError("the policy without an adapter cannot be its own reference")
        self.ranks = ranks or Ranks()
        if self.ranks.sharded and find_sight(model) is not None:
            raise UnsupportedModelError("a policy that sees cannot be sharded (FSDP); start without it")
        for copied in (model, reference):
            if copied is not None:
                self.ranks.copy_weights(copied)
        check_head(model)
        check_sight(model)
        self.policy: PreTrainedModel = model.eval()  # type: ignore[no-untyped-call]
        """What the learner was given."""
        self.model = self.policy
        """What it computes with: the same, or this rank's part of it."""
        self.objective = objective
        self._share_prompts = share_beginnings(model)
        self._reference = reference
        if self.ranks.sharded:
            self._take_shards()
        self._parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self._parameters,
            lr=objective.learning_rate,
            weight_decay=objective.weight_decay,
            betas=(0.9, 0.95),
        )
        self.critic = critic
        self._refreshed = False
        self._step_kl_coef = objective.step_kl_coef
        self._precision = choose_precision(objective.precision, model.device)

    def _take_shards(self) -> None:
        self.model = take_shards(self.policy, keep=self.ranks.leads)
        if self._reference is self.policy:
            self._reference = self.model
        elif self._reference is not None and self.objective.penalizes:
            self._reference = shard_model(self._reference)

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
        rehearsed = list(demonstrations) if self.objective.rehearsal_coef and rows else []
        if not kept and not rehearsed:
            return facts | {"loss": 0.0, "grad_norm": 0.0, "tokens_computed": 0.0}
        dealt = deal_rows(kept, self.objective.minibatches, rng) if kept else [[]]
        self.ranks.tell("learn", (dealt, rehearsed))
        return facts | self._learn(dealt, rehearsed)

    def follow(self) -> None:
        """Learn what rank 0 says, until it has no more: what every other rank does."""
        does: dict[str, Callable[..., object]] = {
            "learn": self._learn,
            "load": self._load,
            "refresh": self._refresh,
            "gather": self._gather,
        }
        while True:
            order, load = self.ranks.listen()
            if order == "stop":
                return
            does[order](*load or ())

    def _learn(self, dealt: Sequence[Sequence[Row]], rehearsed: Sequence[Row] = ()) -> dict[str, float]:
        """Take the steps of a batch; every rank learns a part of each."""
        rehearsal = self._cut_rehearsal(rehearsed)
        minibatches = [self._prepare(part) if part else [] for part in dealt]
        whole = [one for minibatch in minibatches for one in minibatch]
        adapts = self.objective.adapts and any(dealt)  # alike on every rank, also on one without a part
        sums, work, norms = TokenSums(), TokenSums(), list[float]()
        facts: dict[str, float] = {}
        for _ in range(self.objective.epochs):
            for minibatch, part in zip(minibatches, dealt, strict=True):
                work.count(loss=self._accumulate(minibatch, len(minibatches), sums))
                if rehearsal:
                    facts["rehearsal"] = self._rehearse(rehearsal)
                norms.append(self._limit_norm())
                if self.objective.step is Step.TRUST_REGION:
                    facts |= self._move(minibatch, part, rehearsal)
                else:
                    self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
            if adapts:
                facts["kl_step"] = self._look_back(whole)
                if exceeds_band(facts["kl_step"], target=self.objective.step_kl):
                    break  # what further passes would add is no longer of the policy that has played
        for one in filter(lambda one: one.counted, whole):
            work.count(computed=one.batch.tokens, given=one.batch.given)
        if adapts:
            facts["step_kl_coef"] = self._step_kl_coef = adapt_coefficient(
                self._step_kl_coef, divergence=facts["kl_step"], target=self.objective.step_kl
            )
        if self.ranks.sharded:
            collect_weights(self.model, self.policy if self.ranks.leads else None)
        sums, work = self.ranks.sum_facts(sums), self.ranks.sum_facts(work)
        computed, given = work.values.get("computed", 0.0), work.values.get("given", 0.0)
        return (
            sums.means()
            | facts
            | {
                "loss": work.values["loss"] / len(norms),
                "grad_norm": float(np.mean(norms)),
                "optimizer_steps": float(len(norms)),
                "tokens_computed": computed * len(norms) / len(minibatches),
                "tokens_shared": max(0.0, 1.0 - computed / given) if given else 0.0,
            }
        )

    def _cut(self, rows: Sequence[Row]) -> list[Prepared]:
        """Cut a step's rows for this rank; more ranks than micro-batches make them smaller."""
        budget, world = self.objective.token_budget, self.ranks.world
        cut = list(cut_batch(rows, token_budget=budget, share_prompts=self._share_prompts))
        if len(cut) < world:
            budget = min(budget, -(-sum(micro.tokens for micro in cut) // world))
            cut = list(cut_batch(rows, token_budget=budget, share_prompts=self._share_prompts))
        own = [Prepared(micro.to(self.model.device)) for micro in self.ranks.take(cut)]
        if self.ranks.sharded and len(own) < -(-len(cut) // world):
            # Sharded layers are gathered by all ranks together, so none may leave a pass out.
            idle = replace(cut[0], weight_N=torch.zeros_like(cut[0].weight_N))
            own.append(Prepared(idle.to(self.model.device), counted=False))
        return own

    def _prepare(self, rows: Sequence[Row]) -> list[Prepared]:
        prepared = self._cut(rows)
        several = self.objective.epochs * self.objective.minibatches > 1
        several = several or self.objective.step is Step.TRUST_REGION  # its line search goes back and forth
        several = several or self.objective.adapts  # it is looked at once more when the batch is learnt
        for one in prepared:
            if several:
                one.old_logp_N = self._score_fixed(self.model, one.batch)
            if self._reference is not None and self.objective.penalizes:
                with as_reference(self.model, self._reference) as fixed:
                    one.reference_logp_N = self._score_fixed(fixed, one.batch)
        return prepared

    @torch.no_grad()
    def _score_fixed(self, model: PreTrainedModel, batch: MicroBatch) -> Tensor:
        with computing(model, self._precision, recompute=False):
            return self._score(model, batch).logp_U[batch.token_N]

    def _score(self, model: PreTrainedModel, batch: MicroBatch) -> TokenScores:
        return run_gathered(
            model,
            lambda: score_tokens(
                model,
                batch,
                temperature=self.objective.temperature,
                entropy_gradient=self.objective.entropy_coef != 0.0,
            ),
        )

    def _accumulate(self, minibatch: Sequence[Prepared], parts: int, sums: TokenSums) -> float:
        """Accumulate the gradient of one optimiser step; weights are of the whole batch, hence `parts`."""
        total = 0.0
        for prepared in minibatch:
            loss = self._measure(prepared, sums if prepared.counted else TokenSums()) * parts
            # Sharded gradients are averaged over the ranks, and are to be summed.
            (loss * self.ranks.world if self.ranks.sharded else loss).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return total

    def _measure(self, prepared: Prepared, sums: TokenSums) -> Tensor:
        with computing(self.model, self._precision, recompute=self.objective.recompute):
            scores = self._score(self.model, prepared.batch)
        return measure_loss(scores, prepared, self.objective, step_kl_coef=self._step_kl_coef, sums=sums)

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

    def _move(
        self, minibatch: Sequence[Prepared], rows: Sequence[Row], rehearsal: Sequence[MicroBatch]
    ) -> dict[str, float]:
        """Move along the natural gradient of what was accumulated, inside the trust region."""
        parameters = self._parameters
        gradient_P = join([torch.zeros_like(p) if p.grad is None else p.grad for p in parameters])
        batches = [prepared.batch for prepared in minibatch]
        region = Region(
            self.model,
            batches,
            parameters,
            temperature=self.objective.temperature,
            curved=[one.batch for one in self._cut(thin_rows(rows))],
        )

        @torch.no_grad()
        def measure() -> tuple[float, float]:
            loss = sum(float(self._measure(prepared, TokenSums())) for prepared in minibatch)
            return loss + self._rehearse(rehearsal), region.measure_divergence()

        move = take_step(parameters, gradient_P, region.multiply, measure, limit=self.objective.step_kl)
        return {
            "kl_step": move.divergence,
            "step_fraction": move.fraction,
            "improvement": move.loss_before - move.loss_after,
        }

    @torch.no_grad()
    def _look_back(self, batch: Sequence[Prepared]) -> float:
        """Measure how far the steps so far have led from the batch's start: not the mean of the way there, which begins at 0."""
        sums = TokenSums()
        for prepared in batch:
            self._measure(prepared, sums if prepared.counted else TokenSums())
        return self.ranks.sum_facts(sums).means()["kl_step"]

    def charge_divergence(self, trajectories: Sequence[Trajectory]) -> list[Trajectory]:
        """Charge each turn for its divergence from the reference, where that goes into the reward."""
        objective = self.objective
        if self._reference is None or not objective.kl_coef or objective.kl_place is not KlPlace.REWARD:
            return list(trajectories)
        # This rank does it alone, so with whole weights: such a reference is not shared out.
        policy = self.policy
        return price_divergence(
            trajectories,
            policy,
            policy if self._reference is self.model else self._reference,
            coef=objective.kl_coef,
            kind=objective.kl,
            temperature=objective.temperature,
            token_budget=objective.token_budget,
        )

    def refresh_reference(self) -> None:
        """Make the current policy the reference."""
        if self._reference is self.model:
            raise ValueError("a policy whose reference is itself without its adapter cannot refresh it")
        if self.objective.penalizes:  # or else only this rank asks it
            self.ranks.tell("refresh")
        self._refresh()

    def _refresh(self) -> None:
        if self._reference is not None:
            now = self.model if self.objective.penalizes else self.policy
            self._reference.load_state_dict(now.state_dict())
            self._refreshed = True

    def state_dict(self) -> dict[str, Any]:
        """Give all that a resumed run needs besides the policy's weights: the same however many ranks there are."""
        if self.ranks.sharded:
            self.ranks.tell("gather")
        state = self._gather()
        if self.critic is not None:
            state["critic"] = self.critic.state_dict()
        return state

    def _gather(self) -> dict[str, Any]:
        state = {**self.optimizer.state_dict(), "step_kl_coef": self._step_kl_coef}
        if self._reference is not None and self._refreshed:
            state["reference"] = self._reference.state_dict()
        whole: dict[str, Any] = gather_state(state, keep=self.ranks.leads)
        return whole

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put everything back, on all ranks."""
        rest = dict(state)
        critic = rest.pop("critic", None)
        if self.critic is not None and critic is not None:
            self.critic.load_state_dict(critic)
        if not self.objective.penalizes:  # or else only this rank asks the reference
            self._load_reference(rest.pop("reference", None))
        self.ranks.tell("load", (outline_state(rest) if self.ranks.sharded else rest,))
        self._load(rest)

    def _load(self, state: Mapping[str, Any]) -> None:
        rest = dict(state)
        self._step_kl_coef = rest.pop("step_kl_coef", self._step_kl_coef)
        self._load_reference(rest.pop("reference", None))
        if self.ranks.sharded:
            rest = deal_optimizer(rest, self._parameters)
        self.optimizer.load_state_dict(rest)

    def _load_reference(self, state: Mapping[str, Tensor] | None) -> None:
        if self._reference is not None and state is not None:
            load_weights(state, self._reference)
            self._refreshed = True

    def _limit_norm(self) -> float:
        """Give the gradient's norm, and cut it where AdamW takes the step; a trust region has a limit of its own."""
        self.ranks.sum_gradients(self._parameters)
        free = self.objective.step is Step.TRUST_REGION
        largest = math.inf if free else self.objective.grad_clip
        total = torch.nn.utils.clip_grad_norm_(self._parameters, largest)
        norm = float(total.full_tensor() if isinstance(total, DTensor) else total)
        if not math.isfinite(norm):
            raise DivergedError(
                f"the gradient's norm is {norm}; lower optim.learning_rate (now "
                f"{self.objective.learning_rate}) and resume from the last checkpoint"
            )
        return norm
