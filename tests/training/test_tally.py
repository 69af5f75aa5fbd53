import torch

from milepost.training.tally import TokenSums


def test_means_are_over_all_tokens() -> None:
    sums = TokenSums()
    sums.add(2, ratio=torch.tensor([1.0, 2.0]))
    sums.add(1, ratio=torch.tensor([6.0]), entropy=torch.tensor([3.0]))
    assert sums.means() == {"ratio": 3.0, "entropy": 1.0}
    other = TokenSums()
    other.add(1, entropy=torch.tensor([1.0]), clip=torch.tensor([8.0]))
    sums.join(other)
    assert sums.means() == {"ratio": 2.25, "entropy": 1.0, "clip": 2.0}
    assert TokenSums().means() == {}
