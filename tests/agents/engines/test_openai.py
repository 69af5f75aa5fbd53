import time
from typing import Any

import numpy as np
import pytest

from milepost.agents.agent import Sampling
from milepost.agents.engines.engine import EngineError, Fault
from milepost.agents.engines.openai import OPENAI_URL, ChatEndpoint, Endpoint, Reply, parse_endpoint
from milepost.agents.prompt import Message
from tests.agents.engines.web import Answer, Heard, WebServer

MESSAGES: list[Message] = [{"role": "user", "content": "goal: save"}]
GOOD = {"choices": [{"message": {"content": 'click("1")'}}], "usage": {"total_tokens": 12}}


def make_chat(url: str, slept: list[float] | None = None, **more: Any) -> ChatEndpoint:
    async def sleep(seconds: float) -> None:
        if slept is not None:
            slept.append(seconds)

    endpoint = Endpoint(model="m", url=f"{url}/v1", key="secret", **more)
    return ChatEndpoint(endpoint, rng=np.random.default_rng(0), sleep=sleep)


async def test_messages_go_out_and_a_text_comes_back() -> None:
    with WebServer(lambda heard, n: Answer(body=GOOD)) as server:
        async with make_chat(server.url) as chat:
            reply = await chat.complete(MESSAGES, Sampling(temperature=0.5, max_tokens=9, seed=2**31 + 4))
    assert reply == Reply(text='click("1")', tokens=12)
    assert (chat.calls, chat.tokens) == (1, 12)
    (heard,) = server.heard
    assert heard.path == "/v1/chat/completions"
    assert heard.headers["authorization"] == "Bearer secret"
    assert heard.body == {
        "model": "m",
        "messages": MESSAGES,
        "temperature": 0.5,
        "max_tokens": 9,
        "seed": 4,
    }


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_may_pass_is_tried_again_with_growing_waits(status: int) -> None:
    def answer(heard: Heard, number: int) -> Answer:
        return Answer(body=GOOD) if number == 2 else Answer(status=status, body={"error": "busy"})

    slept: list[float] = []
    with WebServer(answer) as server:
        async with make_chat(server.url, slept) as chat:
            assert (await chat.complete(MESSAGES, Sampling())).text == 'click("1")'
    assert len(server.heard) == 3
    assert 0.5 <= slept[0] <= 1.5
    assert 1.0 <= slept[1] <= 3.0


async def test_what_does_not_pass_is_told_in_the_endpoints_words() -> None:
    with WebServer(lambda heard, n: Answer(status=503, body={"error": "all full"})) as server:
        async with make_chat(server.url, retries=1) as chat:
            with pytest.raises(EngineError, match=r"answered 503: .*all full") as failed:
                await chat.complete(MESSAGES, Sampling())
    assert (failed.value.fault, len(server.heard)) == (Fault.BACKEND, 2)


@pytest.mark.parametrize(
    ("answer", "reason", "fault"),
    [
        (Answer(status=401, body={"error": "bad key"}), "bad key.* is the key in MILEPOST_API_KEY", Fault.SETUP),
        (Answer(status=404, body={"error": "no m"}), "no such model, or the address should end in /v1", Fault.SETUP),
        (Answer(status=400, body={"error": "too long"}), "answered 400: .*too long", Fault.REQUEST),
        (Answer(body=b"<html>"), "sent no chat completion .*<html>", Fault.SETUP),
        (Answer(body={"choices": []}), r"sent no chat completion \(IndexError\)", Fault.SETUP),
        (Answer(body={"choices": [{"message": {"content": [1]}}]}), "a message that is no text", Fault.SETUP),
    ],
)  # fmt: skip
async def test_what_is_wrong_for_good_is_not_tried_again_and_hides_the_key(
    answer: Answer, reason: str, fault: Fault
) -> None:
    with WebServer(lambda heard, n: answer) as server:
        async with make_chat(server.url) as chat:
            with pytest.raises(EngineError, match=reason) as failed:
                await chat.complete(MESSAGES, Sampling())
    assert (failed.value.fault, len(server.heard)) == (fault, 1)
    assert "secret" not in str(failed.value)
    assert "secret" not in repr(chat._endpoint)


async def test_a_refusal_is_an_empty_text() -> None:
    body = {"choices": [{"message": {"content": None, "refusal": "I cannot"}}]}
    with WebServer(lambda heard, n: Answer(body=body)) as server:
        async with make_chat(server.url) as chat:
            assert await chat.complete(MESSAGES, Sampling()) == Reply(text="", tokens=0)


async def test_a_slow_endpoint_fails_at_the_deadline_and_a_missing_one_at_once() -> None:
    def answer(heard: Heard, number: int) -> Answer:
        time.sleep(0.5)
        return Answer(body=GOOD)

    with WebServer(answer) as server:
        async with make_chat(server.url, retries=0, deadline_s=0.05) as chat:
            with pytest.raises(EngineError) as late:
                await chat.complete(MESSAGES, Sampling())
    assert late.value.fault in (Fault.TIMEOUT, Fault.DIED)
    async with make_chat(server.url, retries=0) as chat:
        with pytest.raises(EngineError, match=r"no reply from http://127\.0\.0\.1.*ConnectError") as gone:
            await chat.complete(MESSAGES, Sampling())
    assert gone.value.fault is Fault.DIED


async def test_a_spent_budget_stops_further_calls() -> None:
    with WebServer(lambda heard, n: Answer(body=GOOD)) as server:
        async with make_chat(server.url, max_calls=1) as chat:
            await chat.complete(MESSAGES, Sampling())
            with pytest.raises(EngineError, match="the budget of 1 calls is spent"):
                await chat.complete(MESSAGES, Sampling())
    assert len(server.heard) == 1


def test_a_name_gives_the_endpoint_and_openais_key_goes_to_openai_only() -> None:
    keys = {"OPENAI_API_KEY": "o", "MILEPOST_API_KEY": ""}
    own = parse_endpoint("openai:qwen@3@http://127.0.0.1:8000/v1/", keys)
    assert (own.model, own.url, own.key) == ("qwen@3", "http://127.0.0.1:8000/v1", "")
    assert parse_endpoint("openai:gpt", keys).key == "o"
    assert parse_endpoint("openai:gpt", keys).url == OPENAI_URL
    assert parse_endpoint("openai:m@https://a/v1", {"MILEPOST_API_KEY": "k"}).key == "k"


@pytest.mark.parametrize("name", ["openai:", "openai:m@host:8000", "openai:@http://a", "m@http://a"])
def test_a_name_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected openai:MODEL@URL, such as"):
        parse_endpoint(name, {})
