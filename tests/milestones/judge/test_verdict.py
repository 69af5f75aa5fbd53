import json
from typing import Any

import pytest

from milepost.milestones.judge.question import Finding, Question, ask
from milepost.milestones.judge.scripted import hear, reply_to
from milepost.milestones.judge.verdict import InvalidReplyError, read_reply
from tests.milestones.judge.conftest import POLITE, RUBRIC, TOTAL, make_pack


def question() -> Question:
    return ask(make_pack(), RUBRIC, nonce="n1")


def reply(**changes: Any) -> str:
    heard = hear({"messages": question().messages})
    return reply_to(heard, {TOTAL: ("met", ("E3", "T1")), POLITE: ("not_met", ())}, **changes)


def edit(**changes: Any) -> str:
    """Change the verdict about the total."""
    data = json.loads(reply())
    label = next(a.label for a in question().asked if a.text == TOTAL)
    for verdict in data["verdicts"]:
        if verdict["id"] == label:
            verdict |= changes
    return json.dumps(data)


def test_a_valid_reply_is_read_by_criterion() -> None:
    verdict = read_reply(question(), reply())
    assert verdict.findings == {"total": Finding.MET, "polite": Finding.NOT_MET}
    assert verdict.cited == {"total": ("E3", "T1"), "polite": ()}
    assert (verdict.uncontrollable, verdict.suspected_injection) == ((), False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("met", "not JSON"),
        ("Status: success", "not JSON"),
        ("1. The agent failed. Score: 0", "not JSON"),
        ("```json\n" + reply() + "\n```", "not JSON"),
        (reply() + reply(), "not JSON"),
        (reply()[:-9], "not JSON"),
        ("[" * 30_000, "not JSON"),
        ("x" * 40_001, "40001 characters"),
        ("[]", "not the schema"),
        ('{"nonce": "n1", "outcome": "met"}', "not the schema"),
        (reply(nonce="n2"), "the nonce is not the one"),
        (reply(score=1), "not the schema: score"),
        (reply(suspected_injection="no"), "not the schema: suspected_injection"),
        (reply(uncontrollable=[1]), "there is no fault 1"),
        (reply(verdicts=[]), "asked about Q1, Q2, Q3, Q4; got verdicts about "),
        (reply().replace('"nonce"', '"nonce": "n1", "nonce"'), "a key stands twice"),
        (edit(finding="success"), "not the schema: verdicts"),
        (edit(id="Q9"), "got verdicts about"),
        (edit(observations=["E999"]), "cites 'E999', which does not exist"),
        (edit(observations=[]), "called met without a fact"),
        (edit(observations=["E2"]), "called met without a fact of kind answer_given"),
    ],
)
def test_anything_else_is_no_verdict(text: str, message: str) -> None:
    with pytest.raises(InvalidReplyError, match=message):
        read_reply(question(), text)


@pytest.mark.parametrize("finish", ["length", "content_filter", "refusal", "tool_calls"])
def test_a_reply_that_did_not_end_by_itself_is_no_verdict(finish: str) -> None:
    with pytest.raises(InvalidReplyError, match=finish):
        read_reply(question(), reply(), finish=finish)


@pytest.mark.parametrize("finding", ["met", "not_met", "cannot_determine"])
def test_a_judge_that_says_the_same_of_everything_misses_a_canary(finding: str) -> None:
    data = json.loads(reply())
    for verdict in data["verdicts"]:
        verdict |= {"finding": finding, "observations": ["E3"]}
    with pytest.raises(InvalidReplyError, match="a canary was missed"):
        read_reply(question(), json.dumps(data))
