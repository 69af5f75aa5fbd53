"""Plays oracles, spoilt oracles and hacks, and records them like any run: the raw material of preferences."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from milepost.agents.agent import Agent
from milepost.envs.registry import get_template
from milepost.envs.task import NoOracleError, Split
from milepost.milestones import RewardMode
from milepost.sandbox.pool import Pool
from milepost.training.backends.local import LocalBackend
from milepost.training.records import EPISODES_FOLDER
from milepost.training.reward_model.corruption import Play, make_player
from milepost.training.rollout import Rollout
from milepost.training.trajectory import EpisodeRequest, Trajectory

PREFIX = "play-"
"""What the phase of such an episode begins with; the name of the play follows."""

DEFAULT_PLAYS: tuple[Play, ...] = tuple(Play)


def plan_plays(
    task_ids: Sequence[str], *, seeds: Sequence[int], split: str, plays: Sequence[Play] = DEFAULT_PLAYS
) -> list[EpisodeRequest]:
    """List one episode for each task, seed and play; every draw depends on these three alone."""
    return [
        EpisodeRequest(
            task_id=task_id,
            seed=seed,
            split=split,
            group=f"{task_id}:{split}:{seed}",
            member=member,
            sampling_seed=zlib.crc32(f"{task_id}:{seed}:{play.value}".encode()),
            phase=f"{PREFIX}{play.value}",
        )
        for task_id in task_ids
        for seed in seeds
        for member, play in enumerate(plays)
    ]


def seat_player(request: EpisodeRequest) -> Agent:
    """Give the player of a request made by `plan_plays`."""
    play = Play(request.phase.removeprefix(PREFIX))
    oracle = get_template(request.task_id).task(request.seed, Split(request.split)).oracle
    return make_player(play, oracle, np.random.default_rng(request.sampling_seed))


async def collect_plays(
    run: Path, requests: Sequence[EpisodeRequest], *, contexts: int = 4
) -> list[Trajectory]:
    """Play the requests and record the episodes in `run/episodes`.

    Raises:
        UnknownTaskError: a task id is not known.
        NoOracleError: a task has no solution of its own.
    """
    for request in requests:
        get_template(request.task_id)
    pool = Pool(contexts=contexts)
    found: list[Trajectory] = []
    lost = ""
    try:
        await pool.warm_up()
        rollout = Rollout(
            LocalBackend(pool, contexts=contexts, mode=RewardMode.NORMALIZED),
            max_inflight=contexts + 2,
            directory=run / EPISODES_FOLDER,
        )
        found = await rollout.run(requests, make_agent=seat_player)
    except* NoOracleError as errors:
        lost = str(errors.exceptions[0])
    finally:
        await pool.close()
    if lost:
        raise NoOracleError(lost)
    return found
