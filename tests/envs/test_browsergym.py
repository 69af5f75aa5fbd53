"""Observations as BrowserGym's users know them."""

import pytest

from milepost.envs.browsergym import BrowserGymEnv, build_axtree
from milepost.sandbox.dialect import render_action
from milepost.sandbox.observation import Observation, parse_tree

TREE = """[1] form "Order"
 [2] textbox "Amount" value="3" focused required
 "Notes"
[3] button "Send" disabled"""


def test_the_accessibility_object_has_the_trees_nesting_ids_and_states() -> None:
    nodes = build_axtree(Observation(goal="g", url="u", title="Shop", elements=parse_tree(TREE)))["nodes"]
    assert [(n["role"]["value"], n["name"]["value"]) for n in nodes] == [
        ("RootWebArea", "Shop"),
        ("form", "Order"),
        ("textbox", "Amount"),
        ("StaticText", "Notes"),
        ("button", "Send"),
    ]
    assert [n.get("browsergym_id", "") for n in nodes] == ["", "1", "2", "", "3"]
    assert [n["childIds"] for n in nodes] == [["1", "4"], ["2", "3"], [], [], []]
    assert [n.get("parentId") for n in nodes] == [None, "0", "1", "1", "0"]
    assert nodes[2]["value"]["value"] == "3"
    assert nodes[2]["properties"] == [
        {"name": "focused", "value": {"value": True}},
        {"name": "required", "value": {"value": True}},
    ]
    assert nodes[4]["properties"] == [{"name": "disabled", "value": {"value": True}}]


@pytest.mark.browser
def test_an_episode_in_browsergyms_words() -> None:
    times = iter(float(second) for second in range(1000))
    env = BrowserGymEnv("CatalogSearch-v0", clock=lambda: next(times))
    shown, _ = env.reset(seed=1)
    assert shown in env.observation_space
    assert shown["goal_object"] == ({"type": "text", "text": shown["goal"]},)
    assert shown["chat_messages"][0]["role"] == "user"
    assert shown["screenshot"].shape == (768, 1024, 3)
    assert shown["open_pages_urls"] == (shown["url"],)
    view = env.computer.last_observation
    shown, _, _, _, _ = env.step("I look around: noop(5)")
    assert shown["last_action_error"] == ""
    shown, _, _, _, _ = env.step("click('9999')")
    assert "no element" in shown["last_action_error"]
    shown, _, _, _, _ = env.step(render_action(env.computer.episode.task.oracle(view)))
    assert shown["last_action_error"] == ""
    shown, _, terminated, _, _ = env.step("send_msg_to_user('done')")
    assert terminated
    assert shown["chat_messages"][-1]["role"] == "assistant"
    assert shown["elapsed_time"][0] > 0
    env.close()
