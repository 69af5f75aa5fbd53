from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from milepost.milestones.learned.ensemble import ModelFormatError, RewardModel
from milepost.milestones.learned.gauge import NOTHING_DONE, open_gauge
from milepost.milestones.learned.transition import Transition
from milepost.training.reward_model.text_tier import TextModel, load_text_model, open_trunk, render_step

TREE = '[1] textbox "Name"\n[2] button "Save"'
STEP = Transition(goal="Enter Ada.", tree=TREE, action='fill("1", "Ada")', changes=(), touched=("Menu",))


def make_model(max_tokens: int = 96) -> TextModel:
    trunk, tokenizer = open_trunk("tiny", seed=0)
    size = trunk.config.hidden_size
    rng = np.random.default_rng(0)
    return TextModel(
        trunk=trunk,
        tokenizer=tokenizer,
        head_KH=torch.tensor(rng.normal(0, 1, (3, size)), dtype=torch.float32),
        mask_KH=torch.ones(3, size),
        max_tokens=max_tokens,
        gauge=replace(open_gauge(3, size), centre_K=np.array([0.5, 0.0, -0.5]), familiar=1e9),
    )


@pytest.fixture(scope="module")
def model() -> TextModel:
    return make_model()


def test_a_step_is_written_with_its_page_last() -> None:
    assert render_step(STEP) == (
        'goal: Enter Ada.\naction: fill("1", "Ada")\nend: no\non: [1] textbox "Name"\nthen: \nbefore: Menu\n'
        'page: [1] textbox "Name"\n[2] button "Save"'
    )


def test_an_episode_is_the_length_normalised_sum_of_its_steps(model: TextModel) -> None:
    asked: RewardModel = model
    other = Transition(goal="Enter Ada.", tree=TREE, action='click("2")', changes=(), last=True)
    rewards = asked.score_steps([STEP, other])
    assert rewards.shape == (3, 2)
    # Padding beside a longer step changes nothing.
    assert rewards[:, :1] == pytest.approx(model.score_steps([STEP]), abs=1e-4)
    found = model.score_episode([STEP, other])
    returns = rewards.sum(1) / 2**0.5 - model.gauge.centre_K
    assert [found.mean, found.spread] == pytest.approx([returns.mean(), returns.std()])
    assert found.probability == pytest.approx(1 / (1 + np.exp(-found.mean)))
    assert not found.unfamiliar
    assert model.score_episode([]) == NOTHING_DONE


def test_a_long_page_is_cut_and_a_long_goal_refused(model: TextModel) -> None:
    long = Transition(goal="Enter Ada.", tree="\n".join([TREE] * 200), action='fill("1", "Ada")', changes=())
    assert model.score_steps([long]).shape == (3, 1)
    with pytest.raises(ValueError, match="more than the 96 tokens"):
        model.score_steps([Transition(goal="Enter Ada. " * 100, tree=TREE, action="", changes=())])


def test_names_that_a_page_gives_may_be_as_long_as_they_like(model: TextModel) -> None:
    named = Transition(
        goal="Enter Ada.",
        tree=f'[1] textbox "{"Name " * 300}"',
        action='fill("1", "Ada")',
        changes=(),
        touched=("Menu " * 300,) * 8,
    )
    assert model.score_steps([named]).shape == (3, 1)
    assert f"before: {'; '.join(['Menu ' * 8] * 8)}\n" in render_step(named)


def test_a_stored_model_says_the_same(model: TextModel, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    again = load_text_model(tmp_path / "model")
    assert again.digest == model.digest
    assert again.score_episode([STEP]) == model.score_episode([STEP])


def test_what_is_no_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="holds no text reward model"):
        load_text_model(tmp_path)
    with pytest.raises(ModelFormatError, match="is no model that can be opened"):
        open_trunk(str(tmp_path), seed=0)
