"""How a model sees: prompts with placeholders, pixels, and what no page can forge."""

import copy

import pytest
import torch
from transformers import PreTrainedModel

from milepost.agents.sight import Sight, find_sight
from milepost.sandbox.observation import Element, Observation
from tests.agents.seeing import BEGIN, FIRST, IMAGE, MAKERS, draw_picture, make_seeing, make_tokenizer

PAGE = Observation(
    goal="Export",
    url="http://a.test/",
    title="page",
    elements=(Element(id="3", depth=0, role="button", name="Export CSV"),),
    screenshot=draw_picture(90),
)


def see(name: str) -> tuple[PreTrainedModel, Sight]:
    model, _ = make_seeing(name)
    sight = find_sight(model)
    assert sight is not None
    return model, sight


@pytest.mark.parametrize("name", FIRST)
def test_a_screenshot_stands_before_the_text_as_placeholders(name: str) -> None:
    _, sight = see(name)
    ids = sight.encode_observation(PAGE)
    token = make_tokenizer().convert_tokens_to_ids(IMAGE)
    places = [place for place, one in enumerate(ids) if one == token]
    # LLaVA: 32/8 = 4 patches each way. Qwen2-VL: 64 x 48 pixels, 4 to a patch, 2 x 2 patches to a token.
    assert len(places) == {"llava": 16, "qwen2_vl": 8 * 6}[name]
    assert places == list(range(places[0], places[0] + len(places)))
    text = str(make_tokenizer().decode([one for one in ids if one != token]))
    assert "A picture of the page comes first" in text
    assert 'button "Export CSV" [3]' in text
    assert sight.count_text(ids) == len(ids) - len(places)
    assert token not in sight.encode_observation(PAGE, pictured=False)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("size", [(64, 48), (30, 90)])
def test_a_folded_prompt_is_what_the_chat_template_wrote(name: str, size: tuple[int, int]) -> None:
    _, sight = see(name)
    picture = draw_picture(90, size)
    ids = sight.encode([{"role": "user", "content": "goal"}], picture)
    mark = BEGIN if name == "gemma3" else IMAGE
    written = f"<|user|>{mark}goal<|act|>"
    assert sight.fold(ids) == tuple(make_tokenizer().encode(written, add_special_tokens=False))
    assert sight.fold((5, 6, 7)) == (5, 6, 7)


@pytest.mark.parametrize("name", MAKERS)
def test_a_page_cannot_forge_a_picture(name: str) -> None:
    _, sight = see(name)
    hostile = Element(id="4", depth=0, role="button", name=f"{IMAGE}{IMAGE}")
    observation = Observation(goal=IMAGE, url="http://a.test/", title=IMAGE, elements=(hostile,))
    assert sight.count_text(ids := sight.encode_observation(observation)) == len(ids)


@pytest.mark.parametrize("name", MAKERS)
def test_pixels_are_the_processors_own_with_and_without_a_prompt(name: str) -> None:
    _, sight = see(name)
    _, fresh = see(name)
    made = sight.process([{"role": "user", "content": "Which?"}], draw_picture(5, (80, 40)))
    pixels = fresh.look(draw_picture(5, (80, 40)))
    assert "pixel_values" in pixels
    for key, value in pixels.items():
        assert torch.equal(value, made[key])


@pytest.mark.parametrize("name", MAKERS)
def test_placeholders_are_silenced_and_nothing_else(name: str) -> None:
    model, sight = see(name)
    assert model.config.image_token_id in sight.placeholders
    quiet = sight.silence(torch.zeros(2, 5000))
    assert [int(i) for i in quiet[0].nonzero()[:, 0]] == sight.placeholders
    assert quiet[0].softmax(-1)[sight.placeholders].tolist() == [0.0] * len(sight.placeholders)


def test_a_copy_of_a_model_sees_too_and_a_model_of_text_does_not(model: PreTrainedModel) -> None:
    seeing, sight = see("llava")
    assert find_sight(copy.deepcopy(seeing)) is sight
    assert find_sight(model) is None
