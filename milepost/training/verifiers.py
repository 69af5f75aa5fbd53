"""From a configuration to the tiers of a run: its reward model, its judges, and whether they can be used at all."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path

import httpx
import numpy as np

from milepost.envs.registry import get_template
from milepost.milestones.judge.breaker import Breaker, Budget
from milepost.milestones.judge.cache import VerdictCache
from milepost.milestones.judge.confidence import ConfidenceError, read_confidence
from milepost.milestones.judge.endpoint import Endpoint, EndpointSetupError, JudgeClient
from milepost.milestones.judge.panel import Judge, Panel
from milepost.milestones.judge.question import Style
from milepost.milestones.learned.ensemble import ModelFormatError, RewardModel, load_ensemble
from milepost.milestones.router import RouterMode, Routing, Tier
from milepost.milestones.settlement import name_judge
from milepost.milestones.spec_error import SpecError
from milepost.milestones.tiers import Tiers
from milepost.milestones.trace import list_open
from milepost.training.config import Config, RewardSection
from milepost.training.overrides import ConfigError
from milepost.training.reward_model.text_tier import load_text_model

KEY_VARIABLE = "MILEPOST_JUDGE_KEY"
"""Environment variable of the judges' key; a key in a configuration would be written into every run."""

VERDICTS_FOLDER = "verdicts"
"""Folder of a run in which the judges' valid replies are kept."""

TOKENS_PER_CALL = 8192
"""What a call may use on average: the budget of tokens is this times the budget of calls."""

DEADLINE_S = 60.0
"""Longest time for one call to a judge, everything included."""

RETRIES = 2
"""More tries of a call after 429, 5xx and timeouts."""


def check_reward(config: Config) -> None:
    """Check before a run begins that the tiers can be used, and that every task can be scored by one.

    Raises:
        ConfigError: no such reward model, a judge that does not answer, weights that cannot be, or a task of which
            rules leave something open while no other tier is on.
    """
    routing = build_routing(config.reward)
    load_model(config.reward)
    if routing.tiers == {Tier.RULE}:
        _check_tasks(config)
    if Tier.JUDGE in routing.tiers:
        asyncio.run(check_judges(config.reward))


def _check_tasks(config: Config) -> None:
    for task_id in config.tasks.ids:
        open_ = list_open(get_template(task_id).task(0).spec)
        if open_:
            raise ConfigError(
                f"no rule of {task_id} decides {', '.join(open_)}, so its episodes would have no reward; "
                "set reward.learned or reward.judge, or leave the task out"
            )


async def check_judges(section: RewardSection) -> None:
    """Ask every judge for a sign of life.

    Raises:
        ConfigError: names the one that does not answer, and why.
    """
    async with open_http() as http:
        make_panel(section, http, Path())
        for judge in section.judge:
            model, url = split_judge(judge)
            client = make_client(http, model, url, budget=Budget(calls=1, tokens=1))
            try:
                await client.check()
            except EndpointSetupError as wrong:
                raise ConfigError(f"reward.judge: {wrong} (the key is taken from {KEY_VARIABLE})") from None


def build_routing(section: RewardSection) -> Routing:
    """Take the routing out of a configuration.

    Raises:
        ConfigError: no tier is on, or weights that do not sum to 1.
    """
    weights = dict(zip(Tier, map(read_exact, section.blend), strict=False))
    on = {
        Tier.RULE: section.rules != "off",
        Tier.LEARNED: bool(section.learned),
        Tier.JUDGE: bool(section.judge),
    }
    try:
        return Routing(
            mode=RouterMode.BLEND if section.blend else RouterMode.CASCADE,
            tiers=frozenset(tier for tier, is_on in on.items() if is_on),
            **({"weights": weights} if weights else {}),
            thresholds={
                tier: read_exact(level)
                for tier, level in zip((Tier.LEARNED, Tier.JUDGE), section.confidence, strict=True)
            },
        )
    except SpecError as wrong:
        raise ConfigError(f"[reward]: {wrong}") from None


def read_exact(value: float) -> Fraction:
    """Read a number as it was written: 0.1 is a tenth."""
    return Fraction(repr(value))


def load_model(section: RewardSection) -> RewardModel | None:
    """Load the reward model; None when its tier is off.

    Raises:
        ConfigError: there is no such model.
    """
    if not section.learned:
        return None
    try:
        path = Path(section.learned)
        return load_text_model(path) if path.is_dir() else load_ensemble(path)
    except ModelFormatError as wrong:
        raise ConfigError(f"reward.learned: {wrong}") from None


def split_judge(judge: str) -> tuple[str, str]:
    """Split `model@url`; a model's name may have an @ of its own."""
    model, _, rest = judge.rpartition("@http")
    return model, f"http{rest}"


def open_http() -> httpx.AsyncClient:
    """Open the connections to judges, which are reached directly."""
    return httpx.AsyncClient(trust_env=False)


def make_client(http: httpx.AsyncClient, model: str, url: str, *, budget: Budget) -> JudgeClient:
    """Make the client of a judge, with a breaker of its own."""
    key = os.environ.get(KEY_VARIABLE, "")
    endpoint = Endpoint(url=url, model=model, key=key, total_s=DEADLINE_S, retries=RETRIES)
    return JudgeClient(
        endpoint,
        http=http,
        budget=budget,
        breaker=Breaker(time.monotonic),
        # Only pauses between tries depend on it.
        rng=np.random.default_rng(0),
    )


@asynccontextmanager
async def open_tiers(section: RewardSection, run: Path) -> AsyncIterator[Tiers]:
    """Open the tiers of a run.

    Args:
        section: which are on.
        run: the run's folder, where verdicts are kept.

    Raises:
        ConfigError: they cannot be used as they are set up.
    """
    routing, model = build_routing(section), load_model(section)
    async with open_http() as http:
        panel = make_panel(section, http, run) if section.judge else None
        yield Tiers(routing, model=model, panel=panel)


def make_panel(section: RewardSection, http: httpx.AsyncClient, run: Path) -> Panel:
    """Make the panel: one judge is asked in two styles, several in one style each.

    Raises:
        ConfigError: too many judges, or one twice, or a confidence that was measured of others.
    """
    named = [split_judge(judge) for judge in section.judge]
    pairs = [named[0], named[0]] if len(named) == 1 else named
    styles = [list(Style)[index % len(Style)] for index in range(len(pairs))]
    budget = Budget(calls=section.judge_calls, tokens=section.judge_calls * TOKENS_PER_CALL)
    clients: dict[tuple[str, str], JudgeClient] = {
        pair: make_client(http, *pair, budget=budget) for pair in pairs
    }
    cache = VerdictCache(run / VERDICTS_FOLDER)
    try:
        return Panel(
            [
                Judge(name_judge(pair[0], style), clients[pair], model=pair[0], style=style, cache=cache)
                for pair, style in zip(pairs, styles, strict=True)
            ],
            confidence=read_confidence(Path(section.judge_labels)) if section.judge_labels else None,
        )
    except (ConfidenceError, SpecError) as wrong:
        raise ConfigError(f"reward.judge: {wrong}") from None
