"""The agent that a model behind a chat endpoint plays: messages out, text back, no tokens."""

from dataclasses import replace

from milepost.agents.agent import Decision, Sampling
from milepost.agents.engines.openai import ChatEndpoint
from milepost.agents.llm import draw_turn_seed
from milepost.agents.prompt import render_messages
from milepost.sandbox.observation import Observation


class ChatAgent:
    """Reads an observation, asks an endpoint, answers with what the model wrote. One agent plays one episode."""

    def __init__(self, endpoint: ChatEndpoint, sampling: Sampling) -> None:
        """Prepare an agent.

        Args:
            endpoint: serves the model.
            sampling: how completions are drawn; its seed is the episode's.
        """
        self._endpoint = endpoint
        self._sampling = sampling
        self._turn = 0

    async def act(self, observation: Observation) -> Decision:
        """Decide on the next action. The decision has no completion: nothing exact is known of its tokens.

        Raises:
            EngineError: the endpoint gave no reply.
        """
        seed = draw_turn_seed(self._sampling.seed, self._turn)
        self._turn += 1
        reply = await self._endpoint.complete(
            render_messages(observation), replace(self._sampling, seed=seed)
        )
        return Decision(text=reply.text)
