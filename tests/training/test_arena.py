import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from milepost.agents.agent import Agent, Decision, Sampling
from milepost.agents.engines.engine import EngineError
from milepost.agents.prompt import encode_observation
from milepost.agents.tiny.model import build_config, build_model
from milepost.agents.tiny.tokenizer import build_tokenizer
from milepost.milestones.audit import audit_run
from milepost.sandbox.observation import Observation
from milepost.training.arena import Arena, Limits, unwrap
from milepost.training.backends.local import LocalBackend
from milepost.training.display import SilentDisplay
from milepost.training.imitation import demonstrators
from milepost.training.records import list_episodes, read_episode
from milepost.training.sampler import plan_groups
from milepost.training.trajectory import EpisodeRequest, Trajectory

pytestmark = pytest.mark.browser

TOKENIZER = build_tokenizer(["click", "button"])
MODEL = build_model(build_config(len(TOKENIZER), pad=0, end=TOKENIZER.eos_token_id), seed=0)
TASKS: Sequence[tuple[str, int]] = [("ExpenseForm-v0", 0), ("ReportExport-v0", 0), ("CatalogSearch-v0", 0)]


class Counter(SilentDisplay):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def begin(self, label: str, total: int) -> None:
        self.seen.append(f"{label} {total}")

    def advance(self) -> None:
        self.seen.append("done")


def make_arena(run: Path, display: SilentDisplay) -> Arena:
    limits = Limits(contexts=2, max_inflight=2, max_tokens=4)
    return Arena(MODEL, TOKENIZER, limits=limits, run=run, display=display)


async def test_oracles_solve_every_task_and_leave_examples_and_records(tmp_path: Path) -> None:
    display = Counter()
    requests = plan_groups(TASKS, size=1, run_seed=0, phase="imitation")
    async with make_arena(tmp_path, display) as arena:
        played = await arena.play("oracles", requests, demonstrators(TOKENIZER), record=True)
    assert [t.success for t in played.trajectories] == [True] * len(TASKS)
    assert [t.ret for t in played.trajectories] == pytest.approx([1.0] * len(TASKS))
    assert display.seen == [f"oracles {len(TASKS)}", *["done"] * len(TASKS)]
    assert played.speed["steps"] == sum(len(t.turns) for t in played.trajectories)
    folders = list(list_episodes(tmp_path / "episodes", "imitation"))
    assert len(folders) == len(TASKS)
    stored = {folder.name: read_episode(folder).trajectory.turns for folder in folders}
    assert stored == {t.episode_id: t.turns for t in played.trajectories}


async def test_a_policy_plays_with_its_own_tokens_and_a_seed_for_each_episode(tmp_path: Path) -> None:
    requests = plan_groups(TASKS[:1], size=2, run_seed=0, phase="train-0001")
    async with make_arena(tmp_path, SilentDisplay()) as arena:
        first = await arena.play("a", requests, arena.policy_agents(1.0))
        again = await arena.play("a", requests, arena.policy_agents(1.0))
    said = [[turn.completion.completion_ids for turn in t.turns] for t in first.trajectories]
    assert said == [[turn.completion.completion_ids for turn in t.turns] for t in again.trajectories]
    assert said[0] != said[1]
    assert max(len(ids) for turns in said for ids in turns) <= 4
    assert not (tmp_path / "episodes").exists()


async def test_what_is_published_is_served_under_the_next_version_and_nothing_while_at_rest(
    tmp_path: Path,
) -> None:
    arena = make_arena(tmp_path, SilentDisplay())
    arena.first_version = 6
    async with arena:
        async with arena.at_rest():
            request = asyncio.create_task(arena.engine.generate((4, 5), Sampling(max_tokens=1)))
            done, _ = await asyncio.wait({request}, timeout=0.05)
            assert not done
            await arena.publish()
        assert (await request).policy_version == 7


async def test_an_engine_that_cannot_be_had_is_told_before_any_browser_starts(tmp_path: Path) -> None:
    limits = Limits(contexts=1, max_inflight=1, engine="vllm@http://127.0.0.1:9")
    arena = Arena(MODEL, TOKENIZER, limits=limits, run=tmp_path, display=SilentDisplay())
    with pytest.raises(EngineError, match="nothing answers at http://127"):
        await arena.__aenter__()
    with pytest.raises(EngineError, match="the engine is closed"):
        await arena.engine.generate((4, 5), Sampling(max_tokens=1))


class _Broken:
    async def act(self, observation: Observation) -> Decision:
        assert encode_observation(observation, TOKENIZER)
        raise EngineError("the model is gone")


async def test_a_broken_engine_stops_the_phase_with_its_own_error(tmp_path: Path) -> None:
    def make_agent(request: EpisodeRequest) -> Agent:
        return _Broken()

    requests = plan_groups(TASKS[:1], size=2, run_seed=0, phase="x")
    async with make_arena(tmp_path, SilentDisplay()) as arena:
        with pytest.raises(EngineError, match="the model is gone"):
            await arena.play("broken", requests, make_agent)


class _Killer:
    """Plays a task's solution; the first of them kills the browser after its first action."""

    def __init__(self, agent: Agent, arena: Arena, killed: list[int]) -> None:
        self._agent = agent
        self._arena = arena
        self._killed = killed
        self._acted = 0

    async def act(self, observation: Observation) -> Decision:
        self._acted += 1
        if self._acted == 2 and not self._killed:
            assert isinstance(self._arena.backend, LocalBackend)
            self._killed.append(0)  # claimed before anything is awaited: another player may be as far
            browser = await self._arena.backend.pool.warm_up()
            processes = (await browser.connection.send("SystemInfo.getProcessInfo"))["processInfo"]
            (self._killed[0],) = (process["id"] for process in processes if process["type"] == "browser")
            os.kill(self._killed[0], signal.SIGKILL)
        return await self._agent.act(observation)


async def test_a_browser_that_is_killed_in_mid_run_costs_time_and_no_episode(tmp_path: Path) -> None:
    killed: list[int] = []
    solve = demonstrators(TOKENIZER)
    requests = plan_groups(TASKS[:2], size=2, run_seed=0, phase="x")
    async with make_arena(tmp_path, SilentDisplay()) as arena:
        played = await arena.play(
            "killed", requests, lambda request: _Killer(solve(request), arena, killed), record=True
        )
    assert len(killed) == 1
    assert [t.episode_id for t in played.trajectories] == [request.episode_id for request in requests]
    assert all(t.success for t in played.trajectories)
    # Those that ran in it were begun again in the next one.
    assert 1 <= played.speed["retries"] <= 2
    assert audit_run(tmp_path).clean


async def test_a_full_disk_is_told_as_itself() -> None:
    async def record() -> list[Trajectory]:
        full = OSError(28, "No space left on device", "episodes/1/turns.jsonl")
        raise ExceptionGroup("rollout", [ExceptionGroup("group", [full])])

    with pytest.raises(OSError, match=r"No space left on device: 'episodes/1/turns\.jsonl'"):
        await unwrap(record())
