"""Muon: momentum whose every update is made orthogonal (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import torch

_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of the Newton-Schulz iteration of Jordan et al.: singular values end between about .7 and 1.2."""

_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Muon for small matrices on a CPU: in float32, all matrices of one shape at once.

    `torch.optim.Muon` takes one matrix after the other in bfloat16, which processors without instructions for it
    imitate ten times slower.

    Args:
        params: the matrices.
        lr: learning rate.
        momentum: of Nesterov's kind.
    """

    def __init__(self, params: Iterable[torch.nn.Parameter], *, lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step along the gradients that are there."""
        with torch.no_grad():
            for group in self.param_groups:
                by_shape: dict[torch.Size, list[torch.nn.Parameter]] = defaultdict(list)
                for param in group["params"]:
                    if param.grad is not None:
                        by_shape[param.shape].append(param)
                for params in by_shape.values():
                    self._move(params, group["lr"], group["momentum"])

    def _move(self, params: Sequence[torch.nn.Parameter], lr: float, momentum: float) -> None:
        """Move all matrices of one shape."""
        update_KRC = orthogonalize(torch.stack([self._push(param, momentum) for param in params]))
        rows, columns = params[0].shape
        # A wide matrix's update has the same mean square as a tall one's.
        scale = max(1.0, rows / columns) ** 0.5
        for param, update_RC in zip(params, update_KRC, strict=True):
            param.add_(update_RC, alpha=-lr * scale)

    def _push(self, param: torch.nn.Parameter, momentum: float) -> torch.Tensor:
        """Move the matrix's momentum and give the direction to go."""
        grad = param.grad
        assert grad is not None
        state = self.state[param]
        if not state:
            state["momentum"] = torch.zeros_like(param)
        state["momentum"].lerp_(grad, 1 - momentum)
        return grad.lerp(state["momentum"], momentum)


def orthogonalize(matrix_KRC: torch.Tensor) -> torch.Tensor:
    """Bring the singular values of K matrices close to 1 and keep their directions, shape (K, R, C)."""
    a, b, c = _QUINTIC
    tall = matrix_KRC.shape[1] > matrix_KRC.shape[2]
    x_KRC: torch.Tensor = matrix_KRC.mT if tall else matrix_KRC
    x_KRC = x_KRC / x_KRC.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(_ITERATIONS):
        gram_KRR = x_KRC @ x_KRC.mT
        x_KRC = a * x_KRC + (b * gram_KRR + c * gram_KRR @ gram_KRR) @ x_KRC
    return x_KRC.mT if tall else x_KRC
