import numpy as np
import pytest
import torch

from milepost.training import precision
from milepost.training.learner import Learner
from milepost.training.objective import Objective
from milepost.training.precision import choose_precision, computes_bfloat16, computing
from tests.training.test_learner import ROWS
from tests.training.trajectories import make_model

CPU = torch.device("cpu")


def learn(objective: Objective) -> tuple[torch.Tensor, float]:
    learner = Learner(make_model(), objective)
    facts = learner.update(ROWS, np.random.default_rng(0))
    return torch.cat([p.detach().flatten() for p in learner.model.parameters()]), facts["grad_norm"]


def test_layers_that_are_computed_again_give_the_same_weights() -> None:
    kept, _ = learn(Objective(learning_rate=1e-2))
    again, _ = learn(Objective(learning_rate=1e-2, recompute=True))
    assert torch.allclose(kept, again, atol=1e-7)


def test_layers_that_are_computed_again_keep_less() -> None:
    def count(recompute: bool) -> int:
        model, sizes = make_model(), list[int]()

        def note(tensor: torch.Tensor) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with (
            torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
            computing(model, "float32", recompute=recompute),
        ):
            model(input_ids=torch.arange(2, 30)[None], use_cache=False)
        assert not any(module.training for module in model.modules())
        return sum(sizes)

    assert count(True) < count(False) / 3


def test_half_precision_is_refused_where_it_is_imitated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "computes_bfloat16", lambda device: False)
    with pytest.warns(UserWarning, match="no instructions for bfloat16"):
        assert choose_precision("bfloat16", CPU) == "float32"
    assert choose_precision("float32", CPU) == "float32"
    monkeypatch.setattr(precision, "computes_bfloat16", lambda device: True)
    assert choose_precision("bfloat16", CPU) == "bfloat16"
    assert isinstance(computes_bfloat16(CPU), bool)


def test_half_precision_computes_in_half_and_learns_in_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, norm = learn(Objective(learning_rate=1e-2))
    monkeypatch.setattr(precision, "computes_bfloat16", lambda device: True)
    half, half_norm = learn(Objective(learning_rate=1e-2, precision="bfloat16"))
    assert half.dtype == torch.float32
    assert half_norm == pytest.approx(norm, rel=0.05)
    assert half_norm != norm
    assert not torch.equal(half, whole)
