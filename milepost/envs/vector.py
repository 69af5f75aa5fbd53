"""Many environments at once: one browser, one loop, every member's step under way at the same time."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, iterate
from numpy.typing import NDArray

from milepost.envs.computer import ComputerEnv

_T = TypeVar("_T")

Reset = tuple[dict[str, Any], dict[str, Any]]
Step = tuple[dict[str, Any], float, bool, bool, dict[str, Any]]


class ComputerVectorEnv(VectorEnv[dict[str, Any], Sequence[str], NDArray[Any]]):
    """A Gymnasium vector environment whose members step concurrently in this process.

    Batched observations are dicts of tuples, one entry a member. `step` waits for all members, as Gymnasium has
    it. Who does not want to wait for the slowest uses the coroutines `reset_member` and `step_member`, from any
    event loop, each member at its own pace.
    """

    def __init__(
        self,
        task: str | Sequence[str],
        *,
        num_envs: int = 1,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        **options: Any,
    ) -> None:
        """Prepare the members; the browser starts at the first reset.

        Args:
            task: template id of all members, or one for each.
            num_envs: how many members.
            autoreset_mode: what happens after a member's episode is over, see Gymnasium.
            options: arguments of every member, see `ComputerEnv`.

        Raises:
            ValueError: no members, or as many tasks as there are no members for.
            UnknownTaskError: no such template; names the nearest.
        """
        tasks = [task] * num_envs if isinstance(task, str) else list(task)
        if num_envs < 1 or len(tasks) != num_envs:
            raise ValueError(f"{len(tasks)} tasks for {num_envs} members; give one task, or one for each")
        self.members = tuple(ComputerEnv(one, **options) for one in tasks)
        # All in one browser: it draws if any member needs it.
        browser = max((member.options for member in self.members), key=lambda one: one.drawn)
        for member in self.members:
            member.options = browser
        self.num_envs = num_envs
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.members[0].metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = self.members[0].render_mode
        self.single_observation_space = self.members[0].observation_space
        self.single_action_space = self.members[0].action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._over = np.zeros(num_envs, dtype=np.bool_)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Open a fresh world for every member, all at once.

        Args:
            seed: of the first member, counted up for the others; or one for each.
            options: for every member, see `ComputerEnv.reset`.
        """
        seeds: Sequence[int | None]
        if seed is None or isinstance(seed, int):
            seeds = [None if seed is None else seed + i for i in range(self.num_envs)]
        else:
            seeds = seed
        if len(seeds) != self.num_envs:
            raise ValueError(f"{len(seeds)} seeds for {self.num_envs} members")
        self._over[:] = False
        work = [m.begin_reset(seed=s, options=options) for m, s in zip(self.members, seeds, strict=True)]
        results = self._gather(work)
        infos: dict[str, Any] = {}
        for i, (_, info) in enumerate(results):
            infos = self._add_info(infos, info, i)
        return self._batch([observation for observation, _ in results]), infos

    def step(
        self, actions: Sequence[str]
    ) -> tuple[dict[str, Any], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Carry out one action text of each member, all at once."""
        texts = list(iterate(self.action_space, actions))
        if len(texts) != self.num_envs:
            raise ValueError(f"{len(texts)} actions for {self.num_envs} members")
        work = [self._advance(i, text) for i, text in enumerate(texts)]
        results = self._gather(work)
        infos: dict[str, Any] = {}
        for i, (_, _, terminated, truncated, info) in enumerate(results):
            infos = self._add_info(infos, info, i)
            self._over[i] = terminated or truncated
        return (
            self._batch([result[0] for result in results]),
            np.array([result[1] for result in results], dtype=np.float64),
            np.array([result[2] for result in results], dtype=np.bool_),
            np.array([result[3] for result in results], dtype=np.bool_),
            infos,
        )

    async def _advance(self, index: int, action: str) -> Step:
        member = self.members[index]
        if self._over[index] and self.autoreset_mode is AutoresetMode.NEXT_STEP:
            observation, info = await member.begin_reset()
            return observation, 0.0, False, False, info
        observation, reward, terminated, truncated, info = await member.begin_step(action)
        if (terminated or truncated) and self.autoreset_mode is AutoresetMode.SAME_STEP:
            final = {"final_obs": observation, "final_info": info}
            observation, info = await member.begin_reset()
            info = {**info, **final}
        return observation, float(reward), terminated, truncated, info

    def _gather(self, work: Sequence[Coroutine[Any, Any, _T]]) -> list[_T]:
        async def gather() -> list[_T]:
            return list(await asyncio.gather(*work))

        return self.members[0].driver.run(gather())

    def _batch(self, observations: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {key: tuple(o[key] for o in observations) for key in observations[0]}

    async def reset_member(
        self, index: int, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> Reset:
        """Open a fresh world for one member, while the others go on."""
        member = self.members[index]
        return await member.driver.hand_over(member.begin_reset(seed=seed, options=options))

    async def step_member(self, index: int, action: str) -> Step:
        """Carry out one member's action, while the others go on; nothing resets itself here."""
        member = self.members[index]
        observation, reward, terminated, truncated, info = await member.driver.hand_over(
            member.begin_step(action)
        )
        return observation, float(reward), terminated, truncated, info

    def render(self) -> tuple[Any, ...] | None:
        """Give every member's page as an array, in mode `rgb_array`."""
        return None if self.render_mode is None else tuple(member.render() for member in self.members)

    def close_extras(self, **_kwargs: Any) -> None:
        """Close the members' episodes; the browser stays warm for other environments."""
        for member in self.members:
            member.close()
