"""A run whose processes share the weights out: `milepost train` as a launcher starts it, over gloo."""

import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import distributed
from torch.multiprocessing.spawn import start_processes

from milepost.__main__ import app
from milepost.agents.tiny.model import build_config as build_architecture
from milepost.agents.tiny.model import build_model
from milepost.agents.tiny.tokenizer import build_tokenizer
from milepost.training.learner import Learner
from milepost.training.metrics import read_metrics
from milepost.training.objective import Objective
from milepost.training.policy import UnsupportedModelError
from milepost.training.ranks import SHARDED, Ranks
from milepost.training.shards import deal_optimizer, gather_state, outline_state, run_gathered
from tests.agents.seeing import make_seeing
from tests.training.processes import open_context
from tests.training.trajectories import make_model

RUN = """
[run]
threads = 1
[tasks]
ids = ["CatalogSearch-v0"]
[policy]
model = "{policy}"
max_tokens = 4
[imitation]
episodes = 0
[rollout]
group_size = 2
contexts = 2
[algorithm]
# A random policy earns nothing, but every turn costs it something, and from that it can learn.
flags = ["length_penalty", "horizon"]
kl_coef = 0.1
reference_every = 1
entropy_coef = 0.01
[train]
tasks_per_iteration = 1
[eval]
every = 1
episodes = [0, 1]
"""

RUNS = (
    # folder, processes, whether they share weights out, iterations
    ("replicated", 2, "false", 2),
    ("sharded", 1, "false", 1),
    ("sharded", 2, "true", 2),
)
CHECKPOINT = "000002"
ELSEWHERE = {"elapsed_s", "eta_s", "time", "iterations"}
"""What a record says of the machine and of the command."""
SHARED = {".learner.tokens_computed", ".learner.tokens_shared"}
"""What depends on how many micro-batches there are."""


def work(rank: int, port: int, folder: str) -> None:
    place = {"RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    for name, world, sharded, iterations in RUNS:
        os.environ |= {**place, "WORLD_SIZE": str(world), SHARDED: sharded}
        command = ["train", f"{folder}/run.toml", "--out", f"{folder}/{name}", "--resume"]
        if rank < world:
            app([*command, "--set", f"train.iterations={iterations}"], standalone_mode=False)
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    tokenizer = build_tokenizer(["click", "button", "link", "fill"])
    architecture = build_architecture(len(tokenizer), pad=0, end=tokenizer.eos_token_id)
    build_model(architecture, seed=0).save_pretrained(folder / "policy")
    tokenizer.save_pretrained(folder / "policy")
    (folder / "run.toml").write_text(RUN.format(policy=folder / "policy"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    open_context()
    start_processes(work, args=(port, str(folder)), nprocs=2, start_method="forkserver")  # type: ignore[no-untyped-call]
    return folder


def flatten(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flatten(inner, f"{name}.{key}")
    else:
        yield name, value


def read_facts(run: Path) -> list[dict[str, Any]]:
    flat = [
        dict(flatten({k: v for k, v in record.items() if k not in ELSEWHERE})) for record in read_metrics(run)
    ]
    return [{key: value for key, value in one.items() if key not in SHARED} for one in flat]


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_that_is_sharded_now_and_then_gives_the_numbers_of_one_that_is_not(runs: Path) -> None:
    """Its first iteration is learnt by one process, and the second is sharded, from that one's checkpoint.

    The other way round needs no run: a sharded checkpoint is like any other, says the next test.
    """
    found, expected = read_facts(runs / "sharded"), read_facts(runs / "replicated")
    assert [record[".kind"] for record in found] == ["evaluation", *["iteration"] * 2, "evaluation"]
    for one, other in zip(found, expected, strict=True):
        numbers = {key: value for key, value in other.items() if isinstance(value, int | float)}
        assert {key: one[key] for key in numbers} == pytest.approx(numbers, abs=1e-5)
        assert {**one, **numbers} == other
    for record in found[1:3]:
        assert record[".learner.grad_norm"] > 1e-3
        assert record[".learner.kl_reference"] == pytest.approx(0.0, abs=1e-6)  # the reference follows


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_checkpoint_of_a_sharded_run_is_whole(runs: Path) -> None:
    here, there = (runs / name / "checkpoints" / CHECKPOINT for name in ("sharded", "replicated"))
    assert {path.name for path in here.iterdir()} == {path.name for path in there.iterdir()}
    weights, others = (load_file(place / "model.safetensors") for place in (here, there))
    assert weights.keys() == others.keys()
    for key, tensor in weights.items():
        assert float((tensor - others[key]).abs().mean()) < 1e-5, key
    state, other = (
        torch.load(place / "optimizer.pt", weights_only=True)["optimizer"] for place in (here, there)
    )
    assert state["state"].keys() == other["state"].keys()
    assert state["reference"].keys() == other["reference"].keys()
    for index, entry in state["state"].items():
        assert torch.allclose(entry["exp_avg"], other["state"][index]["exp_avg"], atol=1e-5)
        assert torch.equal(entry["step"], other["state"][index]["step"])


def test_the_outline_of_a_state_has_its_shape_and_its_scalars() -> None:
    tensor = torch.ones(2, 3)
    outline = outline_state({"a": [tensor, 1.5], "b": {"step": torch.tensor(4.0)}})
    assert outline["a"][0].is_meta
    assert (outline["a"][0].shape, outline["a"][1], float(outline["b"]["step"])) == ((2, 3), 1.5, 4.0)


def test_what_nobody_shares_is_whole_already() -> None:
    state = {"moments": (torch.ones(2), 3), "name": "x"}
    assert gather_state(state, keep=False) == state
    assert run_gathered(make_model(), lambda: 7) == 7


def test_the_state_of_another_optimizer_is_refused() -> None:
    state = {"state": {0: {"step": torch.tensor(1.0)}, 3: {}}, "param_groups": []}
    with pytest.raises(ValueError, match="the optimiser has 2 parameters"):
        deal_optimizer(state, [torch.ones(2), torch.ones(3)])


def test_a_policy_that_sees_is_not_shared_out() -> None:
    with pytest.raises(UnsupportedModelError, match="a policy that sees cannot be sharded"):
        Learner(make_seeing("llava")[0], Objective(), ranks=Ranks(sharded=True))
