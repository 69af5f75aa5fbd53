"""Episodes on other machines: a Ray cluster of two nodes, simulated on this one."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from milepost.agents.agent import Agent, Decision
from milepost.agents.llm import save_policy
from milepost.agents.scripted import OracleAgent
from milepost.envs.registry import get_template
from milepost.envs.task import Split
from milepost.milestones.audit import audit_run
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool
from milepost.training.backends.backend import BackendError
from milepost.training.backends.cluster import ClusterBackend
from milepost.training.backends.local import LocalBackend
from milepost.training.rollout import Rollout
from milepost.training.trajectory import EpisodeRequest, Status, Trajectory
from tests.agents.seeing import make_seeing

TASKS = ("ReportExport-v0", "ExpenseForm-v0")


def build_requests(count: int) -> list[EpisodeRequest]:
    return [
        EpisodeRequest(task_id=TASKS[n % 2], seed=n, split="train", group=str(n), member=0, sampling_seed=n)
        for n in range(count)
    ]


def ask_oracle(request: EpisodeRequest) -> OracleAgent:
    return OracleAgent(get_template(request.task_id).task(request.seed, Split(request.split)).oracle)


def facts(trajectories: list[Trajectory]) -> list[Trajectory]:
    return [replace(t, wall_s=0.0) for t in trajectories]


def test_a_head_that_does_not_listen_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(BackendError, match=r"no Ray cluster can be reached at 127.*ray start --head"):
            asyncio.run(ClusterBackend(contexts=2).start())


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(BackendError, match=r'pip install "milepost\[ray\]"'):
        ClusterBackend(contexts=2)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    import ray  # noqa: PLC0415 (takes seconds, and only these tests need it)
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    nodes.add_node(num_cpus=2)
    ray.init(address=nodes.address, log_to_driver=False)
    yield ray
    ray.shutdown()
    nodes.shutdown()


def locate_workers(ray: Any, backend: ClusterBackend) -> list[tuple[int, str]]:
    """Give each worker's process id and node."""

    def tell(worker: object) -> tuple[int, str]:
        return os.getpid(), ray.get_runtime_context().get_node_id()

    located: list[tuple[int, str]] = ray.get([h.__ray_call__.remote(tell) for h in backend._handles])
    return located


class Killer:
    """Plays the oracle; once, after its first action, it kills a worker's process."""

    def __init__(self, agent: Agent, kill: "list[int]") -> None:
        self._agent = agent
        self._kill = kill
        self._acted = 0

    async def act(self, observation: Observation) -> Decision:
        self._acted += 1
        if self._acted == 2 and self._kill:
            os.kill(self._kill.pop(), signal.SIGKILL)
        return await self._agent.act(observation)


RUN = """
[run]
threads = 1
[tasks]
ids = ["ExpenseForm-v0"]
[policy]
temperature = 0.6
[imitation]
episodes = 0
[rollout]
group_size = 4
contexts = 2
[train]
iterations = 1
tasks_per_iteration = 2
[eval]
episodes = [0, 2]
temperature = 0.0
"""

TIMINGS = {"elapsed_s", "eta_s", "time"}


def train(folder: Path, engine: str, backend: str, *more: str) -> list[dict[str, Any]]:
    """Train with one file by the command; give its metrics, without those of time."""
    config, out = folder / "run.toml", folder / f"{engine}-{backend}"
    config.write_text(RUN)
    command = [sys.executable, "-m", "milepost", "train", str(config), "--out", str(out)]
    for choice in (f"policy.engine={engine}", f"rollout.backend={backend}", *more):
        command += ["--set", choice]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert audit_run(out).clean
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    iterations = ["iteration"] * (len(lines) - 2)
    assert [line["kind"] for line in lines] == ["evaluation", *iterations, "evaluation"]
    return [{key: value for key, value in line.items() if key not in TIMINGS} for line in lines]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the file gives with nothing but this process and its browsers."""
    return train(tmp_path_factory.mktemp("here"), "transformers", "local")


@pytest.mark.ray
@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_one_file_trains_the_same_on_a_cluster(
    here: list[dict[str, Any]], cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.get_runtime_context().gcs_address)
    found = train(tmp_path, "transformers", "ray")
    assert found == here
    assert found[1]["learner"]["rows_learnt"] > 0


@pytest.mark.vllm
@pytest.mark.browser
@pytest.mark.timeout(1800)
def test_one_file_trains_with_vllm(here: list[dict[str, Any]], tmp_path: Path) -> None:
    found = train(tmp_path, "vllm", "local")
    assert found[0] == here[0]  # greedy, with the same weights
    assert found[1]["learner"]["rows_learnt"] > 0
    assert abs(found[1]["learner"]["kl_sampler"]) < 1e-4


@pytest.mark.vllm
@pytest.mark.browser
@pytest.mark.timeout(1800)
def test_one_file_trains_a_policy_that_sees_with_vllm(tmp_path: Path) -> None:
    policy = tmp_path / "seeing"
    save_policy(*make_seeing("idefics3"), policy)
    more = (
        f"policy.model={policy}",
        "policy.max_tokens=6",
        "algorithm.entropy_coef=0.01",
        "train.iterations=2",
    )
    here = train(tmp_path, "transformers", "local", *more)
    found = train(tmp_path, "vllm", "local", *more)
    assert found[0] == here[0]  # greedy, with the same weights
    learnt = [line["learner"] for line in found[1:-1]]
    assert len(learnt) == 2
    for facts in learnt:
        assert facts["rows_learnt"] > 0
        assert facts["grad_norm"] > 0
        assert abs(facts["kl_sampler"]) < 1e-4


@pytest.mark.vllm
@pytest.mark.browser
@pytest.mark.timeout(1800)
def test_one_file_trains_with_vllm_on_a_cluster(
    here: list[dict[str, Any]], cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.get_runtime_context().gcs_address)
    found = train(tmp_path, "vllm", "ray")
    assert found[0] == here[0]  # greedy, with the same weights
    assert found[1]["learner"]["rows_learnt"] > 0
    assert abs(found[1]["learner"]["kl_sampler"]) < 1e-4


@pytest.mark.ray
@pytest.mark.browser
@pytest.mark.slow
class TestCluster:
    async def test_two_nodes_play_what_one_machine_plays(self, cluster: Any, tmp_path: Path) -> None:
        remote, here = ClusterBackend(contexts=2), LocalBackend(Pool(contexts=2), contexts=2)
        await remote.start()
        await here.start()
        try:
            far = Rollout(remote, max_inflight=4, directory=tmp_path / "far" / "episodes")
            near = Rollout(here, max_inflight=4)
            assert facts(await far.run(build_requests(4), make_agent=ask_oracle)) == facts(
                await near.run(build_requests(4), make_agent=ask_oracle)
            )
            placed = {node for _, node in locate_workers(cluster, remote)}
            assert placed == {node["NodeID"] for node in cluster.nodes()}
        finally:
            await remote.close()
            await here.close()
        report = audit_run(tmp_path / "far")
        assert (len(report.episodes), report.clean) == (4, True)

    async def test_episodes_of_a_killed_worker_are_begun_again(self, cluster: Any) -> None:
        backend = ClusterBackend(contexts=2)
        await backend.start()
        kill = [locate_workers(cluster, backend)[0][0]]
        rollout = Rollout(backend, max_inflight=2, retries=3)
        try:
            played = await rollout.run(
                build_requests(6), make_agent=lambda request: Killer(ask_oracle(request), kill)
            )
        finally:
            await backend.close()
        assert kill == []
        assert [t.seed for t in played] == list(range(6))
        assert all(t.success for t in played if t.scored)
        assert rollout.meter.retries >= 1
        assert {t.status for t in played} <= {Status.FINISHED, Status.INFRASTRUCTURE}
        assert sum(t.scored for t in played) >= 5
