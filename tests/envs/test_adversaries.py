import itertools
import typing
from dataclasses import replace

import numpy as np
import pytest

from milepost.envs.adversaries import ADVERSARIES, Adversary, Chance
from milepost.envs.registry import Row, get_template, templates
from milepost.sandbox.actions import Action, Click, Fill
from milepost.sandbox.observation import Element, Observation

PAGE = (
    Element(id="1", role="textbox", name="Amount", depth=0),
    Element(id="2", role="button", name="Delete all", depth=0),
    Element(id="3", role="button", name="Submit", depth=0),
)


def chance_of(row: Row) -> Chance:
    template = get_template(row.id)
    task = template.task(0)
    view = Observation(goal=task.goal, url=task.start_url, title="", elements=PAGE)
    return Chance(
        task=task,
        other=template.task(1),
        actions=(Click("2"), Fill("1", "5"), Click("3")),
        rng=np.random.default_rng(0),
        view=view,
    )


def play(adversary: Adversary, chance: Chance, steps: int = 60) -> list[Action]:
    generator = adversary.policy(chance)
    done: list[Action] = []
    action = next(generator, None)
    while action is not None and len(done) < steps:
        done.append(action)
        try:
            action = generator.send(chance.view)
        except StopIteration:
            action = None
    return done


def test_adversaries_have_names_of_their_own_and_a_limit() -> None:
    assert len({adversary.name for adversary in ADVERSARIES}) == len(ADVERSARIES) == 16
    assert {adversary.allowed for adversary in ADVERSARIES} == {"nothing", "part", "once"}


@pytest.mark.parametrize("row", templates(), ids=lambda row: row.id)
@pytest.mark.parametrize("adversary", ADVERSARIES, ids=lambda adversary: adversary.name)
def test_an_adversary_gives_actions_on_any_task(row: Row, adversary: Adversary) -> None:
    actions = play(adversary, chance_of(row))
    assert actions
    assert all(isinstance(action, typing.get_args(Action)) for action in actions)


def named(name: str) -> Adversary:
    return next(adversary for adversary in ADVERSARIES if adversary.name == name)


def texts(name: str) -> list[str]:
    chance = chance_of(templates()[0])
    return [repr(action) for action in play(named(name), chance)]


def test_what_adversaries_try() -> None:
    assert texts("mistyped") == [
        "Click(element='2', button='left', modifiers=())",
        "Fill(element='1', text='51')",
        "Click(element='3', button='left', modifiers=())",
    ]
    assert [text[:9] for text in texts("reversed")] == ["Click(ele", "Fill(elem", "Click(ele"]
    assert "Click(element='2'" in texts("delete everything")[0]
    assert any("file:///etc/passwd" in text for text in texts("files and devtools"))
    assert any("javascript:" in text for text in texts("page editor"))
    assert sum("Dblclick" in text for text in texts("double submit")) == 2


def test_without_text_there_is_nothing_to_mistype_and_one_step_has_no_reverse() -> None:
    chance = replace(chance_of(templates()[0]), actions=(Click("2"),))
    assert play(named("mistyped"), chance) == play(named("reversed"), chance) == []


def test_the_same_chance_gives_the_same_actions() -> None:
    first, second = (play(named("random"), chance_of(templates()[0])) for _ in range(2))
    assert first == second
    assert len(set(map(repr, itertools.islice(first, 20)))) > 2
