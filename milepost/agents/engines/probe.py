"""Checks that what is served is what was sent: a few log-probabilities, by the engine and by the policy itself.

New weights can arrive in part, or beside a cache of the old ones, without any error. Then only the numbers tell.
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from milepost.agents.engines.bounds import Bounds
from milepost.agents.engines.engine import EngineError, Fault
from milepost.agents.sight import Sight, find_sight
from milepost.sandbox.marks import encode_image

COMPLETION = 8
"""Tokens that are compared."""

PROMPT = 300
"""Length of the prompt: longer than two blocks of any prefix cache, so that a stale one shows."""

TOLERANCE = {torch.float32: 2e-3, torch.bfloat16: 6e-2, torch.float16: 2e-2}
"""Mean difference of log-probabilities (nats) that rounding explains, by the precision of the policy."""


def make_probe(bounds: Bounds) -> tuple[int, ...]:
    """Draw the prompt of a model's probe: always the same ids."""
    length = max(1, min(PROMPT, bounds.longest - COMPLETION))
    ids = np.random.default_rng(0).integers(bounds.vocabulary, size=length)
    return tuple(int(i) for i in ids)


def make_seen_probe(
    bounds: Bounds, sight: Sight, tokenizer: PreTrainedTokenizerBase
) -> tuple[tuple[int, ...], bytes]:
    """Draw the prompt of a probe that a model must see to answer, and the picture in it: noise, always the same."""
    drawn = np.random.default_rng(0)
    picture = encode_image(Image.fromarray(drawn.integers(256, size=(48, 64, 3), dtype=np.uint8)), "png")
    words = make_probe(bounds)
    while True:
        text = str(tokenizer.decode(list(words), skip_special_tokens=True))
        ids = sight.encode([{"role": "user", "content": text}], picture)
        if len(ids) + COMPLETION <= bounds.longest or not words:
            return ids, picture
        words = words[: len(words) // 2]


@torch.inference_mode()
def score_completion(
    model: PreTrainedModel,
    prompt_ids: Sequence[int],
    completion_ids: Sequence[int],
    temperature: float = 1.0,
    picture: bytes | None = None,
) -> list[float]:
    """Give the policy's own log-probabilities of a completion (nats), by one plain pass."""
    ids_1T = torch.tensor([[*prompt_ids, *completion_ids]], device=model.device)
    sight = find_sight(model)
    seen = {} if sight is None else sight.mark(ids_1T)
    if sight is not None and picture is not None:
        seen |= {name: value.to(model.device) for name, value in sight.look(picture).items()}
    logits_TV = model(input_ids=ids_1T, use_cache=False, **seen).logits[0, len(prompt_ids) - 1 : -1]
    if sight is not None:
        logits_TV = sight.silence(logits_TV)
    logps_TV = torch.log_softmax(logits_TV.float() / temperature, dim=-1)
    ids_T1 = ids_1T[0, len(prompt_ids) :, None]
    return [float(x) for x in logps_TV.gather(1, ids_T1)[:, 0]]


def compare(
    model: PreTrainedModel,
    prompt_ids: Sequence[int],
    completion_ids: Sequence[int],
    logps: Sequence[float],
    picture: bytes | None = None,
) -> float:
    """Compare an engine's log-probabilities with the policy's; the picture is the one in the prompt.

    Returns:
        The mean absolute difference (nats).

    Raises:
        EngineError: it is larger than rounding explains.
    """
    own = score_completion(model, prompt_ids, completion_ids, picture=picture)
    found = float(np.mean([abs(a - b) for a, b in zip(own, logps, strict=True)]))
    allowed = TOLERANCE.get(model.dtype, max(TOLERANCE.values()))
    if not found <= allowed:
        raise EngineError(
            f"the engine does not serve the policy's weights: the log-probabilities of a probe differ by {found:.3g} "
            f"on average, and rounding explains {allowed:g}; training on its samples would be wrong",
            Fault.WEIGHTS,
        )
    return found
