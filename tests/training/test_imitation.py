from dataclasses import replace

import numpy as np
import torch

from milepost.agents.prompt import encode_observation, render_decision
from milepost.agents.sight import find_sight
from milepost.agents.tiny.tokenizer import build_tokenizer
from milepost.sandbox.actions import Click
from milepost.sandbox.dialect import parse_action
from milepost.sandbox.observation import Element, Observation
from milepost.training.imitation import Demonstrator, Drill, collect_examples, imitate
from milepost.training.trajectory import Status
from tests.agents.seeing import draw_picture, make_seeing
from tests.training.trajectories import make_model, make_trajectory, make_turn

PAGE = Observation(
    goal="press Save",
    url="http://a.test/",
    title="A",
    elements=(Element(id="12", depth=0, role="button", name="Save"),),
)


async def test_a_demonstration_is_the_solutions_action_in_the_policys_tokens() -> None:
    tokenizer = build_tokenizer(["Save", "click", "button"])
    decision = await Demonstrator(lambda observation: Click("12"), tokenizer).act(PAGE)
    assert decision.text == render_decision(Click("12"), PAGE)
    completion = decision.completion
    assert completion is not None
    assert completion.prompt_ids == encode_observation(PAGE, tokenizer)
    assert completion.completion_ids[-1] == tokenizer.eos_token_id
    said = tokenizer.decode(list(completion.completion_ids), skip_special_tokens=True)
    assert parse_action(str(said)) == Click("12")
    assert completion.logps == (0.0,) * len(completion.completion_ids)


def test_only_turns_of_solved_episodes_become_examples() -> None:
    turns = [make_turn(), make_turn(prompt=(1,) * 50), make_turn(completion=())]
    solved = make_trajectory(turns, success=True)
    failed = make_trajectory(turns)
    broken = make_trajectory(turns, success=True, status=Status.TIMEOUT)
    examples = collect_examples([solved, failed, broken], longest=20)
    assert [(row.prompt_ids, row.completion_ids) for row in examples] == [((1, 2, 3), (4, 5))]


def test_imitation_makes_demonstrations_likely() -> None:
    turns = [make_turn(prompt=(3, 5, i), completion=(i + 10, 1)) for i in range(2, 12)]
    examples = collect_examples([make_trajectory(turns, success=True)])
    model, steps = make_model(), []
    drill = Drill(epochs=30, batch_rows=4, learning_rate=1e-2)
    losses = list(
        imitate(model, examples, drill=drill, rng=np.random.default_rng(0), on_step=lambda: steps.append(1))
    )
    assert len(steps) == drill.steps(len(examples)) == 90
    assert losses[0][0] > 3.0
    assert losses[-1][-1] < 0.3
    ids_BT = torch.tensor([turn.completion.prompt_ids for turn in turns])
    assert model(input_ids=ids_BT).logits[:, -1].argmax(-1).tolist() == list(range(12, 22))


def test_who_has_seen_enough_stops_after_any_epoch() -> None:
    examples = collect_examples([make_trajectory([make_turn()] * 4, success=True)])
    model = make_model()
    losses = next(imitate(model, examples, drill=Drill(batch_rows=2), rng=np.random.default_rng(0)))
    assert len(losses) == 2


def test_imitating_nothing_changes_nothing() -> None:
    model = make_model()
    before = [p.clone() for p in model.parameters()]
    assert list(imitate(model, [], drill=Drill(), rng=np.random.default_rng(0))) == [[], []]
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


async def test_a_demonstration_for_a_policy_that_sees_holds_the_picture() -> None:
    model, tokenizer = make_seeing("llava")
    sight = find_sight(model)
    assert sight is not None
    seen = replace(PAGE, screenshot=draw_picture(40))
    completion = (await Demonstrator(lambda observation: Click("12"), tokenizer, sight).act(seen)).completion
    assert completion is not None
    assert completion.prompt_ids == sight.encode_observation(seen)
    assert completion.picture == seen.screenshot
    turn = replace(make_turn(), completion=completion)
    (row,) = collect_examples([make_trajectory([turn], success=True)], longest=5)
    assert row.picture == seen.screenshot
