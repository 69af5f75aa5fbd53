"""Measures a policy, whatever it is, on held-out tasks."""

import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from milepost.agents.agent import Agent, Sampling
from milepost.agents.chat import ChatAgent
from milepost.agents.engines.choice import check_engine
from milepost.agents.engines.openai import SCHEME, ChatEndpoint, parse_endpoint
from milepost.agents.engines.transformers import TransformersEngine
from milepost.agents.llm import LLMAgent, load_policy
from milepost.agents.scripted import OracleAgent, RandomAgent
from milepost.agents.sight import find_sight
from milepost.envs.registry import get_template
from milepost.envs.task import Split
from milepost.milestones.tiers import Tiers
from milepost.sandbox.pool import Pool
from milepost.training.arena import Arena, Limits, unwrap
from milepost.training.backends.local import LocalBackend
from milepost.training.checkpoint import find_latest
from milepost.training.config import RewardSection, load_config
from milepost.training.display import SilentDisplay
from milepost.training.evaluation import Score, plan_evaluation, summarize
from milepost.training.records import EPISODES_FOLDER
from milepost.training.rollout import MakeAgent, Rollout
from milepost.training.run import CONFIG_FILE
from milepost.training.trajectory import EpisodeRequest, Trajectory
from milepost.training.verifiers import check_reward, open_tiers

CHAT_TOKENS = 512
"""Longest reply of a chat endpoint: such models may think before they answer."""

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


def load_agent(policy: str, *, temperature: float, seed: int) -> LLMAgent:
    """Load a policy that plays one episode in this process; `policy` as `find_model` takes it.

    Raises:
        CheckpointError: the run's checkpoint cannot be read.
        ModelLoadError: the policy cannot be loaded.
    """
    model, tokenizer = load_policy(find_model(policy))
    engine = TransformersEngine(model, tokenizer)
    sampling = Sampling(temperature=temperature, seed=seed)
    return LLMAgent(engine, tokenizer, sampling, sight=find_sight(model))


def read_reward(path: Path, task_ids: Sequence[str]) -> RewardSection:
    """Read who scores out of a configuration, or out of the folder of a run, and check it for some tasks.

    Raises:
        ConfigError: there is no such file, or as `check_reward`.
    """
    config = load_config(path / CONFIG_FILE if path.is_dir() else path)
    tasks = config.tasks.model_copy(update={"ids": list(task_ids)})
    check_reward(config.model_copy(update={"tasks": tasks}))
    return config.reward


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
    engine: str = "transformers",
    reward: RewardSection | None = None,
) -> Score:
    """Play a policy on seeds of a split, one after the other.

    Args:
        policy: `oracle`, `random`, `tiny`, the path of a model, a checkpoint or a run, or `openai:MODEL@URL` for a
            model behind a chat endpoint, whose key is read from the environment.
        task_ids: the templates.
        split: `train`, `validation` or `test`.
        episodes: seeds of each template.
        first_seed: the first of them.
        temperature: sampling temperature of a model; 0 is greedy.
        contexts: browser contexts at once.
        folder: where the episodes are recorded (`<folder>/episodes/`); None records nothing.
        engine: what serves a model that is loaded here, see `make_engine`.
        reward: who scores; rules alone by default.

    Raises:
        ConfigError: a tier cannot be used as it is set up.
        EngineError: the engine or the endpoint failed.
        UnknownTaskError: a task id is not known.
        ModelLoadError: the policy cannot be loaded.
        ValueError: an unknown split.
    """
    reward = reward or RewardSection()
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
        return summarize(await _play(_scripted_agents(policy), requests, contexts, folder, reward))
    if policy.startswith(SCHEME):
        endpoint = parse_endpoint(policy, os.environ)
        async with ChatEndpoint(endpoint, rng=np.random.default_rng(0)) as chat:
            agents = _chat_agents(chat, temperature)
            return summarize(await _play(agents, requests, contexts, folder, reward))
    model, tokenizer = load_policy(find_model(policy))
    limits = Limits(contexts=contexts, max_inflight=contexts + contexts // 2, engine=check_engine(engine))
    async with Arena(
        model,
        tokenizer,
        limits=limits,
        run=folder,
        display=SilentDisplay(),
        tiers=_open_tiers(reward, folder),
    ) as arena:
        played = await arena.play(
            "evaluation", requests, arena.policy_agents(temperature), record=folder is not None
        )
    return summarize(played.trajectories)


@asynccontextmanager
async def _open_tiers(reward: RewardSection, folder: Path | None) -> AsyncIterator[Tiers]:
    """Open who scores; verdicts are kept beside the episodes, or nowhere."""
    with tempfile.TemporaryDirectory() as nowhere:
        async with open_tiers(reward, folder or Path(nowhere)) as tiers:
            yield tiers


def _scripted_agents(policy: str) -> MakeAgent:
    def make_agent(request: EpisodeRequest) -> Agent:
        if policy == "random":
            return RandomAgent(np.random.default_rng(request.sampling_seed))
        return OracleAgent(get_template(request.task_id).task(request.seed, Split(request.split)).oracle)

    return make_agent


def _chat_agents(chat: ChatEndpoint, temperature: float) -> MakeAgent:
    def make_agent(request: EpisodeRequest) -> Agent:
        sampling = Sampling(temperature=temperature, max_tokens=CHAT_TOKENS, seed=request.sampling_seed)
        return ChatAgent(chat, sampling)

    return make_agent


async def _play(
    make_agent: MakeAgent,
    requests: Sequence[EpisodeRequest],
    contexts: int,
    folder: Path | None,
    reward: RewardSection,
) -> list[Trajectory]:
    pool = Pool(contexts=contexts)
    directory = folder / EPISODES_FOLDER if folder is not None else None
    try:
        async with _open_tiers(reward, folder) as tiers:
            backend = LocalBackend(pool, contexts=contexts)
            rollout = Rollout(backend, max_inflight=contexts, tiers=tiers, directory=directory)
            return await unwrap(rollout.run(requests, make_agent=make_agent))
    finally:
        await pool.close()
