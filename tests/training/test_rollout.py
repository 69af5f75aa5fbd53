"""Episodes in a real browser, played by scripted agents."""

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from milepost.agents.agent import Agent, Decision
from milepost.agents.scripted import OracleAgent
from milepost.envs.registry import get_template
from milepost.envs.task import Split
from milepost.milestones.audit import audit_run
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool
from milepost.sandbox.world import Deadlines
from milepost.training.backends.local import LocalBackend
from milepost.training.rollout import Rollout
from milepost.training.trajectory import EpisodeRequest, Status, Trajectory

pytestmark = pytest.mark.browser


@pytest.fixture
async def backend() -> AsyncIterator[LocalBackend]:
    backend = LocalBackend(Pool(contexts=3), contexts=3)
    yield backend
    await backend.close()


class Sleeper:
    """Says what it was told to say."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def act(self, observation: Observation) -> Decision:
        return Decision(text=self._text)


def ask_oracle(request: EpisodeRequest) -> Agent:
    return OracleAgent(get_template(request.task_id).task(request.seed, Split(request.split)).oracle)


def build_requests(count: int, task: str = "ReportExport-v0") -> list[EpisodeRequest]:
    return [
        EpisodeRequest(task_id=task, seed=n, split="train", group=str(n), member=0, sampling_seed=n)
        for n in range(count)
    ]


async def test_trajectories_come_in_the_order_of_their_requests(
    backend: LocalBackend, tmp_path: Path
) -> None:
    done: list[Trajectory] = []
    rollout = Rollout(backend, max_inflight=5, directory=tmp_path / "episodes")
    trajectories = await rollout.run(build_requests(5), make_agent=ask_oracle, on_done=done.append)
    assert [t.seed for t in trajectories] == [0, 1, 2, 3, 4]
    assert all(t.success and t.status is Status.FINISHED and t.ret == 1.75 for t in trajectories)
    assert len(done) == rollout.meter.episodes == 5
    assert rollout.meter.steps == sum(len(t.turns) for t in trajectories)
    report = audit_run(tmp_path)
    assert (len(report.episodes), report.clean) == (5, True)


async def test_named_rewards_and_the_milestones_before_them_are_kept(backend: LocalBackend) -> None:
    [trajectory] = await Rollout(backend, max_inflight=1).run(
        build_requests(1, "CatalogSearch-v0"), make_agent=ask_oracle
    )
    assert trajectory.turns[0].rewards == {"query": 0.25}
    assert trajectory.turns[0].reached == frozenset()
    assert trajectory.turns[1].reached == {"query"}
    assert sum(trajectory.reward_parts.values()) == 1.25


async def test_words_that_are_no_action_cost_steps_and_nothing_else(
    backend: LocalBackend, tmp_path: Path
) -> None:
    [trajectory] = await Rollout(backend, max_inflight=1, directory=tmp_path).run(
        build_requests(1), make_agent=lambda request: Sleeper("I do not know")
    )
    limit = get_template("ReportExport-v0").max_steps
    assert (trajectory.status, len(trajectory.turns)) == (Status.TRUNCATED, limit)
    assert all("no action found" in turn.error for turn in trajectory.turns)
    assert trajectory.scored
    assert trajectory.ret == 0.0
    lines = (tmp_path / trajectory.episode_id / "turns.jsonl").read_bytes().splitlines()
    assert len(lines) == limit
    assert orjson.loads(lines[0])["action"] == "I do not know"


async def test_a_failure_of_the_harness_is_retried_and_then_carried_without_a_score() -> None:
    pool = Pool(contexts=1, deadlines=Deadlines(reset_s=30, step_s=0.2))
    rollout = Rollout(LocalBackend(pool, contexts=1), max_inflight=1, retries=1)
    try:
        [trajectory] = await rollout.run(build_requests(1), make_agent=lambda request: Sleeper("noop(5000)"))
    finally:
        await pool.close()
    assert trajectory.status is Status.TIMEOUT
    assert not trajectory.scored
    assert "longer than 0.2 s" in trajectory.failure
    assert rollout.meter.retries == 1


async def test_at_least_one_episode_is_in_flight(backend: LocalBackend) -> None:
    with pytest.raises(ValueError, match="max_inflight=0"):
        Rollout(backend, max_inflight=0)
