"""Checks that what is served is what was sent: a few log-probabilities, by the engine and by the policy itself.

New weights can arrive in part, or beside a cache of the old ones, without any error. Then only the numbers tell.
"""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from milepost.agents.engines.bounds import Bounds
from milepost.agents.engines.engine import EngineError, Fault

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


@torch.inference_mode()
def score_completion(
    model: PreTrainedModel, prompt_ids: Sequence[int], completion_ids: Sequence[int], temperature: float = 1.0
) -> list[float]:
    """Give the policy's own log-probabilities of a completion (nats), by one plain pass."""
    ids_1T = torch.tensor([[*prompt_ids, *completion_ids]], device=model.device)
    logits_TV = model(input_ids=ids_1T, use_cache=False).logits[0, len(prompt_ids) - 1 : -1]
    logps_TV = torch.log_softmax(logits_TV.float() / temperature, dim=-1)
    ids_T1 = ids_1T[0, len(prompt_ids) :, None]
    return [float(x) for x in logps_TV.gather(1, ids_T1)[:, 0]]


def compare(
    model: PreTrainedModel, prompt_ids: Sequence[int], completion_ids: Sequence[int], logps: Sequence[float]
) -> float:
    """Compare an engine's log-probabilities with the policy's.

    Returns:
        The mean absolute difference (nats).

    Raises:
        EngineError: it is larger than rounding explains.
    """
    own = score_completion(model, prompt_ids, completion_ids)
    found = float(np.mean([abs(a - b) for a, b in zip(own, logps, strict=True)]))
    allowed = TOLERANCE.get(model.dtype, max(TOLERANCE.values()))
    if not found <= allowed:
        raise EngineError(
            f"the engine does not serve the policy's weights: the log-probabilities of a probe differ by {found:.3g} "
            f"on average, and rounding explains {allowed:g}; training on its samples would be wrong",
            Fault.WEIGHTS,
        )
    return found
