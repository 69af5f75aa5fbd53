import numpy as np
import pytest

from milepost.agents.scripted import OracleAgent
from milepost.sandbox.actions import Action, Answer, Click, Fill, MouseDragAndDrop
from milepost.sandbox.dialect import parse_action
from milepost.sandbox.observation import Element, Observation
from milepost.training.reward_model.corruption import CLAIMS, HACKS, Play, draw_other, make_player

FIELD = Element(id="1", depth=0, role="textbox", name="Name")
SEND, BACK = (Element(id=i, depth=0, role="button", name=n) for i, n in (("2", "Send"), ("3", "Back")))


def observe(value: str = "") -> Observation:
    field = Element(id="1", depth=0, role="textbox", name="Name", value=value)
    return Observation(goal="Enter Ada and press Send", url="", title="", elements=(field, SEND, BACK))


def oracle(observation: Observation) -> Action:
    field = observation.element("textbox")
    return Click("2") if field is not None and field.value == "Ada" else Fill("1", "Ada")


async def play(kind: Play, *, turns: int, seed: int = 0) -> list[Action]:
    """Play against a field that takes what is filled in."""
    player = make_player(kind, oracle, np.random.default_rng(seed))
    value, actions = "", []
    for _ in range(turns):
        action = parse_action((await player.act(observe(value))).text)
        value = action.text if isinstance(action, Fill) else value
        actions.append(action)
    return actions


async def test_the_oracle_plays_itself() -> None:
    assert await play(Play.ORACLE, turns=2) == [Fill("1", "Ada"), Click("2")]
    assert isinstance(make_player(Play.ORACLE, oracle, np.random.default_rng(0)), OracleAgent)


async def test_a_stopped_player_follows_and_gives_up() -> None:
    actions = await play(Play.STOPPED, turns=5)
    done = actions.index(Answer(""))
    assert actions[:done] == [Fill("1", "Ada"), Click("2"), Click("2")][:done]


async def test_a_wrong_value_stays_wrong_though_the_solution_would_mend_it() -> None:
    first, second, *_ = await play(Play.WRONG_VALUE, turns=3)
    assert isinstance(first, Fill)
    assert first.text != "Ada"
    assert second == Click("2")


async def test_a_wrong_target_is_another_element_of_the_role() -> None:
    for seed in range(4):
        actions = await play(Play.WRONG_TARGET, turns=4, seed=seed)
        assert actions.count(Click("3")) == 1
        assert actions[0] == Fill("1", "Ada")


async def test_a_wrong_drag_goes_the_other_way_once() -> None:
    def drag(_observation: Observation) -> Action:
        return MouseDragAndDrop(1, 2, 3, 4)

    player = make_player(Play.WRONG_TARGET, drag, np.random.default_rng(0))
    actions = [parse_action((await player.act(observe())).text) for _ in range(2)]
    assert actions == [MouseDragAndDrop(3, 4, 1, 2), MouseDragAndDrop(1, 2, 3, 4)]


async def test_hacks_claim_and_churn() -> None:
    claimed = await play(Play.CLAIM, turns=3)
    assert isinstance(claimed[0], Fill)
    assert claimed[0].text in CLAIMS
    assert claimed[1] == Click("2")
    assert isinstance(claimed[2], Answer)
    churned = [type(action).__name__ for action in await play(Play.CHURN, turns=9)]
    assert churned == ["Fill", "Reload", *["Click", "Reload"] * 3, "Answer"]


async def test_a_stuffer_copies_the_goal_everywhere() -> None:
    filled, *pressed, answered = await play(Play.STUFF, turns=4)
    assert isinstance(filled, Fill)
    assert observe().goal.endswith(filled.text)
    assert (pressed, answered) == ([Click("2"), Click("3")], Answer(observe().goal))
    assert {Play.CLAIM, Play.CHURN, Play.STUFF} == HACKS


@pytest.mark.parametrize("kind", Play)
async def test_a_play_is_the_same_for_the_same_seed(kind: Play) -> None:
    assert await play(kind, turns=4, seed=3) == await play(kind, turns=4, seed=3)


def test_another_text_is_not_the_right_one() -> None:
    rng = np.random.default_rng(0)
    assert {draw_other("Ada", observe(), rng).lower() for _ in range(50)} <= {"enter", "and", "press", "send"}
    assert all(draw_other("7", observe(), rng) != "7" for _ in range(50))
    assert draw_other("x", Observation(goal="x", url="", title=""), rng) == "xx"
