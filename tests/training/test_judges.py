"""Putting labelled cases to judges: the scripted judge, which no model is behind."""

from fractions import Fraction

import pytest

from milepost.envs.apps.judged.labels import read_labels
from milepost.milestones.judge.confidence import Agreement
from milepost.milestones.judge.scripted import Act, ScriptedJudgeServer, compare_quotes
from milepost.milestones.router import Standing
from milepost.training.config import RewardSection
from milepost.training.judges import Answer, Measurement, measure_judges

LABELS = [label for label in read_labels() if label.task == "MeantInvoice-v0"]
JUDGES = ("m (auditor)", "m (sceptic)")


def answers(task: str, agreement: Agreement, right: int, wrong: int = 0) -> list[Answer]:
    return [
        Answer(task=task, standing=Standing.SCORED, right=n < right, agreement=agreement)
        for n in range(right + wrong)
    ]


async def test_labelled_cases_say_how_often_which_agreement_is_right() -> None:
    async with ScriptedJudgeServer(compare_quotes) as server:
        section = RewardSection(judge=[f"scripted@{server.url}"])
        found = await measure_judges(section, LABELS)
        # Two styles of one judge, each asked again: nothing of the first round is kept. Invalid replies are asked for anew.
        assert len(server.requests) >= 4 * len(LABELS)
    assert found.judges == ("scripted (auditor)", "scripted (sceptic)")
    figures = found.describe(risk=0.02)
    scored = figures["standings"]["scored"]
    assert (figures["cases"], figures["right"] + figures["wrong"]) == (len(LABELS), scored)
    assert figures["said_the_same_again"] == 1.0
    assert sum(one["n"] for one in figures["agreements"].values()) == scored
    met = figures["agreements"]["all_met"]
    assert found.confidence.rate(Agreement.ALL_MET) == Fraction(met["right"] + 1, met["n"] + 2)


async def test_judges_that_cannot_be_asked_decide_nothing() -> None:
    async with ScriptedJudgeServer(lambda request, n: Act(status=400)) as server:
        section = RewardSection(judge=[f"scripted@{server.url}"])
        found = await measure_judges(section, LABELS[:2], repeats=0)
    figures = found.describe(risk=0.02)
    assert (figures["standings"], figures["threshold"], figures["covered"]) == ({"failed": 2}, None, 0.0)
    assert found.confidence.rate(Agreement.ALL_MET) == Fraction(1, 2)


def test_a_case_gets_its_confidence_from_the_other_tasks() -> None:
    found = Measurement(
        judges=JUDGES,
        answers=(
            *answers("A", Agreement.ALL_MET, right=8),
            *answers("B", Agreement.ALL_MET, right=2, wrong=2),
            *answers("B", Agreement.MOST, right=1),
        ),
    )
    held = found.hold_out()
    # For A the cases of B say 3 of 6, for B those of A say 9 of 10, and of `most` nothing is known.
    assert [sure for sure, _ in held] == pytest.approx([0.5] * 8 + [0.9] * 4 + [0.5])
    assert [right for _, right in held] == [True] * 8 + [True, True, False, False] + [True]
    assert found.confidence.rate(Agreement.ALL_MET) == Fraction(11, 14)


def test_a_threshold_keeps_its_promise_on_held_out_tasks_or_there_is_none() -> None:
    sure = [answer for task in "AB" for answer in answers(task, Agreement.ALL_MET, right=60)]
    rash = [answer for task in "AB" for answer in answers(task, Agreement.ALL_SAME, right=30, wrong=30)]
    figures = Measurement(judges=JUDGES, answers=(*sure, *rash)).describe(risk=0.02)
    # 120 without an error bound the rate by .019: ln .1 / ln .98 is 114. The confidence there is 61 / 62.
    assert figures["threshold"] == pytest.approx(0.51)
    assert figures["covered"] == 0.5
    assert Measurement(judges=JUDGES, answers=tuple(rash)).describe(risk=0.02)["threshold"] is None
    few = Measurement(judges=JUDGES, answers=tuple(sure[::2]))
    assert few.describe(risk=0.02)["threshold"] is None
    assert few.describe(risk=0.05)["threshold"] is not None
