"""Measures a policy, whatever it is, on held-out tasks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from milepost.agents.agent import Agent
from milepost.agents.llm import load_policy
from milepost.agents.scripted import OracleAgent, RandomAgent
from milepost.envs.registry import get_template
from milepost.envs.task import Split
from milepost.sandbox.pool import Pool
from milepost.training.arena import Arena, Limits
from milepost.training.backends.local import LocalBackend
from milepost.training.checkpoint import find_latest
from milepost.training.display import SilentDisplay
from milepost.training.evaluation import Score, plan_evaluation, summarize
from milepost.training.records import EPISODES_FOLDER
from milepost.training.rollout import Rollout
from milepost.training.trajectory import EpisodeRequest, Trajectory

SCRIPTED = ("oracle", "random")
"""Policies that are no models."""


def find_model(policy: str) -> str:
    """Give what to load: the newest checkpoint of a run folder, else the name as it is.

    Raises:
        CheckpointError: the run's checkpoint cannot be read.
    """
    checkpoints = Path(policy) / "checkpoints"
    latest = find_latest(checkpoints) if checkpoints.is_dir() else None
    return policy if latest is None else str(latest)


async def measure_policy(
    policy: str,
    task_ids: Sequence[str],
    *,
    split: str,
    episodes: int,
    first_seed: int = 0,
    temperature: float = 0.0,
    contexts: int = 8,
    folder: Path | None = None,
) -> Score:
    """Play a policy on seeds of a split, one after the other.

    Args:
        policy: `oracle`, `random`, `tiny`, or the path of a model, a checkpoint or a run.
        task_ids: the templates.
        split: `train`, `validation` or `test`.
        episodes: seeds of each template.
        first_seed: the first of them.
        temperature: sampling temperature of a model; 0 is greedy.
        contexts: browser contexts at once.
        folder: where the episodes are recorded (`<folder>/episodes/`); None records nothing.

    Raises:
        UnknownTaskError: a task id is not known.
        ModelLoadError: the policy cannot be loaded.
        ValueError: an unknown split.
    """
    ids = [get_template(task_id).id for task_id in task_ids]
    requests = plan_evaluation(
        ids,
        split=Split(split).value,
        episodes=episodes,
        run_seed=0,
        phase=f"eval-{split}",
        first_seed=first_seed,
    )
    if policy in SCRIPTED:
        return summarize(await _play_scripted(policy, requests, contexts, folder))
    model, tokenizer = load_policy(find_model(policy))
    limits = Limits(contexts=contexts, max_inflight=contexts + contexts // 2)
    async with Arena(model, tokenizer, limits=limits, run=folder, display=SilentDisplay()) as arena:
        played = await arena.play(
            "evaluation", requests, arena.policy_agents(temperature), record=folder is not None
        )
    return summarize(played.trajectories)


async def _play_scripted(
    policy: str, requests: Sequence[EpisodeRequest], contexts: int, folder: Path | None
) -> list[Trajectory]:
    def make_agent(request: EpisodeRequest) -> Agent:
        if policy == "random":
            return RandomAgent(np.random.default_rng(request.sampling_seed))
        return OracleAgent(get_template(request.task_id).task(request.seed, Split(request.split)).oracle)

    pool = Pool(contexts=contexts)
    directory = folder / EPISODES_FOLDER if folder is not None else None
    try:
        backend = LocalBackend(pool, contexts=contexts)
        return await Rollout(backend, max_inflight=contexts, directory=directory).run(
            requests, make_agent=make_agent
        )
    finally:
        await pool.close()
