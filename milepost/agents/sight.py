"""How a vision-language policy sees: a screenshot becomes tokens and pixels through the model's own processor.

A picture stands in the prompt as placeholder tokens, whose embeddings the model replaces by what its vision tower
makes of the pixels. Engine and learner take the pixels of a picture from here, so both compute with the same numbers.
"""

import inspect
import io
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from PIL import Image
from transformers import PreTrainedModel, ProcessorMixin

from milepost.agents.prompt import MAX_ELEMENTS, Message, defuse, render_messages
from milepost.sandbox.marks import encode_image
from milepost.sandbox.observation import Observation

_ATTRIBUTE = "milepost_sight"
"""Under this name a model carries its sight, so that copies of the model see too."""

_OF_THE_TEXT = {"input_ids", "position_ids", "mm_token_type_ids", "token_type_ids"}
"""What a processor gives besides pixels."""

_KEPT = 16
"""Pictures whose pixels are kept: a page of 1024 x 768 takes about 10 to 20 MB."""

SILENT = -1e9
"""Logit of a token that is never sampled; finite, as an entropy multiplies it by its probability of 0."""

_NOTHING: Sequence[Message] = ({"role": "user", "content": "."},)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fold:
    """What a processor writes where a chat template has a picture, and what the template wrote there."""

    lead: int
    """Tokens before the first placeholder that the processor wrote too."""
    tail: int
    """The same after the last one."""
    mark: tuple[int, ...]
    """What stood there before."""


class Sight:
    """The processor of a vision-language model. May be used by several threads."""

    def __init__(self, processor: ProcessorMixin, model: PreTrainedModel) -> None:
        """See for `model` with its own processor.

        Raises:
            ValueError: the model's configuration names no token that stands for a picture, or takes no pixels.
        """
        self._processor: Any = processor
        self._lock = threading.RLock()
        self._seen: OrderedDict[bytes, Mapping[str, torch.Tensor]] = OrderedDict()
        self._fold: _Fold | None = None
        taken = [inspect.signature(m.forward).parameters for m in (model, model.base_model)]
        self._taken = frozenset(taken[0]) & frozenset(taken[1])
        name = type(model).__name__
        if "pixel_values" not in self._taken:
            raise ValueError(f"{name} takes its pictures in another form than pixel_values")
        image_id = getattr(model.config, "image_token_id", getattr(model.config, "image_token_index", None))
        if image_id is None:
            raise ValueError(f"the configuration of {name} names no image_token_id")
        self._image_id = int(image_id)
        named = (getattr(model.config, f"{kind}_token_id", None) for kind in ("image", "video", "audio"))
        self.placeholders = sorted({self._image_id, *(int(token) for token in named if token is not None)})
        """Ids that stand for pictures and the like: a policy that wrote one would claim a picture that is not there, so
        none is ever sampled, and the loss knows none of them."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "Sight":
        """A copy of a model sees with the same eyes."""
        return self

    def encode_observation(
        self, observation: Observation, *, max_elements: int = MAX_ELEMENTS, pictured: bool = True
    ) -> tuple[int, ...]:
        """Give the prompt ids of an observation, its screenshot first; without one the text alone."""
        messages = render_messages(observation, max_elements=max_elements, pictured=True)
        return self.encode(messages, observation.screenshot if pictured else None)

    def encode(self, messages: Sequence[Message], picture: bytes | None) -> tuple[int, ...]:
        """Turn messages into prompt ids, ready for the answer; the picture stands before the text of the last one.

        Text of a page cannot produce a control token, nor a picture.
        """
        return tuple(self.process(messages, picture)["input_ids"][0].tolist())

    def process(self, messages: Sequence[Message], picture: bytes | None) -> dict[str, torch.Tensor]:
        """Give all that the processor makes of messages and a picture: the arguments of the model's forward."""
        tokenizer = self._processor.tokenizer
        texts = [(m["role"], defuse(m["content"], tokenizer)) for m in messages]
        with self._lock:
            try:
                made = self._apply(texts, picture)
            except TemplateError:
                made = self._apply([("user", "\n\n".join(text for _, text in texts))], picture)
            if picture is not None:
                self._keep(picture, {name: made[name] for name in made if name not in _OF_THE_TEXT})
        return made

    def _apply(self, texts: Sequence[tuple[str, str]], picture: bytes | None) -> dict[str, torch.Tensor]:
        made = self._processor.apply_chat_template(
            _compose(texts, picture),
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        )
        # One prompt is not padded, so it needs no mask.
        taken = {"input_ids", *self._taken} - {"attention_mask"}
        return {name: value for name, value in made.items() if name in taken}

    def _keep(self, picture: bytes, pixels: Mapping[str, torch.Tensor]) -> None:
        self._seen[picture] = pixels
        self._seen.move_to_end(picture)
        while len(self._seen) > _KEPT:
            self._seen.popitem(last=False)

    def look(self, picture: bytes) -> Mapping[str, torch.Tensor]:
        """Give a picture's pixels and what else the model's forward wants to know of it, with a leading axis for one."""
        with self._lock:
            if picture not in self._seen:
                self.process(_NOTHING, picture)
            self._seen.move_to_end(picture)
            return self._seen[picture]

    def fold(self, ids: Sequence[int]) -> tuple[int, ...]:
        """Give a prompt as its chat template wrote it, with one mark in place of all that stands for its picture.

        Servers that make pixels of a picture themselves also put its tokens there themselves.
        """
        places = [place for place, token in enumerate(ids) if token == self._image_id]
        if not places:
            return tuple(ids)
        with self._lock:
            self._fold = self._fold or self._find_fold()
        fold = self._fold
        return (*ids[: places[0] - fold.lead], *fold.mark, *ids[places[-1] + 1 + fold.tail :])

    def _find_fold(self) -> _Fold:
        """Compare what the processor makes of a small picture with what its chat template says alone."""
        texts, picture = [("user", ".")], encode_image(Image.new("RGB", (64, 48)), "png")
        wide = self._apply(texts, picture)["input_ids"][0].tolist()
        written = self._processor.apply_chat_template(
            _compose(texts, picture), tokenize=False, add_generation_prompt=True
        )
        tokenizer = self._processor.tokenizer
        begun = tokenizer.bos_token is not None and written.startswith(tokenizer.bos_token)
        narrow = tokenizer(written, add_special_tokens=not begun)["input_ids"]
        places = [place for place, token in enumerate(wide) if token == self._image_id]
        before, after = wide[: places[0]], wide[places[-1] + 1 :]
        same = _count_equal(before, narrow)
        end = _count_equal(after[::-1], narrow[same:][::-1])
        return _Fold(
            lead=len(before) - same, tail=len(after) - end, mark=tuple(narrow[same : len(narrow) - end])
        )

    def mark(self, ids_ST: torch.Tensor) -> dict[str, torch.Tensor]:
        """Say which tokens stand for a picture, to models that ask."""
        kinds_ST = (ids_ST == self._image_id).long()
        return {name: kinds_ST for name in ("mm_token_type_ids", "token_type_ids") if name in self._taken}

    def count_text(self, ids: Sequence[int]) -> int:
        """Count the tokens that stand for no picture."""
        return sum(token not in self.placeholders for token in ids)

    def silence(self, logits_RV: torch.Tensor) -> torch.Tensor:
        """Give the placeholders no probability."""
        return logits_RV.index_fill(1, torch.tensor(self.placeholders, device=logits_RV.device), SILENT)

    def save(self, folder: Path) -> None:
        """Write the processor, its tokenizer included, beside a model."""
        self._processor.save_pretrained(folder)


def give_sight(model: PreTrainedModel, processor: ProcessorMixin) -> Sight:
    """Let a vision-language model see through a processor."""
    sight = Sight(processor, model)
    setattr(model, _ATTRIBUTE, sight)
    return sight


def find_sight(model: PreTrainedModel) -> Sight | None:
    """Give how a model sees; None for a model that reads text only."""
    sight: Sight | None = getattr(model, _ATTRIBUTE, None)
    return sight


def decode_picture(picture: bytes) -> Image.Image:
    """Decode a picture as every processor gets it."""
    return Image.open(io.BytesIO(picture)).convert("RGB")


def _compose(texts: Sequence[tuple[str, str]], picture: bytes | None) -> list[dict[str, Any]]:
    """Give texts with their roles as chat templates want them, the picture before the last one."""
    chat: list[dict[str, Any]] = [
        {"role": role, "content": [{"type": "text", "text": text}]} for role, text in texts
    ]
    if picture is not None:
        chat[-1]["content"] = [{"type": "image", "image": decode_picture(picture)}, *chat[-1]["content"]]
    return chat


def _count_equal(one: Sequence[int], other: Sequence[int]) -> int:
    """Count the tokens at which two sequences begin alike."""
    return next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
