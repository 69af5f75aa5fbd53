"""Agents without a model."""

import numpy as np

from milepost.agents.scripted import OracleAgent, RandomAgent
from milepost.sandbox.actions import AcceptDialog, Click, DismissDialog, Fill, Press, SelectOption
from milepost.sandbox.dialect import parse_action
from milepost.sandbox.observation import Dialog, Element, Observation

FORM = Observation(
    goal="Set Amount to 5",
    url="http://a.test/",
    title="t",
    elements=(
        Element(id="1", depth=0, role="textbox", name="Amount"),
        Element(id="2", depth=0, role="combobox", name="Kind"),
        Element(id="3", depth=1, role="option", name="Meals"),
        Element(id="4", depth=0, role="button", name="Save", states=("disabled",)),
        Element(id="", depth=0, role="text", name="hello"),
    ),
)


async def test_the_oracle_agent_says_what_the_solution_says() -> None:
    decision = await OracleAgent(lambda observation: Click(observation.find("textbox") or "")).act(FORM)
    assert decision.text == 'click("1")'
    assert decision.completion is None


async def test_a_random_agent_only_takes_legal_actions_on_usable_elements() -> None:
    agent = RandomAgent(np.random.default_rng(0))
    actions = [parse_action((await agent.act(FORM)).text) for _ in range(300)]
    assert {type(a).__name__ for a in actions} == {"Click", "Fill", "Press", "SelectOption", "Back", "Scroll"}
    assert {a.element for a in actions if isinstance(a, Fill | Press)} == {"1"}
    assert {a for a in actions if isinstance(a, SelectOption)} == {SelectOption("2", "Meals")}
    assert {a.element for a in actions if isinstance(a, Click)} == {"3"}
    assert all(a.text in FORM.goal for a in actions if isinstance(a, Fill))


async def test_a_random_agent_answers_an_open_dialog() -> None:
    page = Observation(goal="", url="", title="", dialog=Dialog(type="confirm", message="Sure?"))
    agent = RandomAgent(np.random.default_rng(0))
    actions = {parse_action((await agent.act(page)).text) for _ in range(30)}
    assert actions == {AcceptDialog(), DismissDialog()}


async def test_a_random_agent_does_the_same_with_the_same_seed() -> None:
    first, second = (RandomAgent(np.random.default_rng(4)) for _ in range(2))
    assert [await first.act(FORM) for _ in range(20)] == [await second.act(FORM) for _ in range(20)]
