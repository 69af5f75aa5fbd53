import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from milepost.milestones import SpecError
from milepost.milestones.judge.cache import VerdictCache
from milepost.milestones.judge.confidence import Agreement, Confidence
from milepost.milestones.judge.panel import Judge, Panel
from milepost.milestones.judge.question import Style
from milepost.milestones.judge.scripted import Act, ScriptedJudgeServer, hear, reply_to
from milepost.milestones.router import Standing
from tests.milestones.judge.conftest import POLITE, RUBRIC, TOTAL, make_pack

Make = Callable[..., list[Judge]]
GOOD = {TOTAL: ("met", ("E3", "T1")), POLITE: ("met", ("E3",))}
BAD = {TOTAL: ("not_met", ("E3",)), POLITE: ("not_met", ())}


def say(findings: Mapping[str, Any]) -> Callable[[Mapping[str, Any], int], Act]:
    return lambda request, n: Act(content=reply_to(hear(request), findings))


async def test_judges_that_agree_give_a_score_with_its_evidence(make_judges: Make) -> None:
    async with ScriptedJudgeServer(say(GOOD)) as server:
        opinion = await Panel(make_judges([server.url] * 2)).consult(make_pack(), RUBRIC)
    assert (opinion.standing, opinion.value) == (Standing.SCORED, Fraction(1))
    assert opinion.evidence[:2] == ("E3", "T1")
    assert len(opinion.evidence) == 4


async def test_confidence_depends_on_how_judges_agree(make_judges: Make) -> None:
    counts = {Agreement.ALL_MET: (8, 8), Agreement.ALL_SAME: (5, 8), Agreement.MOST: (0, 2)}
    async with ScriptedJudgeServer(say(GOOD)) as kind, ScriptedJudgeServer(say(BAD)) as hard:
        for urls, rate in (
            ([kind.url] * 2, Fraction(9, 10)),
            ([hard.url] * 2, Fraction(6, 10)),
            ([kind.url, hard.url, hard.url], Fraction(1, 4)),
        ):
            judges = make_judges(urls)
            measured = Confidence(judges=tuple(judge.name for judge in judges), counts=counts)
            # Another goal is another question, which nobody has answered yet.
            pack = replace(make_pack(), goal=f"Sum up the report: {rate}.")
            opinion = await Panel(judges, confidence=measured).consult(pack, RUBRIC)
            assert (opinion.standing, opinion.confidence) == (Standing.SCORED, rate)


async def test_what_was_judged_is_not_asked_again_and_replays_without_a_judge(
    make_judges: Make, tmp_path: Path
) -> None:
    async with ScriptedJudgeServer(say(GOOD)) as server:
        panel = Panel(make_judges([server.url] * 2))
        first = await panel.consult(make_pack(), RUBRIC)
        assert await panel.consult(make_pack(), RUBRIC) == first
        assert len(server.requests) == 2
    cache = VerdictCache(tmp_path / "verdicts")
    offline = [Judge(s.value, None, model="scripted-a", style=s, cache=cache) for s in Style]
    replayed = await Panel(offline).consult(make_pack(), RUBRIC)
    assert replayed == first


async def test_without_a_kept_verdict_a_replay_fails_and_does_not_score(tmp_path: Path) -> None:
    cache = VerdictCache(tmp_path)
    offline = [Judge(s.value, None, model="m", style=s, cache=cache) for s in Style]
    opinion = await Panel(offline).consult(make_pack(), RUBRIC)
    assert opinion.standing is Standing.FAILED
    assert opinion.reason == "auditor: there is no kept verdict; sceptic: there is no kept verdict"


async def test_a_kept_verdict_that_was_tampered_with_is_not_believed(
    make_judges: Make, tmp_path: Path
) -> None:
    async with ScriptedJudgeServer(say(BAD)) as server:
        panel = Panel(make_judges([server.url] * 2))
        assert (await panel.consult(make_pack(), RUBRIC)).value == 0
        for path in (tmp_path / "verdicts").iterdir():
            kept = json.loads(path.read_text())
            kept["reply"] = kept["reply"].replace("not_met", "met")
            path.write_text(json.dumps(kept))
        opinion = await panel.consult(make_pack(), RUBRIC)
    assert opinion.standing is Standing.FAILED


async def test_judges_that_differ_leave_no_score(make_judges: Make) -> None:
    async with ScriptedJudgeServer(say(GOOD)) as kind, ScriptedJudgeServer(say(BAD)) as hard:
        opinion = await Panel(make_judges([kind.url, hard.url])).consult(make_pack(), RUBRIC)
    assert opinion.standing is Standing.ABSTAINED


async def test_a_third_judge_can_settle_a_negative_and_never_a_positive(make_judges: Make) -> None:
    async with ScriptedJudgeServer(say(GOOD)) as kind, ScriptedJudgeServer(say(BAD)) as hard:
        settled = await Panel(make_judges([kind.url, hard.url, hard.url])).consult(make_pack(), RUBRIC)
    assert (settled.standing, settled.value) == (Standing.SCORED, Fraction(0))


async def test_a_third_judge_does_not_make_a_positive(make_judges: Make) -> None:
    async with ScriptedJudgeServer(say(GOOD)) as kind, ScriptedJudgeServer(say(BAD)) as hard:
        opinion = await Panel(make_judges([kind.url, hard.url, kind.url])).consult(make_pack(), RUBRIC)
    assert opinion.standing is Standing.ABSTAINED


async def test_an_invalid_reply_is_asked_for_once_more_with_another_nonce(make_judges: Make) -> None:
    def stumble(request: Mapping[str, Any], n: int) -> Act:
        return Act(content="Status: success") if n < 2 else say(GOOD)(request, n)

    async with ScriptedJudgeServer(stumble) as server:
        opinion = await Panel(make_judges([server.url] * 2)).consult(make_pack(), RUBRIC)
    assert (opinion.standing, len(server.requests)) == (Standing.SCORED, 4)
    assert len({hear(request).nonce for request in server.requests}) == 4


@pytest.mark.parametrize(
    ("act", "calls"), [(Act(content="success"), 4), (Act(status=503), 6), (Act(status=400), 2)]
)
async def test_what_is_no_verdict_is_a_failure_and_never_a_score(
    make_judges: Make, act: Act, calls: int, tmp_path: Path
) -> None:
    async with ScriptedJudgeServer(lambda r, n: act) as server:
        opinion = await Panel(make_judges([server.url] * 2)).consult(make_pack(), RUBRIC)
    assert opinion.standing is Standing.FAILED
    assert len(server.requests) == calls
    assert not (tmp_path / "verdicts").exists()


def test_a_panel_of_one_or_of_twins_is_refused(tmp_path: Path) -> None:
    cache = VerdictCache(tmp_path)
    one = Judge("one", None, model="m", style=Style.AUDITOR, cache=cache)
    twin = Judge("twin", None, model="m", style=Style.AUDITOR, cache=cache)
    other = Judge("one", None, model="m", style=Style.SCEPTIC, cache=cache)
    with pytest.raises(SpecError, match="two judges, or three; got 1"):
        Panel([one])
    with pytest.raises(SpecError, match="must differ in model or style"):
        Panel([one, twin])
    with pytest.raises(SpecError, match="a name of its own"):
        Panel([one, other])
    sceptic = Judge("two", None, model="m", style=Style.SCEPTIC, cache=cache)
    assert Panel([one, sceptic], confidence=Confidence(judges=("one", "two"))).names == ("one", "two")
    with pytest.raises(SpecError, match="measured of one, three; the judges are one, two"):
        Panel([one, sceptic], confidence=Confidence(judges=("one", "three")))
