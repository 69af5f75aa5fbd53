"""The Gymnasium environment: a task in a real browser, stepped with action text."""

import io
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from numpy.typing import NDArray

from milepost.envs.conditions import Conditions
from milepost.envs.driver import Driver
from milepost.envs.episode import Episode, Outcome
from milepost.envs.registry import get_template
from milepost.envs.spaces import EXTRAS, Unicode, observation_space
from milepost.envs.task import Split, Template
from milepost.milestones import RewardMode, read_discount, read_weights
from milepost.milestones.reward import Pay
from milepost.sandbox.browser import BrowserOptions
from milepost.sandbox.dialect import MAX_ACTION_CHARS
from milepost.sandbox.observation import Observation

_SEED_LIMIT = 2**31


class ComputerEnv(gymnasium.Env[dict[str, Any], str]):
    """A computer-use task as a plain Gymnasium environment.

    Observations are dicts of text (`goal`, `url`, `title`, `tabs`, `tree`, `changes`, `dialog`, `files`,
    `last_action`, `last_effect`, `last_error`, `last_text`), actions are text such as `click("12")`.
    `info` carries `milestones` (what fired in this step), `reward_parts` (named rewards of this step),
    `reached`, `success`, `failure`, `mask`, `settled`, and `page_score` (MiniWoB++: the raw reward, once it is
    known; empty before and for other tasks). A failure of the sandbox gives a NaN reward with
    `info["mask"]` true: there is no reward, which is not the same as reward 0.
    """

    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": 4}  # noqa: RUF012 - Gymnasium's own form

    def __init__(
        self,
        task: str | Template,
        *,
        split: str = "train",
        reward_mode: str = "milestones",
        reward_weights: str | Mapping[str, str] = "default",
        reward_discount: str = "1",
        render_mode: str | None = None,
        viewport: tuple[int, int] | None = None,
        extras: Sequence[str] = (),
        actions_per_step: int = 1,
        max_tokens: int | None = None,
        page_time_ms: int | None = None,
        traffic: bool = False,
    ) -> None:
        """Prepare the environment; the browser starts at the first reset.

        Args:
            task: template id, such as `ReportExport-v0`, or a template.
            split: default split of `reset`.
            reward_mode: `milestones`, `normalized`, `outcome`, `components` or `potential`.
            reward_weights: of the five components, in that mode: `default`, `example`, or numbers by component,
                such as `{"nav": "0.1", "ui": "0.2", "form": "0.2", "file": "0.2", "goal": "0.3"}`.
            reward_discount: the learner's own discount, such as "0.99", which mode `potential` needs.
            render_mode: `rgb_array`, `human` (a visible browser), or None.
            viewport: width and height in CSS pixels; those for which the pages are made when None.
            extras: what observations hold on top: `screenshot`, `marks` (a screenshot with numbered marks), `axtree`,
                `dom`. Each costs time at every step.
            actions_per_step: most actions in one message; they are carried out in order, up to the first that fails.
            max_tokens: budget of the tree, estimated at four characters a token; what is left out is counted in
                its place. None shows all.
            page_time_ms: milliseconds that pass on the page in a step, however long the agent thinks; None leaves
                pages the real time. Pages with turns of their own (MiniWoB++) keep those.
            traffic: whether the traffic is kept, for `episode.har()`.

        Raises:
            UnknownTaskError: no such template; names the nearest.
            ValueError: an unknown split, mode, render mode or extra, a number out of its range, or weights or a discount
                that cannot be.
        """
        if render_mode not in (None, "rgb_array", "human"):
            raise ValueError(f"render_mode is rgb_array, human or None, got {render_mode!r}")
        for extra in extras:
            if extra not in EXTRAS:
                raise ValueError(f"unknown extra {extra!r}; expected some of {', '.join(EXTRAS)}")
        self._template = get_template(task) if isinstance(task, str) else task
        self._split = Split(split)
        self._pay = Pay(
            mode=RewardMode(reward_mode),
            weights=read_weights(reward_weights),
            discount=read_discount(reward_discount),
        )
        self._conditions = Conditions(
            viewport=viewport,
            actions_per_step=actions_per_step,
            max_tokens=max_tokens,
            page_time_ms=page_time_ms,
            traffic=traffic,
        )
        self.options = BrowserOptions(
            headed=render_mode == "human",
            drawn=self._template.frames or render_mode is not None or bool(extras),
        )
        """How its browser is started. Pages that need no frames are drawn only if somebody looks at them."""
        self._episode: Episode | None = None
        self.render_mode = render_mode
        self._extras = tuple(extras)
        self._seen: dict[str, Any] = {}
        """What was captured last in this episode, by its kind."""
        self.size = viewport or self._template.viewport
        """Width and height of the viewport."""
        self.observation_space = observation_space(self._extras, viewport=self.size)
        self.action_space = Unicode(max_length=MAX_ACTION_CHARS)

    @property
    def episode(self) -> Episode:
        """The running episode: its task, events and oracle.

        Raises:
            RuntimeError: before the first reset.
        """
        if self._episode is None:
            raise RuntimeError("no episode yet; call reset() first")
        return self._episode

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Open a fresh world.

        Args:
            seed: the task's seed; without one it is drawn from the environment's generator.
            options: `split` (`train`, `validation` or `test`), and `fresh`: whether to make a new world even where the
                page of the last episode could begin anew, or its browser context be emptied, both of which are faster (False).

        Raises:
            ValueError: an unknown option or split.
            SandboxError: the world could not be made.
        """
        return self.driver.run(self.begin_reset(seed=seed, options=options))

    @property
    def driver(self) -> Driver:
        """The thread on whose loop this environment's coroutines run."""
        return Driver.shared(self.options)

    def begin_reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> Coroutine[Any, Any, tuple[dict[str, Any], dict[str, Any]]]:
        """Give the coroutine that does `reset`, for the driver's loop: many environments can be reset at once."""
        super().reset(seed=seed)
        given = dict(options or {})
        split = Split(given.pop("split", self._split))
        fresh = bool(given.pop("fresh", False))
        if given:
            raise ValueError(f"unknown reset options {sorted(given)}; known: ['fresh', 'split']")
        task_seed = int(self.np_random.integers(_SEED_LIMIT)) if seed is None else seed
        return self._reset(task_seed, split, fresh=fresh)

    async def _reset(self, seed: int, split: Split, *, fresh: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        # Chromium's own views of a page number its nodes; in a page that begins anew the numbers go on.
        if fresh or {"axtree", "dom"} & set(self._extras):
            await self._close_episode()
        after, self._episode = self._episode, None
        self._seen.clear()
        self._episode, observation = await Episode.open(
            self.driver.pool,
            self._template,
            seed,
            split,
            pay=self._pay,
            conditions=self._conditions,
            after=after,
            fresh=fresh or bool({"axtree", "dom"} & set(self._extras)),
        )
        return await self._show(observation), self._info(seed=seed, split=split.value)

    async def _show(self, observation: Observation, *, failed: bool = False) -> dict[str, Any]:
        """Give an observation with the extras; a sandbox that failed has none to show."""
        shown = observation.as_dict()
        for extra in self._extras:
            nothing: Any = "" if extra in ("axtree", "dom") else self._blank()
            shown[extra] = nothing if failed else await self._capture(extra, nothing)
        return shown

    async def _capture(self, extra: str, nothing: Any) -> Any:
        """Capture what is shown; a dialog of the browser's blocks the page, which stays as it was last seen."""
        if self.last_observation.dialog is None:
            if extra in ("axtree", "dom"):
                self._seen[extra] = await self.episode.capture(extra)
            else:
                self._seen[extra] = await self._picture(marks=extra == "marks")
        return self._seen.get(extra, nothing)

    async def _picture(self, *, marks: bool = False) -> NDArray[np.uint8]:
        from PIL import Image  # noqa: PLC0415 - pictures are opt-in

        encoded = await self.episode.screenshot("png", marks=marks)
        return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"), dtype=np.uint8)

    def _blank(self) -> NDArray[np.uint8]:
        width, height = self.size
        return np.zeros((height, width, 3), dtype=np.uint8)

    def step(self, action: str) -> tuple[dict[str, Any], SupportsFloat, bool, bool, dict[str, Any]]:
        """Carry out an action text; an action that cannot be done is an error in the observation.

        Raises:
            RuntimeError: before reset, or after the episode is over.
        """
        return self.driver.run(self.begin_step(action))

    async def begin_step(
        self, action: str
    ) -> tuple[dict[str, Any], SupportsFloat, bool, bool, dict[str, Any]]:
        """Do `step` as a coroutine, for the driver's loop."""
        outcome = await self.episode.step(str(action))
        return (
            await self._show(outcome.observation, failed=outcome.failure is not None),
            outcome.reward,
            outcome.terminated,
            outcome.truncated,
            self._info(outcome=outcome),
        )

    def _info(self, *, outcome: Outcome | None = None, **more: Any) -> dict[str, Any]:
        hits = outcome.hits if outcome else ()
        rewards: Mapping[str, Any] = outcome.rewards if outcome else {}
        failed = outcome is not None and outcome.failure is not None
        return {
            "milestones": [
                {
                    "name": h.name,
                    "reward": str(h.reward),
                    "component": h.component,
                    "events": list(h.evidence),
                }
                for h in hits
            ],
            "reward_parts": {name: float(value) for name, value in rewards.items()},
            "reached": sorted(self.episode.reached),
            "success": self.episode.success,
            "failure": outcome.failure.value if outcome and outcome.failure else "",
            "reason": outcome.reason if outcome else "",
            "mask": failed or self.episode.left_open,
            "questions": list(self.episode.questions),
            "settled": self.episode.settled,
            "page_score": self.episode.page_score,
            **more,
        }

    @property
    def last_observation(self) -> Observation:
        """The newest observation as an object, e.g. for `task.oracle`."""
        return self.episode.observation

    def storage_state(self) -> dict[str, Any]:
        """Give the cookies and local storage, as Playwright's `storage_state` has them, for `milepost.make`."""
        return self.driver.run(self.episode.collect_storage()).model_dump(mode="json")

    def render(self) -> NDArray[np.uint8] | None:
        """Give the page as an array (height, width, 3) in mode `rgb_array`; None otherwise."""
        if self.render_mode != "rgb_array":
            return None
        picture: NDArray[np.uint8] = self.driver.run(self._capture("screenshot", self._blank()))
        return picture

    async def _close_episode(self) -> None:
        if self._episode is not None:
            episode, self._episode = self._episode, None
            await episode.close()

    def close(self) -> None:
        """Close the episode; the process's browser stays warm for other environments."""
        if self._episode is not None:
            self.driver.run(self._close_episode())
