import torch

from milepost.training.muon import Muon, orthogonalize


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_singular_values_come_close_to_one_and_directions_stay() -> None:
    for rows, columns in ((8, 8), (6, 16), (16, 6)):
        matrix_RC = draw(rows, columns)
        left_RK, _, right_KC = torch.linalg.svd(matrix_RC, full_matrices=False)
        found_RC = orthogonalize(matrix_RC[None])[0]
        core_KK = left_RK.mT @ found_RC @ right_KC.mT
        values_K = core_KK.diagonal()
        assert float(values_K.min()) > 0.5
        assert float(values_K.max()) < 1.3
        assert torch.allclose(core_KK, torch.diag(values_K), atol=1e-4)


def test_a_gradient_of_zero_moves_nothing() -> None:
    assert torch.equal(orthogonalize(torch.zeros(2, 3, 4)), torch.zeros(2, 3, 4))


def test_steps_are_those_of_torch_up_to_its_precision() -> None:
    shapes = ((8, 8), (16, 8), (8, 16), (8, 8))
    own = [torch.nn.Parameter(draw(*shape, seed=i)) for i, shape in enumerate(shapes)]
    other = [torch.nn.Parameter(p.detach().clone()) for p in own]
    mine = Muon(own, lr=0.02)
    theirs = torch.optim.Muon(other, lr=0.02, weight_decay=0.0, momentum=0.95)
    for step in range(4):
        for i, (a, b) in enumerate(zip(own, other, strict=True)):
            a.grad = draw(*a.shape, seed=100 * step + i)
            b.grad = a.grad.clone()
        mine.step()
        theirs.step()  # type: ignore[no-untyped-call]
    for i, (a, b) in enumerate(zip(own, other, strict=True)):
        moved, expected = a.detach() - draw(*a.shape, seed=i), b.detach() - draw(*b.shape, seed=i)
        assert float((moved - expected).norm() / expected.norm()) < 0.02  # bfloat16 has 8 bits


def test_a_matrix_without_a_gradient_stays() -> None:
    still = torch.nn.Parameter(draw(4, 4))
    before = still.detach().clone()
    Muon([still], lr=0.02).step()
    assert torch.equal(still, before)
