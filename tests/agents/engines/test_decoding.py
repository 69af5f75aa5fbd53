"""The lean decoder: what a row gets depends on nobody else, to the last bit."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from milepost.agents.agent import Sampling
from milepost.agents.engines.decoding import LeanDecoder, make_decoder
from milepost.agents.engines.transformers import Sampled, sample_batch
from milepost.agents.tiny.model import build_config, build_model

MODEL = build_model(build_config(512, pad=0, end=1), seed=0)
PROMPTS = [
    tuple(np.random.default_rng(n).integers(2, 512, size=size).tolist())
    for n, size in enumerate([9, 33, 40, 5, 71, 16, 64, 23])
]


def sample(which: Sequence[int]) -> list[Sampled]:
    samplings = [Sampling(max_tokens=4 + n, seed=n) for n in which]
    return sample_batch(MODEL, [PROMPTS[n] for n in which], samplings, stops=frozenset({1}))


def multiplies_rows_alike() -> bool:
    """Whether this machine's matrix product gives a row the same bits among any number of four rows and more."""
    generator = torch.Generator().manual_seed(0)
    for inner, outer in ((128, 512), (256, 128)):
        x_NC = torch.randn(64, inner, generator=generator)
        w_DC = torch.randn(outer, inner, generator=generator)
        whole_ND = torch.nn.functional.linear(x_NC, w_DC)
        for n in range(4, 64):
            if not torch.equal(torch.nn.functional.linear(x_NC[:n], w_DC), whole_ND[:n]):
                return False
    return True


@pytest.mark.parametrize("together", [[0], [3, 1], [2, 4, 7], [0, 1, 2, 3, 4], [7, 6, 5, 4, 3, 2, 1, 0]])
def test_a_completion_has_the_same_bits_whoever_it_is_batched_with(together: list[int]) -> None:
    assert isinstance(make_decoder(MODEL), LeanDecoder)
    alone = dict(enumerate(sample(range(len(PROMPTS)))))
    found = sample(together)
    assert [one.ids for one in found] == [alone[n].ids for n in together]
    if multiplies_rows_alike():
        assert [one.logps for one in found] == [alone[n].logps for n in together]
    else:  # a processor whose products depend on how many rows there are
        for one, n in zip(found, together, strict=True):
            assert one.logps == pytest.approx(alone[n].logps, abs=1e-5)
