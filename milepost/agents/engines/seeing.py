"""How the engine runs a vision-language model token by token.

Prompts are read one at a time, without padding: pictures differ in size, and where a token stands after one is the
model's own affair. From then on the rows go on together.
"""

from collections.abc import Sequence

import torch
from torch.nn.functional import pad
from transformers import DynamicCache, PreTrainedModel

from milepost.agents.engines.decoding import CachedDecoder, Decoder, make_decoder
from milepost.agents.sight import Sight, find_sight


def choose_decoder(model: PreTrainedModel, pictures: Sequence[bytes | None]) -> Decoder:
    """Choose the decoder for a model and the pictures of its prompts, None where there is none."""
    sight = find_sight(model)
    return make_decoder(model) if sight is None else SeeingDecoder(model, sight, pictures)


class SeeingDecoder:
    """Reads prompts with pictures, then continues them as text."""

    def __init__(self, model: PreTrainedModel, sight: Sight, pictures: Sequence[bytes | None]) -> None:
        """Decode with `model`; `pictures` are those of the prompts to come, None where there is none."""
        self._model = model
        self._sight = sight
        self._pictures = pictures
        self._rest = CachedDecoder(model)

    def start(self, prompts: Sequence[Sequence[int]], room: int) -> torch.Tensor:
        """Read the prompts; give the next token's logits, shape (R, V)."""
        caches: list[DynamicCache] = []
        places: list[int] = []
        logits: list[torch.Tensor] = []
        for prompt, picture in zip(prompts, self._pictures, strict=True):
            cache, place, logits_1V = self._read(prompt, picture)
            caches.append(cache)
            places.append(place)
            logits.append(logits_1V)
        longest = max(map(len, prompts))
        mask_RT = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
        device = self._model.device
        self._rest.take_over(_stack(caches, longest), mask_RT.to(device), torch.tensor(places, device=device))
        return self._sight.silence(torch.cat(logits))

    def _read(self, prompt: Sequence[int], picture: bytes | None) -> tuple[DynamicCache, int, torch.Tensor]:
        """Give the cache of one prompt, the position of its next token, and that token's logits."""
        cache = DynamicCache()
        ids_1T = torch.tensor([list(prompt)], device=self._model.device)
        pixels = {} if picture is None else self._sight.look(picture)
        out = self._model(
            input_ids=ids_1T,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            **{name: value.to(self._model.device) for name, value in pixels.items()},
            **self._sight.mark(ids_1T),
        )
        # Positions of several dimensions grow more slowly over a picture; the model keeps by how much.
        shift = getattr(self._model.base_model, "rope_deltas", None) if picture is not None else None
        place = len(prompt) + (0 if shift is None else int(shift.item()))
        logits_1V: torch.Tensor = out.logits[:, -1]
        return cache, place, logits_1V

    def select(self, rows: Sequence[int]) -> None:
        """Go on with these rows only."""
        self._rest.select(rows)

    def advance(self, ids: Sequence[int]) -> torch.Tensor:
        """Add one token to every row; give the next token's logits, shape (R, V)."""
        return self._sight.silence(self._rest.advance(ids))


def _stack(caches: Sequence[DynamicCache], longest: int) -> DynamicCache:
    """Put the caches of single prompts into one, padded on the left.

    Raises:
        ValueError: the model keeps something else than the keys and values of all tokens.
    """
    stacked = DynamicCache()
    for index in range(len(caches[0].layers)):
        parts: dict[str, list[torch.Tensor]] = {"keys": [], "values": []}
        for cache in caches:
            for name, found in parts.items():
                kept_1HTE = getattr(cache.layers[index], name, None)
                if kept_1HTE is None or kept_1HTE.ndim != 4:
                    raise ValueError(
                        f"layer {index} keeps no keys and values ({type(cache.layers[index]).__name__}); pictures are "
                        "served for models with full attention in every layer"
                    )
                found.append(pad(kept_1HTE, (0, 0, longest - kept_1HTE.shape[2], 0)))
        stacked.update(torch.cat(parts["keys"]), torch.cat(parts["values"]), index)
    return stacked
