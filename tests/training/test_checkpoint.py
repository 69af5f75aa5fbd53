import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import orjson
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from milepost.agents.tiny.tokenizer import build_tokenizer
from milepost.training.batch import Row
from milepost.training.checkpoint import (
    CheckpointError,
    TrainState,
    find_latest,
    list_checkpoints,
    read_state,
    restore_optimizer,
    restore_rng,
    save_checkpoint,
)
from milepost.training.learner import Learner
from milepost.training.objective import Objective
from tests.training.trajectories import make_model

OBJECTIVE = Objective(learning_rate=1e-2, weight_decay=0.1, epochs=2, minibatches=2)
TOKENIZER = build_tokenizer(["click"])


def make_state(iteration: int, rng: np.random.Generator | None = None) -> TrainState:
    return TrainState(
        iteration=iteration,
        policy_version=iteration,
        elapsed_s=1.5,
        sampler={"next": {"A": 3}, "success": {}, "turn": 0},
        rng=dict((rng or np.random.default_rng(0)).bit_generator.state),
        metrics_bytes=10,
        config={"run": {"seed": 0}},
        digest="d",
    )


def save(
    directory: Path, learner: Learner, iteration: int, *, rng: np.random.Generator | None = None
) -> Path:
    return save_checkpoint(
        directory,
        state=make_state(iteration, rng),
        model=learner.model,
        tokenizer=TOKENIZER,
        optimizer=learner.optimizer,
    )


def draw_rows(iteration: int) -> list[Row]:
    rng = np.random.default_rng([3, iteration])
    return [
        Row(
            prompt_ids=tuple(rng.integers(2, 40, size=6).tolist()),
            completion_ids=tuple(rng.integers(2, 40, size=3).tolist()),
            sampler_logps=(-3.0, -3.0, -3.0),
            advantage=float(rng.normal()),
            weight=0.05,
        )
        for _ in range(8)
    ]


def flat(model: PreTrainedModel) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_a_resumed_learner_ends_with_the_same_parameters_to_the_last_bit(tmp_path: Path) -> None:
    whole, rng = Learner(make_model(), OBJECTIVE), np.random.default_rng(1)
    for iteration in range(6):
        whole.update(draw_rows(iteration), rng)

    first, rng = Learner(make_model(), OBJECTIVE), np.random.default_rng(1)
    for iteration in range(3):
        first.update(draw_rows(iteration), rng)
    checkpoint = save(tmp_path, first, 3, rng=rng)

    state = read_state(checkpoint)
    second = Learner(AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32), OBJECTIVE)
    restore_optimizer(checkpoint, second.optimizer)
    rng = np.random.default_rng(99)
    restore_rng(rng, state.rng)
    for iteration in range(state.iteration, 6):
        second.update(draw_rows(iteration), rng)
    assert torch.equal(flat(whole.model), flat(second.model))


def test_a_checkpoint_is_a_model_folder_with_its_tokenizer(tmp_path: Path) -> None:
    learner = Learner(make_model(), OBJECTIVE)
    checkpoint = save(tmp_path, learner, 7)
    assert checkpoint.name == "000007"
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    assert tokenizer.encode("click") == TOKENIZER.encode("click")
    assert torch.equal(flat(AutoModelForCausalLM.from_pretrained(checkpoint)), flat(learner.model))


def test_the_state_reads_back_with_the_generators_large_integers(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    state = make_state(4, rng)
    checkpoint = save(tmp_path, Learner(make_model(), OBJECTIVE), 4, rng=rng)
    assert read_state(checkpoint) == state


def test_torchs_random_state_comes_back(tmp_path: Path) -> None:
    learner = Learner(make_model(), OBJECTIVE)
    checkpoint = save(tmp_path, learner, 1)
    expected = torch.rand(3)
    torch.rand(5)
    restore_optimizer(checkpoint, learner.optimizer)
    assert torch.equal(torch.rand(3), expected)


def test_only_the_newest_checkpoints_are_kept_and_latest_points_to_the_last(tmp_path: Path) -> None:
    learner = Learner(make_model(), OBJECTIVE)
    for iteration in (5, 10, 15):
        save(tmp_path, learner, iteration)
    assert [p.name for p in list_checkpoints(tmp_path)] == ["000010", "000015"]
    assert find_latest(tmp_path) == tmp_path / "000015"


def test_what_an_interrupted_write_left_behind_is_no_checkpoint(tmp_path: Path) -> None:
    save(tmp_path, Learner(make_model(), OBJECTIVE), 5)
    (tmp_path / ".draft-000010").mkdir()
    (tmp_path / "000010").mkdir()
    (tmp_path / "latest").write_text("000010\n")
    assert find_latest(tmp_path) == tmp_path / "000005"


def test_no_checkpoint_is_found_where_there_is_none(tmp_path: Path) -> None:
    assert find_latest(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "is not a checkpoint"), (b'{"format": 99}', "has format 99"), (b'{"format": 1}', "lacks config")],
)
def test_a_broken_state_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "state.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_state(tmp_path)


def test_a_broken_optimizer_file_is_refused(tmp_path: Path) -> None:
    learner = Learner(make_model(), OBJECTIVE)
    checkpoint = save(tmp_path, learner, 1)
    (checkpoint / "optimizer.pt").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="cannot be used"):
        restore_optimizer(checkpoint, learner.optimizer)


@pytest.fixture
def full_disk() -> Iterator[Callable[[], None]]:
    """From its call on no file may have over 20 kB: what a full disk does, without filling one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The interpreter ignores the signal that comes with it.
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_checkpoint_that_does_not_fit_is_reported_and_the_one_before_stays(
    tmp_path: Path, full_disk: Callable[[], None]
) -> None:
    learner = Learner(make_model(), OBJECTIVE)
    save(tmp_path, learner, 5)
    full_disk()
    with pytest.raises(CheckpointError, match="checkpoint 000010 could not be written") as caught:
        save(tmp_path, learner, 10)
    assert f"the last complete one is {tmp_path / '000005'}" in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["000005", "latest"]
    assert orjson.loads((tmp_path / "000005" / "state.json").read_bytes())["iteration"] == 5
