from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel

from milepost.milestones.learned.transition import Transition
from milepost.training.reward_model.material import Material, Texts
from milepost.training.reward_model.pairs import Label, Pair, PreferenceError, Side
from milepost.training.reward_model.text_fitting import TextRecipe, fit_text, rank_loss
from milepost.training.reward_model.text_tier import open_trunk

QUICK = TextRecipe(epochs=8, heads=2, max_tokens=48)


def make_texts(templates: int = 4) -> Texts:
    """Make prompts in which whoever presses Save does better than who leaves or waits."""
    pairs: list[Pair] = []
    steps: dict[Side, tuple[Transition, ...]] = {}
    for n in range(templates):
        sides = {}
        for action in ('click("1")', "back()", "noop()"):
            success = action.startswith("click")
            play = "oracle" if success else "random"
            sides[action] = Side(episode=f"play-{play}-T{n}-{action}", end=1, goal="Save", success=success)
            steps[sides[action]] = (
                Transition(goal="Save", tree='[1] button "Save"', action=action, changes=(), last=True),
            )
        chosen, *others = sides.values()
        pairs += [
            Pair(
                id=f"{n}-{k}",
                template=f"T{'abcdefgh'[n]}-v0",
                prompt=str(n),
                chosen=chosen,
                rejected=other,
                margin=1.0,
                source=Label.MILESTONES,
            )
            for k, other in enumerate(others)
        ]
    return Material(pairs=tuple(pairs), inputs=steps)


def test_all_pairs_of_a_prompt_are_one_element() -> None:
    returns_KN = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    found = rank_loss(returns_KN, [(0, 1, 0.0), (0, 2, 1.0)], margin=0.5, centring=0.1)
    # -log sigmoid(x) = log(1 + exp(-x)): gaps 1 and 1 - .5 for the first head, 0 and -1.5 for the second.
    first = (0.313262 + 0.474077) / 2 + 0.1 * (1 + 1) / 2
    second = (0.693147 + 1.701413) / 2 + 0.1 * (0 + 1) / 2
    assert found.tolist() == pytest.approx([first, second], abs=1e-5)


def test_it_learns_what_is_preferred_on_a_template_it_has_not_seen() -> None:
    texts = make_texts()
    losses: list[float] = []
    model = fit_text(texts, QUICK, on_prompt=lambda _, loss: losses.append(loss))
    assert sum(losses[-3:]) < sum(losses[:3])
    assert len(model.templates) == 3
    held = next(pair for pair in texts.pairs if pair.template[:2] not in model.templates)
    chosen, rejected = (model.score_episode(texts.inputs[side]) for side in (held.chosen, held.rejected))
    assert chosen.mean > rejected.mean
    assert chosen.probability > rejected.probability
    # Demonstrations average 0.
    shown = [pair.chosen for pair in texts.pairs if pair.template.removesuffix("-v0") in model.templates]
    means = [model.score_episode(texts.inputs[side]).mean for side in dict.fromkeys(shown)]
    assert sum(means) / len(means) == pytest.approx(0, abs=1e-5)


def test_an_encoder_of_a_folder_will_do(tmp_path: Path) -> None:
    _, tokenizer = open_trunk("tiny", seed=0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = fit_text(make_texts(2), TextRecipe(source=str(tmp_path), epochs=1, heads=2, max_tokens=48))
    assert model.head_KH.shape == (2, 16)
    assert model.trunk.config.model_type == "bert"


def test_one_template_is_too_few() -> None:
    with pytest.raises(PreferenceError, match="two templates or more"):
        fit_text(make_texts(1), QUICK)
