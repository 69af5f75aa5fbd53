import asyncio

import pytest

from milepost.milestones.judge.evidence import build_pack
from milepost.milestones.judge.question import ask
from milepost.milestones.judge.scripted import Act, ScriptedJudgeServer, compare_quotes, hear, reply_to
from milepost.milestones.judge.verdict import read_reply
from tests.milestones.judge.conftest import EVENTS, POLITE, RUBRIC, TOTAL, make_pack


def test_it_hears_a_question_and_writes_a_valid_reply() -> None:
    question = ask(make_pack(), RUBRIC, nonce="n1")
    heard = hear({"messages": question.messages})
    assert heard.nonce == "n1"
    assert set(heard.facts) == {"E1", "E2", "E3", "T1"}
    assert len(heard.claims) == 4
    verdict = read_reply(question, reply_to(heard, {TOTAL: ("met", ("E3",))}))
    assert verdict.findings == {"total": "met", "polite": "cannot_determine"}
    assert POLITE in heard.claims.values()


async def test_a_connection_that_says_nothing_does_no_harm() -> None:
    async with ScriptedJudgeServer(lambda r, n: Act()) as server:
        host, port = server.url.removeprefix("http://").removesuffix("/v1").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"rubbish\r\n\r\n")
        await writer.drain()
        writer.close()
    assert server.requests == []


@pytest.mark.parametrize(
    ("truth", "finding"),
    [('The total is "48.20".', "met"), ('The total is "99".', "not_met"), ('"48.20" and "99"', "not_met")],
)
def test_the_script_for_trying_out_looks_for_what_the_truth_puts_in_quotes(truth: str, finding: str) -> None:
    pack = build_pack("Sum up the report.", EVENTS, RUBRIC, truth=[truth])
    question = ask(pack, RUBRIC, nonce="n1")
    act = compare_quotes({"messages": question.messages}, 0)
    assert act.content is not None
    assert read_reply(question, act.content).findings == {"total": finding, "polite": finding}
