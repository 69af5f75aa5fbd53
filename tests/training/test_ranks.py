"""Two processes learn what one does: gloo on this machine's processor."""

import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import distributed
from torch.distributed.tensor import DTensor
from torch.multiprocessing.spawn import start_processes

from milepost.agents.llm import load_policy
from milepost.training.adapters import attach_adapter
from milepost.training.algorithm import KlPlace
from milepost.training.config import build_config
from milepost.training.follower import check_ranks, follow
from milepost.training.learner import Learner
from milepost.training.objective import Objective, build_objective
from milepost.training.overrides import ConfigError
from milepost.training.ranks import Ranks, join_ranks
from tests.training.processes import open_context
from tests.training.test_learner import ROWS
from tests.training.trajectories import make_model, make_trajectory, make_turn

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CONFIG = build_config({}, ["optim.token_budget=16", "run.threads=1"])
EPISODES = [make_trajectory([make_turn(), make_turn(completion=(7, 9, 3))], member=m) for m in range(2)]
OBJECTIVE = Objective(learning_rate=1e-2, kl_coef=0.1, importance_cap=0.0, minibatches=2, token_budget=16)


@dataclass(frozen=True)
class Case:
    """A way to learn that two processes should not change."""

    objective: Objective = OBJECTIVE
    lora_rank: int = 0


CASES = {
    "plain": Case(),
    "adapter, layers computed again": Case(replace(OBJECTIVE, recompute=True), lora_rank=2),
    "a reference that prices rewards": Case(replace(OBJECTIVE, kl_place=KlPlace.REWARD)),
}
WAYS = [("plain", False), *((name, True) for name in CASES)]


def learn(ranks: Ranks, case: Case) -> dict[str, Any] | None:
    """Take two batches, with the state saved and loaded between them; rank 0 gives the orders, and what came out."""
    # The others begin with weights of their own, which rank 0's replace.
    model, reference = make_model(seed=0 if ranks.leads else 7), make_model(seed=1 if ranks.leads else 8)
    if case.lora_rank:
        attach_adapter(model, case.lora_rank, seed=0 if ranks.leads else 7)
        reference = model
    learner = Learner(model, case.objective, reference=reference, ranks=ranks)
    gradients: list[torch.Tensor] = []

    def note(*_: object) -> None:
        found = [p.grad for p in learner.model.parameters() if p.grad is not None]
        gradients.append(
            torch.cat([(g.full_tensor() if isinstance(g, DTensor) else g).flatten() for g in found])
        )

    learner.optimizer.register_step_pre_hook(note)
    if not ranks.leads:
        learner.follow()
        return None
    charged = learner.charge_divergence(EPISODES)
    first = learner.update(ROWS, np.random.default_rng(0))
    if not case.lora_rank:
        learner.refresh_reference()
    state = learner.state_dict()
    saved = {"keys": sorted(state), "moments": flatten(state["state"])}
    learner.load_state_dict(state)
    second = learner.update(ROWS[:2], np.random.default_rng(1))
    charged += learner.charge_divergence(EPISODES)
    ranks.tell("stop")
    return {
        "facts": [first, second],
        "gradient": gradients[0],
        "weights": flatten(learner.policy.state_dict()),
        "state": saved,
        "prices": [trajectory.ret for trajectory in charged],
    }


def flatten(tree: Any) -> torch.Tensor:
    """Join the tensors of a nested state in the order of its keys."""
    if isinstance(tree, torch.Tensor):
        return tree.detach().flatten()
    return torch.cat([flatten(tree[key]) for key in sorted(tree)])


def work(rank: int, port: int, folder: str) -> None:
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    torch.set_num_threads(1)
    ranks = join_ranks()
    for name, sharded in WAYS:
        found = learn(replace(ranks, sharded=sharded), CASES[name])
        if found is not None:
            torch.save(found, Path(folder) / f"{name} {sharded}")
    processes = [0, 0]
    distributed.all_gather_object(processes, os.getpid())
    if ranks.leads:
        torch.save(lead_built_in(ranks, others=processes[1:]), Path(folder) / "run")
    else:
        follow(CONFIG, ranks)
    distributed.destroy_process_group()


def lead_built_in(ranks: Ranks, others: Sequence[int] = ()) -> dict[str, float]:
    """Do what a run does when it begins, learns a batch and is over; the others hear that they should stop before."""
    model = load_policy("tiny")[0]
    ranks.tell("begin")
    learner = Learner(model, build_objective(CONFIG), ranks=ranks)
    for process in others:
        os.kill(process, signal.SIGTERM)
        os.kill(process, signal.SIGINT)
    facts = learner.update(ROWS, np.random.default_rng(0))
    ranks.tell("stop")
    return facts


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    open_context()
    start_processes(work, args=(port, str(folder)), nprocs=2, start_method="forkserver")  # type: ignore[no-untyped-call]
    return folder


@pytest.mark.parametrize(("name", "sharded"), WAYS)
def test_two_processes_take_the_steps_of_one(name: str, sharded: bool, two: Path) -> None:
    found, alone = torch.load(two / f"{name} {sharded}"), learn(Ranks(), CASES[name])
    assert alone is not None
    gradient = alone["gradient"]
    assert float((found["gradient"] - gradient).norm() / gradient.norm()) < 1e-5
    # AdamW's first steps are those of a sign, which rounding turns where a gradient is next to nothing.
    assert float((found["weights"] - alone["weights"]).abs().mean()) < 1e-6
    for one, expected in zip(found["facts"], alone["facts"], strict=True):
        assert one.keys() == expected.keys()
        for fact in ("loss", "grad_norm", "entropy", "rows_learnt", "optimizer_steps"):
            assert one[fact] == pytest.approx(expected[fact], abs=1e-4), fact
    assert found["facts"][0]["loss"] == pytest.approx(alone["facts"][0]["loss"], abs=1e-5)


@pytest.mark.parametrize(("name", "sharded"), WAYS)
def test_what_is_saved_and_what_rank_0_asks_alone_is_whole(name: str, sharded: bool, two: Path) -> None:
    found, alone = torch.load(two / f"{name} {sharded}"), learn(Ranks(), CASES[name])
    assert alone is not None
    assert found["state"]["keys"] == alone["state"]["keys"]
    assert ("reference" in found["state"]["keys"]) == (CASES[name].lora_rank == 0)
    moments = alone["state"]["moments"]
    assert float((found["state"]["moments"] - moments).norm() / moments.norm()) < 1e-5
    assert found["prices"] == pytest.approx(alone["prices"], abs=1e-5)
    if CASES[name].objective.kl_place is KlPlace.REWARD:
        assert 0.0 not in found["prices"]
    else:
        facts = [[one["kl_reference"] for one in result["facts"]] for result in (found, alone)]
        assert facts[0] == pytest.approx(facts[1], abs=1e-5)


def test_a_follower_loads_the_policy_of_the_run_and_stops_when_rank_0_says_so(two: Path) -> None:
    found, alone = torch.load(two / "run"), lead_built_in(Ranks())
    assert found["loss"] == pytest.approx(alone["loss"], abs=1e-5)
    assert found["grad_norm"] == pytest.approx(alone["grad_norm"], rel=1e-5)
    assert found["rows_learnt"] == alone["rows_learnt"] == 7


def test_what_several_processes_cannot_do_is_refused() -> None:
    with pytest.raises(ConfigError, match="preferences are learnt by one process"):
        check_ranks(build_config({}, ["preference.method=dpo"]), Ranks(world=2))
    check_ranks(CONFIG, Ranks(world=2, sharded=True))


def test_a_process_without_a_launcher_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join_ranks() == Ranks()
    assert Ranks().take([1, 2, 3]) == [1, 2, 3]
    assert Ranks(rank=1, world=2).take([1, 2, 3]) == [2]


def test_a_meeting_place_that_is_taken_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for name, value in (
            ("RANK", "0"),
            ("WORLD_SIZE", "2"),
            ("MASTER_ADDR", "127.0.0.1"),
            ("MASTER_PORT", port),
        ):
            monkeypatch.setenv(name, value)
        with pytest.raises(ConfigError, match=rf"cannot meet at 127\.0\.0\.1:{port}: .*--master-port"):
            join_ranks()
    monkeypatch.delenv("MASTER_PORT")
    with pytest.raises(ConfigError, match=r"cannot meet at 127\.0\.0\.1:\?: .*MASTER_PORT"):
        join_ranks()
