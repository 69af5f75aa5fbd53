"""A critic: a network of its own that says what is still to come in each state a token is drawn in."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from milepost.training.attention import share_beginnings
from milepost.training.batch import MicroBatch, Row, cut_batch
from milepost.training.config import Config
from milepost.training.losses import value_loss
from milepost.training.policy import encode_tokens
from milepost.training.scoring import score_rows


class Critic:
    """A copy of the policy's trunk with a linear head, trained by AdamW on returns.

    It shares no weights with the policy, so their gradients cannot get into each other's way. The head starts at 0,
    so the first values are 0 and the first advantages are returns.
    """

    def __init__(
        self, policy: PreTrainedModel, *, learning_rate: float, token_budget: int, grad_clip: float = 1.0
    ) -> None:
        """Copy a policy's trunk.

        Args:
            policy: whose weights it starts from.
            learning_rate: of AdamW.
            token_budget: most tokens of a micro-batch.
            grad_clip: largest gradient norm.
        """
        self.trunk: PreTrainedModel = copy.deepcopy(policy).eval()  # type: ignore[no-untyped-call]
        self.trunk.requires_grad_(True)
        size = policy.get_output_embeddings().weight.shape[1]  # type: ignore[no-untyped-call]
        self.head = torch.nn.Linear(size, 1, device=policy.device, dtype=policy.dtype)
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)
        self._token_budget = token_budget
        self._grad_clip = grad_clip
        self._share_prompts = share_beginnings(policy)
        self._parameters = [*self.trunk.base_model.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.AdamW(self._parameters, lr=learning_rate, weight_decay=0.0)

    def _score(self, batch: MicroBatch) -> Tensor:
        value_U1: Tensor = self.head(encode_tokens(self.trunk, batch))
        return value_U1.float()[:, 0]

    def value_rows(self, rows: Sequence[Row]) -> list[list[float]]:
        """Give the value of the state before each token of each row."""
        return score_rows(
            self._score,
            rows,
            token_budget=self._token_budget,
            share_prompts=self._share_prompts,
            device=self.trunk.device,
        )

    def update(
        self,
        rows: Sequence[Row],
        returns: Sequence[Sequence[float]],
        old_values: Sequence[Sequence[float]],
        *,
        clip: float | None = None,
        epochs: int = 1,
    ) -> float:
        """Fit the values to returns, and give the mean loss of a token on the last pass.

        Args:
            rows: the batch.
            returns: for each token, fixed over all passes.
            old_values: for each token, as they were when the returns were made.
            clip: see `value_loss`.
            epochs: passes; each is one step of the optimiser.
        """
        if not rows:
            return 0.0
        place = {id(row): index for index, row in enumerate(rows)}
        tokens = sum(len(row.completion_ids) for row in rows)
        loss = 0.0
        for _ in range(epochs):
            loss = 0.0
            for micro in cut_batch(rows, token_budget=self._token_budget, share_prompts=self._share_prompts):
                batch = micro.to(self.trunk.device)
                return_N = self._lay_out(batch, returns, place)
                old_N = self._lay_out(batch, old_values, place)
                value_N = self._score(batch)[batch.token_N]
                part = value_loss(value_N, return_N, old_N, clip=clip).sum() / tokens
                part.backward()  # type: ignore[no-untyped-call]
                loss += float(part.detach())
            torch.nn.utils.clip_grad_norm_(self._parameters, self._grad_clip)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        return loss

    def _lay_out(
        self, batch: MicroBatch, values: Sequence[Sequence[float]], place: Mapping[int, int]
    ) -> Tensor:
        flat = [value for row in batch.rows for value in values[place[id(row)]]]
        return torch.tensor(flat, dtype=torch.float32, device=self.trunk.device)

    def state_dict(self) -> dict[str, Any]:
        """Give weights and optimiser."""
        return {
            "trunk": self.trunk.state_dict(),
            "head": self.head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put weights and optimiser back."""
        self.trunk.load_state_dict(state["trunk"])
        self.head.load_state_dict(state["head"])
        self.optimizer.load_state_dict(state["optimizer"])


def build_critic(policy: PreTrainedModel, config: Config) -> Critic | None:
    """Make the critic that a configuration needs; None when its advantage needs none."""
    if not config.algorithm.advantage.needs_critic:
        return None
    optim = config.optim
    return Critic(
        policy,
        learning_rate=optim.learning_rate,
        token_budget=optim.token_budget,
    )
