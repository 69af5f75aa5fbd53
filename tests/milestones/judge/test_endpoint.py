from collections.abc import Callable

import pytest

from milepost.milestones.judge.breaker import Breaker, Budget
from milepost.milestones.judge.endpoint import Endpoint, EndpointError, EndpointSetupError, JudgeClient
from milepost.milestones.judge.scripted import Act, ScriptedJudgeServer
from tests.milestones.judge.conftest import Clock, Naps

Make = Callable[..., JudgeClient]
MESSAGES = [{"role": "user", "content": "hello"}]


async def test_a_reply_comes_with_why_it_ended_and_what_it_cost(make_client: Make) -> None:
    async with ScriptedJudgeServer(lambda request, n: Act(content="hi", finish="length")) as server:
        reply = await make_client(server.url).complete(MESSAGES, {"type": "object"})
    assert (reply.text, reply.finish, reply.tokens) == ("hi", "length", 100)
    asked = server.requests[0]
    assert (asked["model"], asked["temperature"]) == ("scripted-a", 0)
    assert asked["response_format"]["json_schema"] == {
        "name": "verdict",
        "strict": True,
        "schema": {"type": "object"},
    }


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_may_pass_is_tried_again_with_growing_pauses(make_client: Make, status: int) -> None:
    naps = Naps()
    async with ScriptedJudgeServer(lambda r, n: Act(status=status) if n < 2 else Act(content="ok")) as server:
        reply = await make_client(server.url, sleep=naps).complete(MESSAGES, {})
    assert (reply.text, len(server.requests)) == ("ok", 3)
    assert 0.5 <= naps.seconds[0] <= 1.5
    assert 1.0 <= naps.seconds[1] <= 3.0


async def test_what_will_not_pass_is_not_tried_again(make_client: Make) -> None:
    async with ScriptedJudgeServer(lambda r, n: Act(status=400)) as server:
        with pytest.raises(EndpointError, match="answered 400"):
            await make_client(server.url).complete(MESSAGES, {})
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("act", "total_s", "reason"),
    [
        (Act(status=503), 60.0, "answered 503"),
        (Act(wait_s=60.0), 0.1, "no answer within 0.1 s"),
        (Act(content="x" * 100, cut=True), 60.0, "the connection broke"),
        (Act(content=None), 60.0, "sent no completion: no text"),
    ],
)
async def test_an_outage_is_an_error_that_says_why(
    make_client: Make, act: Act, total_s: float, reason: str
) -> None:
    async with ScriptedJudgeServer(lambda r, n: act) as server:
        with pytest.raises(EndpointError, match=reason):
            await make_client(server.url, total_s=total_s).complete(MESSAGES, {})


async def test_a_refusal_is_a_reply_that_ended_as_one(make_client: Make) -> None:
    act = Act(content=None, message={"refusal": "I cannot."})
    async with ScriptedJudgeServer(lambda r, n: act) as server:
        assert (await make_client(server.url).complete(MESSAGES, {})).finish == "refusal"


async def test_the_breaker_and_the_budget_stop_calls(make_client: Make) -> None:
    breaker, budget = Breaker(Clock()), Budget(calls=7, tokens=10**6)
    async with ScriptedJudgeServer(lambda r, n: Act(status=503)) as server:
        client = make_client(server.url, breaker=breaker, budget=budget)
        for _ in range(3):
            with pytest.raises(EndpointError):
                await client.complete(MESSAGES, {})
        assert len(server.requests) == 5  # 3, 2, and the breaker is open
        with pytest.raises(EndpointError, match="the breaker is open"):
            await client.complete(MESSAGES, {})
        client = make_client(server.url, budget=budget, retries=5)
        with pytest.raises(EndpointError, match="the budget of 7 calls is spent"):
            await client.complete(MESSAGES, {})
        assert len(server.requests) == 7


async def test_a_wrong_key_model_or_address_is_found_before_a_run(make_client: Make) -> None:
    async with ScriptedJudgeServer(lambda r, n: Act(content="yes"), key="right") as server:
        await make_client(server.url, key="right").check()
        with pytest.raises(EndpointSetupError, match=r"answered 401.*its key is missing or wrong"):
            await make_client(server.url, key="wrong").check()
        with pytest.raises(EndpointSetupError, match=r"answered 404.*should end in /v1"):
            await make_client(server.url.removesuffix("/v1"), key="right").check()
    with pytest.raises(EndpointSetupError, match="nothing listens there"):
        await make_client("http://127.0.0.1:9/v1").check()
    with pytest.raises(EndpointSetupError, match="cannot be used"):
        await make_client("no address").check()


def test_a_key_is_not_shown() -> None:
    assert "secret" not in repr(Endpoint(url="http://a", model="m", key="secret"))
