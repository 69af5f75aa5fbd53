from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from milepost.milestones import Detection, SpecError
from milepost.milestones.case import Case
from milepost.milestones.judge.breaker import Breaker, Budget
from milepost.milestones.judge.cache import VerdictCache
from milepost.milestones.judge.endpoint import Endpoint, JudgeClient
from milepost.milestones.judge.panel import Judge, Panel
from milepost.milestones.judge.question import Style
from milepost.milestones.judge.scripted import Act, ScriptedJudgeServer, hear, reply_to
from milepost.milestones.learned.gauge import LearnedScore
from milepost.milestones.learned.transition import Transition
from milepost.milestones.router import Routing, Tier, is_audited
from milepost.milestones.settlement import SettlementError, name_judge, replay_settlement
from milepost.milestones.tiers import Tiers
from tests.milestones.judge.conftest import POLITE, RUBRIC, TOTAL
from tests.milestones.test_case import make_case


class Model:
    """Says what it was told to say, and counts how often it was asked."""

    digest = "0" * 64

    def __init__(self, probability: float = 0.95, *, unfamiliar: bool = False) -> None:
        self.asked = 0
        self._score = LearnedScore(mean=1.0, spread=0.1, unfamiliar=unfamiliar, probability=probability)

    def score_steps(self, transitions: Sequence[Transition]) -> NDArray[np.float64]:
        return np.zeros((1, len(transitions)))

    def score_episode(self, transitions: Sequence[Transition]) -> LearnedScore:
        self.asked += 1
        return self._score


def rubric_case(*clicked: str) -> Case:
    # `answer_given` is not in the log, so the rubric may rest on clicks here.
    criteria = tuple(replace(c, evidence=frozenset({"clicked"})) for c in RUBRIC.criteria)
    return replace(make_case(*clicked), rubric=replace(RUBRIC, criteria=criteria), truth=("Be polite.",))


async def test_the_default_asks_nobody_and_leaves_open_units_without_a_reward() -> None:
    settled = await Tiers().settle(make_case("Send"))
    assert [d.value for d in settled.decisions] == [1, None, None]
    assert settled.open["fits"].reason == "the rules say uninstrumented; learned is off; judge is off"


async def test_a_model_that_is_sure_is_asked_once_for_all_units_and_pays() -> None:
    model = Model()
    settled = await Tiers(Routing(tiers=frozenset({Tier.RULE, Tier.LEARNED})), model=model).settle(
        make_case("Send")
    )
    assert [d.value for d in settled.decisions] == [1, Fraction("0.95"), Fraction("0.95")]
    assert model.asked == 1


async def test_what_rules_decide_is_put_to_nobody() -> None:
    model = Model()
    settled = await Tiers(Routing(tiers=frozenset({Tier.RULE, Tier.LEARNED})), model=model).settle(
        make_case("Other")
    )
    assert {d.unit.detection for d in settled.decisions} == {Detection.NOT_FIRED}
    assert model.asked == 0


@pytest.mark.parametrize("tiers", [{Tier.RULE, Tier.LEARNED}, {Tier.RULE, Tier.JUDGE}])
def test_a_tier_that_is_on_needs_somebody(tiers: set[Tier]) -> None:
    with pytest.raises(SpecError, match="is on, but nobody is there"):
        Tiers(Routing(tiers=frozenset(tiers)))
    with pytest.raises(SpecError, match="the tier learned is off, but somebody is there"):
        Tiers(model=Model())


def find(request: object, number: int) -> Act:
    heard = hear(request)  # type: ignore[arg-type]
    return Act(content=reply_to(heard, {TOTAL: ("met", ("E1",)), POLITE: ("met", ("E1",))}))


def make_panel(http: httpx.AsyncClient, url: str, folder: Path) -> Panel:
    cache = VerdictCache(folder / "verdicts")
    client = JudgeClient(
        Endpoint(url=url, model="scripted", total_s=5.0),
        http=http,
        budget=Budget(calls=99, tokens=10**6),
        breaker=Breaker(lambda: 0.0),
        rng=np.random.default_rng(0),
    )
    return Panel(
        [Judge(name_judge("scripted", s), client, model="scripted", style=s, cache=cache) for s in Style]
    )


@asynccontextmanager
async def open_panel(folder: Path) -> AsyncIterator[tuple[ScriptedJudgeServer, Panel]]:
    async with ScriptedJudgeServer(find) as server, httpx.AsyncClient(trust_env=False) as http:
        yield server, make_panel(http, server.url, folder)


async def test_an_unsure_model_hands_on_to_judges_whose_replies_are_replayed_without_them(
    tmp_path: Path,
) -> None:
    case = rubric_case("Send")
    async with open_panel(tmp_path) as (server, panel):
        tiers = Tiers(Routing(tiers=frozenset(Tier)), model=Model(0.6), panel=panel)
        settled = await tiers.settle(case)
        assert len(server.requests) == 2
    assert [d.tier for d in settled.decisions] == [Tier.RULE, Tier.JUDGE, Tier.JUDGE]
    assert settled.success
    stored = settled.to_bytes()
    assert replay_settlement(stored, case.spec, case.events).to_bytes() == stored
    # A record that claims another verdict than the judges' replies give is not made again.
    raised = stored.replace(b"total met", b"total not_met")
    assert raised != stored
    assert replay_settlement(raised, case.spec, case.events).to_bytes() == stored
    # Replies to another episode's question are not believed.
    with pytest.raises(SettlementError, match="answers another question"):
        replay_settlement(stored, case.spec, rubric_case("Send", "Send").events)
    forged = stored.replace(b'\\"finding\\": \\"met\\"', b'\\"finding\\": \\"yes\\"')
    with pytest.raises(SettlementError, match="is not valid"):
        replay_settlement(forged, case.spec, case.events)


async def test_the_audit_sample_is_judged_and_pays_nothing(tmp_path: Path) -> None:
    name = next(f"e{n}" for n in range(1000) if is_audited(f"e{n}"))
    async with open_panel(tmp_path) as (server, panel):
        tiers = Tiers(
            Routing(tiers=frozenset(Tier)),
            model=Model(),
            panel=panel,
        )
        settled = await tiers.settle(replace(rubric_case("Send"), id=name))
        assert len(server.requests) == 2
        assert settled.sample is not None
        assert settled.sample.value == 1
        assert settled.open["goal"].value == Fraction("0.95")
        stored = settled.to_bytes()
        assert replay_settlement(stored, settled.case.spec, settled.case.events).to_bytes() == stored
        await tiers.settle(rubric_case("Send"))
        assert len(server.requests) == 2
        assert not is_audited("e1")


async def test_judges_are_not_asked_without_a_rubric_nor_when_verdicts_cannot_be_kept(
    tmp_path: Path,
) -> None:
    async with open_panel(tmp_path) as (server, panel):
        tiers = Tiers(
            Routing(tiers=frozenset({Tier.RULE, Tier.JUDGE})),
            panel=panel,
        )
        settled = await tiers.settle(make_case("Send"))
        assert "the task has no rubric to ask by" in settled.unscored[0]
        assert server.requests == []
        (tmp_path / "verdicts").write_text("a file where a folder should be")
        settled = await tiers.settle(rubric_case("Send"))
        assert "verdicts cannot be kept" in settled.unscored[0]
