"""The text tier: a transformer that reads a step as text, with a linear head for each member of the ensemble.

It has the interface of the small tier (`RewardModel`). Any encoder or causal model that `AutoModel` opens will do;
`tiny` is built in and starts from nothing.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from milepost.agents.tiny.model import build_config
from milepost.milestones.learned.ensemble import ModelFormatError
from milepost.milestones.learned.gauge import Gauge, LearnedScore, make_gauge
from milepost.milestones.learned.transition import Transition, find_target
from milepost.sandbox.dialect import parse_action

TINY = "tiny"
"""Name of the built-in transformer, which has random weights before it is fitted."""

_SETTINGS = "reward.json"
_WEIGHTS = "reward.safetensors"
_CHUNK = 32
"""Steps that are read at once."""


_NAME = 40
"""Most characters of a name among what changed or was touched before: a page may write as much as it likes."""


def render_step(transition: Transition) -> str:
    """Write a step as text: goal, action and end, then its target, what changed, what came before, and the page last.

    A limit on tokens cuts from the end, the page first.
    """
    target = find_target(transition.tree, parse_action(transition.action) if transition.action else None)
    changes = [f"{event.kind} {getattr(event.fact, 'name', '')[:_NAME]}" for event in transition.changes]
    lines = (
        _render_head(transition),
        f"on: {target.line if target is not None else ''}",
        f"then: {'; '.join(change.strip() for change in changes[:8])}",
        f"before: {'; '.join(text[:_NAME] for text in transition.touched[-8:])}",
        f"page: {transition.tree}",
    )
    return "\n".join(lines)


def _render_head(transition: Transition) -> str:
    """Write what no limit may cut."""
    return "\n".join(
        (
            f"goal: {transition.goal}",
            f"action: {transition.action or 'unreadable'}",
            f"end: {'yes' if transition.last else 'no'}",
        )
    )


@dataclass(slots=True, kw_only=True, eq=False)
class TextModel:
    """A transformer's trunk, K heads on the mean of its last hidden states, and their calibration."""

    trunk: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    head_KH: torch.Tensor
    mask_KH: torch.Tensor
    """Which hidden features each head sees."""
    max_tokens: int
    """Of one step; what does not fit is cut, the page first, but never goal or action."""
    gauge: Gauge
    templates: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Hash of the weights and the calibration (hex sha256)."""
        found = hashlib.sha256(orjson.dumps(self.gauge.numbers))
        for name, tensor in sorted(self.trunk.state_dict().items()):
            found.update(name.encode() + tensor.detach().cpu().float().numpy().tobytes())
        for array in self._arrays().values():
            found.update(array.numpy().tobytes())
        return found.hexdigest()

    def encode(self, transitions: Sequence[Transition]) -> torch.Tensor:
        """Give the mean hidden state of each step, shape (steps, hidden).

        Raises:
            ValueError: goal and action alone have more tokens than a step may have.
        """
        texts = [render_step(transition) for transition in transitions]
        for transition in transitions:
            if len(self.tokenizer(_render_head(transition))["input_ids"]) > self.max_tokens:
                raise ValueError(
                    f"a step's goal and action need more than the {self.max_tokens} tokens a step may have; "
                    "raise max_tokens"
                )
        batch = self.tokenizer(
            texts, padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
        ).to(self.trunk.device)
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
        hidden_TLH: torch.Tensor = self.trunk(**inputs).last_hidden_state
        mask_TL1 = inputs["attention_mask"][..., None].to(hidden_TLH.dtype)
        mean_TH: torch.Tensor = (hidden_TLH * mask_TL1).sum(1) / mask_TL1.sum(1)
        return mean_TH.float()

    def reward_hidden(self, hidden_TH: torch.Tensor) -> torch.Tensor:
        """Give each head's reward, shape (heads, steps)."""
        rewards_KT: torch.Tensor = torch.einsum("th,kh->kt", hidden_TH, self.head_KH * self.mask_KH)
        return rewards_KT

    def encode_episode(self, transitions: Sequence[Transition]) -> torch.Tensor:
        """Give the mean hidden states of an episode, a few steps at a time and without gradients."""
        with torch.inference_mode():
            parts = [
                self.encode(transitions[n : n + _CHUNK]).cpu() for n in range(0, len(transitions), _CHUNK)
            ]
        return torch.cat(parts) if parts else torch.zeros(0, self.head_KH.shape[1])

    def score_steps(self, transitions: Sequence[Transition]) -> NDArray[np.float64]:
        """Give each member's reward for each step, shape (members, steps)."""
        hidden_TH = self.encode_episode(transitions)
        return self.reward_hidden(hidden_TH).detach().double().numpy()

    def score_episode(self, transitions: Sequence[Transition]) -> LearnedScore:
        """Score a whole episode; one without steps is unfamiliar."""
        return self.score_hidden(self.encode_episode(transitions))

    def score_hidden(self, hidden_TH: torch.Tensor) -> LearnedScore:
        """Score an episode by its mean hidden states, shape (steps, hidden)."""
        rewards_KT = self.reward_hidden(hidden_TH).detach().double().numpy()
        return self.gauge.read(rewards_KT, hidden_TH.double().numpy())

    def save(self, folder: Path) -> None:
        """Write trunk, tokenizer, heads and calibration into a folder; nothing in it can run."""
        self.trunk.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        save_file(self._arrays(), folder / _WEIGHTS)
        settings = {**self.gauge.numbers, "max_tokens": self.max_tokens, "templates": list(self.templates)}
        (folder / _SETTINGS).write_bytes(orjson.dumps(settings, option=orjson.OPT_INDENT_2))

    def _arrays(self) -> dict[str, torch.Tensor]:
        heads = {
            "head_KH": self.head_KH.detach().cpu().contiguous(),
            "mask_KH": self.mask_KH.cpu().contiguous(),
        }
        return {**heads, **{name: torch.tensor(array) for name, array in self.gauge.arrays.items()}}


def load_text_model(folder: Path) -> TextModel:
    """Read a stored model.

    Raises:
        ModelFormatError: the folder holds none, or a broken one.
    """
    try:
        settings: dict[str, Any] = orjson.loads((folder / _SETTINGS).read_bytes())
        arrays = load_file(folder / _WEIGHTS)
        trunk, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        return TextModel(
            trunk=trunk.eval(),
            tokenizer=tokenizer,
            head_KH=arrays["head_KH"],
            mask_KH=arrays["mask_KH"],
            max_tokens=int(settings["max_tokens"]),
            gauge=make_gauge({**settings, **{name: array.numpy() for name, array in arrays.items()}}),
            templates=tuple(settings["templates"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as broken:
        raise ModelFormatError(
            f"{folder} holds no text reward model: {broken}; train one with: "
            "milepost reward-model train --tier text"
        ) from None


def open_trunk(source: str, *, seed: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Open a transformer without its head: the built-in one, or what a path or name holds.

    Raises:
        ModelFormatError: it cannot be opened.
    """
    try:
        if source != TINY:
            return AutoModel.from_pretrained(source), _pad(AutoTokenizer.from_pretrained(source))
        folder = resources.files("milepost.agents") / "tiny"
        tokenizer = _pad(AutoTokenizer.from_pretrained(str(folder)))
        config = build_config(len(tokenizer), pad=tokenizer.pad_token_id, end=tokenizer.eos_token_id)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return AutoModel.from_config(config), tokenizer  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as broken:
        raise ModelFormatError(f"{source!r} is no model that can be opened: {broken}") from None


def _pad(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Pad on the right, with the end token where a tokenizer has no padding of its own."""
    tokenizer.padding_side = "right"
    tokenizer.truncation_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
