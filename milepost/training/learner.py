"""One batch of rows becomes optimiser steps."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from milepost.training.adapters import as_reference, has_adapter
from milepost.training.algorithm import KlPlace
from milepost.training.attention import share_beginnings
from milepost.training.batch import MicroBatch, Row, cut_batch, deal_rows
from milepost.training.corrections import (
    Correction,
    adapt_coefficient,
    importance_weights,
    off_policy_mask,
)
from milepost.training.critic import Critic
from milepost.training.divergence import price_divergence
from milepost.training.losses import Loss, kl_divergence, policy_loss
from milepost.training.objective import Objective
from milepost.training.policy import check_head, score_tokens
from milepost.training.precision import choose_precision, computing
from milepost.training.ranks import Ranks, shard_model
from milepost.training.tally import TokenSums
from milepost.training.trajectory import Trajectory


class DivergedError(RuntimeError):
    """The loss or its gradient is no longer a number; the optimiser has not taken the step."""


@dataclass(slots=True)
class _Prepared:
    """A micro-batch with what stays fixed over all optimiser steps."""

    batch: MicroBatch
    old_logp_N: Tensor | None = None
    """None: the policy has not changed since, take its own."""
    reference_logp_N: Tensor | None = None
    counted: bool = True
    """False: another rank learns it, and this one keeps step."""


class Learner:
    """Updates a policy's module in place with AdamW."""

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
            ranks: the processes that learn together; this one alone by default. All take rank 0's weights.

        Raises:
            ValueError: a KL term without a reference.
            UnsupportedModelError: the model's head cannot be applied to chosen positions.
        """
        if objective.kl_coef and reference is None:
            raise ValueError(
                f"kl_coef is {objective.kl_coef}: a reference policy is expected, none was given"
            )
        if reference is model and not has_adapter(model):
            raise ValueError("the policy without an adapter cannot be its own reference")
        check_head(model)
        self.model: PreTrainedModel = model.eval()  # type: ignore[no-untyped-call]
        self.objective = objective
        self._share_prompts = share_beginnings(model)
        self.ranks = ranks or Ranks()
        for copied in (model, reference):
            if copied is not None:
                self.ranks.copy_weights(copied)
        if self.ranks.sharded:
            shard_model(model)
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self._parameters,
            lr=objective.learning_rate,
            weight_decay=objective.weight_decay,
            betas=(0.9, 0.95),
        )
        self.critic = critic
        self._reference = reference
        self._refreshed = False
        self._step_kl_coef = objective.step_kl_coef
        self._precision = choose_precision(objective.precision, model.device)

    def update(self, rows: Sequence[Row], rng: np.random.Generator) -> dict[str, float]:
        """Learn from a batch and report `loss, ratio, clip_low, clip_high, kl_step, entropy, ...`.

        Rows without a loss are left out; what the others weigh was fixed before and stays. With none left the
        policy does not change.

        Args:
            rows: the whole batch.
            rng: draws which rows share an optimiser step.

        Raises:
            DivergedError: the loss or its gradient is no longer a number.
        """
        kept = [r for r in rows if self.objective.needs_all_rows or not r.silent]
        facts = {"rows": float(len(rows)), "rows_learnt": float(len(kept))}
        if not kept:
            return facts | {"loss": 0.0, "grad_norm": 0.0, "tokens_computed": 0.0}
        dealt = deal_rows(kept, self.objective.minibatches, rng)
        self.ranks.tell("learn", (dealt,))
        return facts | self._learn(dealt)

    def follow(self) -> None:
        """Learn what rank 0 says, until it has no more: what every other rank does."""
        does: dict[str, Callable[..., object]] = {
            "learn": self._learn,
            "load": self._load,
            "refresh": self._refresh,
        }
        while True:
            order, load = self.ranks.listen()
            if order == "stop":
                return
            does[order](*load or ())

    def _learn(self, dealt: Sequence[Sequence[Row]]) -> dict[str, float]:
        """Take the steps of a batch; every rank learns a part of each."""
        minibatches = [self._prepare(part) for part in dealt]
        sums, work, norms = TokenSums(), TokenSums(), []
        for _ in range(self.objective.epochs):
            for minibatch in minibatches:
                work.count(loss=self._step(minibatch, len(minibatches), sums))
                norms.append(self._apply())
        for minibatch in minibatches:
            for one in filter(lambda one: one.counted, minibatch):
                work.count(computed=one.batch.tokens, given=one.batch.given)
        sums, work = self.ranks.sum_facts(sums), self.ranks.sum_facts(work)
        self._adapt(sums)
        computed, given = work.values["computed"], work.values["given"]
        return sums.means() | {
            "loss": work.values["loss"] / len(norms),
            "grad_norm": float(np.mean(norms)),
            "optimizer_steps": float(len(norms)),
            "tokens_computed": computed * self.objective.epochs,
            "tokens_shared": max(0.0, 1.0 - computed / given),
        }

    def _cut(self, rows: Sequence[Row]) -> list[_Prepared]:
        """Cut a step's rows for this rank; more ranks than micro-batches make them smaller."""
        budget, world = self.objective.token_budget, self.ranks.world
        cut = list(cut_batch(rows, token_budget=budget, share_prompts=self._share_prompts))
        if len(cut) < world:
            budget = min(budget, -(-sum(micro.tokens for micro in cut) // world))
            cut = list(cut_batch(rows, token_budget=budget, share_prompts=self._share_prompts))
        own = [_Prepared(micro.to(self.model.device)) for micro in self.ranks.take(cut)]
        if self.ranks.sharded and len(own) < -(-len(cut) // world):
            # Sharded layers are gathered by all ranks together, so none may leave a pass out.
            idle = replace(cut[0], weight_N=torch.zeros_like(cut[0].weight_N))
            own.append(_Prepared(idle.to(self.model.device), counted=False))
        return own

    def _prepare(self, rows: Sequence[Row]) -> list[_Prepared]:
        prepared = self._cut(rows)
        several = self.objective.epochs * self.objective.minibatches > 1
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
            return self._score(model, batch)[0][batch.token_N]

    def _score(self, model: PreTrainedModel, batch: MicroBatch) -> tuple[Tensor, Tensor]:
        """Give log-probability and entropy of each of the U tokens."""

        def work() -> tuple[Tensor, Tensor]:
            scores = score_tokens(
                model,
                batch,
                temperature=self.objective.temperature,
                entropy_gradient=self.objective.entropy_coef != 0.0,
            )
            return scores.logp_U, scores.entropy_U

        if self.ranks.sharded and model is self.model:
            return model.call(work)  # type: ignore[operator,no-any-return]
        return work()

    def _step(self, minibatch: Sequence[_Prepared], parts: int, sums: TokenSums) -> float:
        """Accumulate the gradient of one optimiser step; weights are of the whole batch, hence `parts`."""
        total = 0.0
        for prepared in minibatch:
            loss = self._loss(prepared, sums if prepared.counted else TokenSums()) * parts
            # Sharded gradients are averaged over the ranks, and are to be summed.
            (loss * self.ranks.world if self.ranks.sharded else loss).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return total

    def _loss(self, prepared: _Prepared, sums: TokenSums) -> Tensor:
        batch, objective = prepared.batch, self.objective
        with computing(self.model, self._precision, recompute=objective.recompute):
            logp_U, entropy_U = self._score(self.model, batch)
        logp_N, entropy_N = logp_U[batch.token_N], entropy_U[batch.token_N]
        old_logp_N = logp_N.detach() if prepared.old_logp_N is None else prepared.old_logp_N
        importance_N = self._correct(old_logp_N, batch)
        policy = policy_loss(
            logp_N,
            old_logp_N,
            batch.advantage_N,
            loss=objective.loss,
            ratio=objective.ratio,
            row_N=batch.row_N,
            clip_low=objective.clip_low,
            clip_high=objective.clip_high,
            dual_clip=objective.dual_clip,
            delta=objective.delta,
            importance_N=importance_N,
        )
        loss_N = policy.loss_N
        if objective.off_policy_threshold is not None:
            loss_N = loss_N * off_policy_mask(
                logp_N,
                batch.sampler_logp_N,
                batch.advantage_N,
                batch.row_N,
                threshold=objective.off_policy_threshold,
            )
        if importance_N is not None and objective.loss is not Loss.VESPO:
            loss_N = loss_N * importance_N
        if prepared.reference_logp_N is not None:
            kl_N = kl_divergence(logp_N, prepared.reference_logp_N, objective.kl)
            corrected = objective.kl_place is KlPlace.CORRECTED_LOSS
            ratio_N = torch.exp((logp_N - old_logp_N).clamp(-20.0, 20.0)) if corrected else 1.0
            loss_N = loss_N + objective.kl_coef * kl_N * ratio_N
            sums.add(0, kl_reference=kl_N)
        if self._step_kl_coef:
            loss_N = loss_N + self._step_kl_coef * kl_divergence(old_logp_N, logp_N)
        if objective.entropy_coef:
            loss_N = loss_N - objective.entropy_coef * entropy_N
        sums.add(
            len(logp_N),
            ratio=policy.ratio_N,
            clip_low=policy.clipped_low_N,
            clip_high=policy.clipped_high_N,
            kl_step=kl_divergence(old_logp_N, logp_N.detach()),
            kl_sampler=kl_divergence(batch.sampler_logp_N, old_logp_N),
            entropy=entropy_N,
        )
        return (loss_N * batch.weight_N).sum()

    def _correct(self, old_logp_N: Tensor, batch: MicroBatch) -> Tensor | None:
        objective = self.objective
        if not objective.importance_cap or objective.correction is Correction.NONE:
            return None
        return importance_weights(
            old_logp_N,
            batch.sampler_logp_N,
            correction=objective.correction,
            cap=objective.importance_cap,
            row_N=batch.row_N,
        )

    def _adapt(self, sums: TokenSums) -> None:
        """Hold the divergence of a batch's steps at its target."""
        coef, target = self._step_kl_coef, self.objective.step_kl_target
        if coef and target:
            self._step_kl_coef = adapt_coefficient(coef, divergence=sums.means()["kl_step"], target=target)

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
        if self._reference is self.model:
            raise ValueError("a policy whose reference is itself without its adapter cannot refresh it")
        self.ranks.tell("refresh")
        self._refresh()

    def _refresh(self) -> None:
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
        """Put everything back, on all ranks."""
        self.ranks.tell("load", (state,))
        self._load(state)

    def _load(self, state: Mapping[str, Any]) -> None:
        rest = dict(state)
        self._step_kl_coef = rest.pop("step_kl_coef", self._step_kl_coef)
        critic, reference = rest.pop("critic", None), rest.pop("reference", None)
        if self.critic is not None and critic is not None:
            self.critic.load_state_dict(critic)
        if self._reference is not None and reference is not None:
            self._reference.load_state_dict(reference)
            self._refreshed = True
        self.optimizer.load_state_dict(rest)

    def _apply(self) -> float:
        self.ranks.sum_gradients(self._parameters)
        total = torch.nn.utils.clip_grad_norm_(self._parameters, self.objective.grad_clip)
        norm = float(total.full_tensor() if isinstance(total, DTensor) else total)
        if not math.isfinite(norm):
            raise DivergedError(
                f"the gradient's norm is {norm}; lower optim.learning_rate (now "
                f"{self.objective.learning_rate}) and resume from the last checkpoint"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norm
