"""One episode of a task: the sandbox acts, the milestones judge, step by step."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from milepost.envs.conditions import Conditions
from milepost.envs.task import Split, Task, Template
from milepost.milestones import (
    Hit,
    Progress,
    RewardMode,
    Spec,
    advance,
    score,
    start_progress,
    step_reward,
)
from milepost.milestones.reward import Pay
from milepost.milestones.trace import is_left_open, list_open
from milepost.sandbox.events import Event, PageScored
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.log import write_log
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool
from milepost.sandbox.session import Session
from milepost.sandbox.storage import StorageState
from milepost.sandbox.world import INSTANT_MS, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one step led to."""

    observation: Observation
    hits: tuple[Hit, ...] = ()
    """Milestones that fired in this step."""
    rewards: Mapping[str, Fraction] = field(default_factory=dict)
    """Reward by milestone name under the episode's mode, exact; empty when nothing was paid."""
    terminated: bool = False
    """The goal was reached as far as rules see it, the agent ended the episode, or a violation did."""
    truncated: bool = False
    """The step limit was reached, or the sandbox failed."""
    failure: Failure | None = None
    """Whose fault it is when the step could not be done; then there is no reward, not reward 0."""
    reason: str = ""
    """What failed, in words."""

    @property
    def reward(self) -> float:
        """The step's reward; NaN when the sandbox failed, so that no sum can take it for 0."""
        return float("nan") if self.failure is not None else float(sum(self.rewards.values(), Fraction(0)))


class Episode:
    """A running episode. Not reusable: one `open`, steps until it is over, one `close`."""

    def __init__(self, session: Session, task: Task, max_steps: int, pay: Pay) -> None:
        self._session = session
        self._log = session.log
        self._is_left = False
        self._pictured = False
        self.task = task
        self._max_steps = max_steps
        self._pay = pay
        self._progress: Progress = start_progress(task.spec)
        self.questions = list_open(task.spec)
        """Milestones, and `goal`, that no rule decides in every case: their rewards are not in a step's."""
        self.steps = 0
        """Steps taken so far."""
        self.over = False
        """Whether the episode is over."""
        self.renewed = False
        """Whether it began in the document of the episode before."""
        self.page_score = ""
        """What the page itself says the episode was worth, for pages that keep score; empty until then."""
        self.observation: Observation

    @classmethod
    async def open(
        cls,
        pool: Pool,
        template: Template,
        seed: int,
        split: Split = Split.TRAIN,
        *,
        mode: RewardMode = RewardMode.MILESTONES,
        pay: Pay | None = None,
        conditions: Conditions = Conditions(),
        after: "Episode | None" = None,
        fresh: bool = False,
    ) -> tuple["Episode", Observation]:
        """Draw the task of a seed and open its world, in the template's viewport unless the conditions name another.

        `pay` says more than `mode`: weights and discount too. `after` is an episode that is given up for this one: where
        both have a page that can begin anew, in the same document, that takes a few milliseconds; else it is closed. A
        `fresh` episode neither begins in the browser context that a tidy one has left, nor leaves it its own.

        Raises:
            SandboxError: the world could not be made.
        """
        task = template.task(seed, split)
        world = World(
            task=template.id,
            seed=seed,
            split=split.value,
            goal=task.goal,
            start_url=task.start_url,
            sites=task.sites,
            live=task.live,
            # A live site's server would notice that its pages live in another time.
            instant_ms=None if task.live else INSTANT_MS,
            files=task.files,
            storage=task.storage,
            viewport=conditions.viewport or template.viewport,
            # A page that keeps score has a clock of its own: its turns.
            page_time_ms=None if task.referee else conditions.page_time_ms,
            actions_per_step=conditions.actions_per_step,
            max_tokens=conditions.max_tokens,
            traffic=conditions.traffic,
            referee=task.referee,
            again=task.again,
            tidy=template.tidy and not fresh,
        )
        left = None if after is None else await after._leave(world)
        session, observation = left or await pool.open(world)
        episode = cls(session, task, template.max_steps, pay or Pay(mode=mode))
        episode._pictured, episode.renewed = conditions.screenshot, left is not None
        try:
            episode.observation = await episode._picture(observation)
        except SandboxError:
            await session.close()
            raise
        episode._judge(episode._log.events)
        return episode, episode.observation

    @property
    def spec(self) -> Spec:
        """The task's milestones and goal."""
        return self.task.spec

    @property
    def goal(self) -> str:
        """The goal text as the agent sees it."""
        return self.observation.goal

    @property
    def reached(self) -> frozenset[str]:
        """Names of the milestones reached so far."""
        return self._progress.reached

    @property
    def success(self) -> bool:
        """Whether the goal is reached."""
        return self._progress.goal_reached

    @property
    def left_open(self) -> bool:
        """Whether the rules' part of the goal is reached and the rest is a question for a judge."""
        return bool(self.questions) and is_left_open(self.task.spec, self._progress)

    @property
    def solved(self) -> bool:
        """Whether the goal is reached as far as rules see it."""
        return self.success or self.left_open

    @property
    def events(self) -> tuple[Event, ...]:
        """The log so far."""
        return tuple(self._log.events)

    @property
    def settled(self) -> bool:
        """Whether the page had settled when it was last observed."""
        return self._session.settled

    @property
    def faults(self) -> tuple[str, ...]:
        """What the task's own sites raised so far, each once: where they are broken."""
        return tuple(self._session.faults)

    def _judge(self, events: Iterable[Event]) -> tuple[Hit, ...]:
        hits: list[Hit] = []
        for event in events:
            if isinstance(event.fact, PageScored):
                self.page_score = event.fact.score
            self._progress, now = advance(self.task.spec, self._progress, event)
            hits.extend(now)
        return tuple(hits)

    async def step(self, text: str) -> Outcome:
        """Carry out one action and judge what it caused.

        Raises:
            RuntimeError: the episode is over.
        """
        if self.over:
            raise RuntimeError("the episode is over; open a new one (reset) before the next step")
        self.steps += 1
        seen = len(self._log.events)
        try:
            observation = await self._picture(await self._session.step(text))
        except SandboxError as broken:
            self._finish("failure")
            return Outcome(
                observation=self.observation, truncated=True, failure=broken.failure, reason=broken.reason
            )
        self.observation = observation
        before = self._progress
        hits = self._judge(self._log.events[seen:])
        reason = self._reason_to_end()
        if reason:
            hits += self._finish(reason)
        return Outcome(
            observation=observation,
            hits=hits,
            rewards=step_reward(
                self.task.spec,
                before,
                self._progress,
                hits,
                self._pay.mode,
                weights=self._pay.weights,
                discount=self._pay.discount,
                over=self.over,
            ),
            terminated=reason not in ("", "step_limit"),
            truncated=reason == "step_limit",
        )

    async def _picture(self, observation: Observation) -> Observation:
        """Add the screenshot where observations are to hold one."""
        if not self._pictured or observation.dialog is not None:
            return observation
        return replace(observation, screenshot=await self._session.screenshot())

    def _reason_to_end(self) -> str:
        if self._progress.goal_reached:
            return "goal"
        if self._progress.vetoed:
            return "violation"
        if self.left_open:
            return "judgement"
        if self._session.finished:
            return self._session.finished
        return "step_limit" if self.steps >= self._max_steps else ""

    def _finish(self, reason: str) -> tuple[Hit, ...]:
        """End the log; facts that came after the last step settled are judged too."""
        self.over = True
        return self._judge(self._session.end(reason))

    async def screenshot(self, encoding: str = "png", *, marks: bool = False) -> bytes:
        """Capture the tab in view as an encoded image, with numbered marks if wanted."""
        return await self._session.screenshot(encoding, marks=marks)

    async def capture(self, kind: str) -> str:
        """Capture Chromium's own view of the tab as JSON: `axtree` or `dom`."""
        return await self._session.capture(kind)

    async def collect_storage(self) -> StorageState:
        """Read the cookies and the local storage of this episode, for `storage_state` of another."""
        return await self._session.collect_storage()

    def har(self) -> dict[str, Any]:
        """Give the traffic so far as an HTTP archive (HAR 1.2).

        Raises:
            RuntimeError: the episode keeps no traffic.
        """
        if self._session.traffic is None:
            raise RuntimeError(
                "no traffic was kept; open the episode, or make the environment, with traffic=True"
            )
        return self._session.traffic.to_har(version=version("milepost"))

    def save(self, directory: Path) -> None:
        """Write `events.jsonl`, `spec.json` and `rewards.json`, from which the reward can be recomputed.

        If the episode keeps its traffic, `traffic.har` lies beside them.
        """
        directory.mkdir(parents=True, exist_ok=True)
        if not self.over:
            self._finish("closed")
        write_log(self._log.events, directory / "events.jsonl")
        (directory / "spec.json").write_bytes(self.task.spec.to_bytes())
        if self._session.traffic is not None:
            (directory / "traffic.har").write_bytes(orjson.dumps(self.har(), option=orjson.OPT_INDENT_2))
        trace = score(self.task.spec, self._log.events)
        (directory / "rewards.json").write_bytes(trace.to_bytes())

    async def _leave(self, world: World) -> tuple[Session, Observation] | None:
        """Leave the session to another episode, which begins in it; None when it cannot, and then it is closed."""
        if not self.over:
            self._finish("closed")
        observation = None if self._is_left else await self._session.renew(world)
        if observation is None:
            await self.close()
            return None
        self._is_left = True
        return self._session, observation

    async def close(self) -> None:
        """Dispose of the episode's world, unless another episode lives there now; safe to call twice."""
        if not self.over:
            self._finish("closed")
        if not self._is_left:
            await self._session.close()
