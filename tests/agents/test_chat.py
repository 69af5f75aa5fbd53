from milepost.agents.agent import Sampling
from milepost.agents.chat import ChatAgent
from milepost.agents.prompt import render_messages
from tests.agents.engines.test_openai import GOOD, make_chat
from tests.agents.engines.web import Answer, WebServer
from tests.agents.test_llm import PAGE


async def test_a_chat_agent_shows_the_page_as_messages_and_answers_without_tokens() -> None:
    with WebServer(lambda heard, n: Answer(body=GOOD)) as server:
        async with make_chat(server.url) as chat:
            agent = ChatAgent(chat, Sampling(seed=5, max_tokens=7))
            decisions = [await agent.act(PAGE) for _ in range(2)]
    assert [d.text for d in decisions] == ['click("1")'] * 2
    assert [d.completion for d in decisions] == [None, None]
    assert server.heard[0].body["messages"] == render_messages(PAGE)
    assert server.heard[0].body["max_tokens"] == 7
    seeds = [heard.body["seed"] for heard in server.heard]
    assert len(set(seeds)) == 2
