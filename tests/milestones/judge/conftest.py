from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest

from milepost.milestones.judge.breaker import Breaker, Budget
from milepost.milestones.judge.cache import VerdictCache
from milepost.milestones.judge.endpoint import Endpoint, JudgeClient
from milepost.milestones.judge.evidence import EvidencePack, build_pack
from milepost.milestones.judge.panel import Judge
from milepost.milestones.judge.question import Style
from milepost.milestones.judge.rubric import Rubric, parse_rubric
from milepost.sandbox.events import AnswerGiven, AppChanged, ElementAppeared, EpisodeStarted, Source
from tests.milestones.conftest import witness

RUBRIC = parse_rubric(
    """
reason = "semantic"
rule_coverage = "1/2"

[[criterion]]
id = "total"
text = "The answer names the total that the report shows."
evidence = ["answer_given"]
trust = "agent"

[[criterion]]
id = "polite"
text = "Its tone is friendly and it thanks the reader."
evidence = ["answer_given", "element_appeared"]
trust = "agent"
weight = "3"
decisive = false
"""
)

TOTAL, POLITE = (criterion.text for criterion in RUBRIC.criteria)

EVENTS = witness(
    EpisodeStarted(task="Demo-v0", seed=0, split="train", goal="Sum up the report."),
    (Source.PAGE, ElementAppeared(tab=0, role="cell", name="Total 48.20")),
    (Source.SERVER, AppChanged(app="reports", change="report.opened", data={"id": "7"})),
    (Source.AGENT, AnswerGiven(text="The total is 48.20. Thank you!")),
)


def make_pack(rubric: Rubric = RUBRIC) -> EvidencePack:
    return build_pack("Sum up the report.", EVENTS, rubric, truth=["The total is 48.20."])


class Naps:
    """Stands in for waiting: remembers for how long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def nonces(*texts: str) -> Callable[[], str]:
    left = list(texts)
    return lambda: left.pop(0)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
def make_client(http: httpx.AsyncClient) -> Callable[..., JudgeClient]:
    def make(url: str, **changes: object) -> JudgeClient:
        about = {"budget": Budget(calls=1000, tokens=10**6), "breaker": Breaker(Clock()), "sleep": Naps()}
        endpoint = {k: v for k, v in changes.items() if k not in about}
        about |= {k: v for k, v in changes.items() if k in about}
        return JudgeClient(
            Endpoint(url=url, **{"model": "scripted-a", "total_s": 60.0, **endpoint}),  # type: ignore[arg-type]
            http=http,
            rng=np.random.default_rng(0),
            **about,  # type: ignore[arg-type]
        )

    return make


@pytest.fixture
def make_judges(make_client: Callable[..., JudgeClient], tmp_path: Path) -> Callable[..., list[Judge]]:
    def make(urls: Sequence[str], **changes: object) -> list[Judge]:
        cache = VerdictCache(tmp_path / "verdicts")
        styles = (Style.AUDITOR, Style.SCEPTIC, Style.AUDITOR)
        models = ("scripted-a", "scripted-a", "scripted-b")
        return [
            Judge(
                f"judge-{n}",
                make_client(url, model=models[n], **changes),
                model=models[n],
                style=styles[n],
                cache=cache,
            )
            for n, url in enumerate(urls)
        ]

    return make
