from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from milepost.agents.sight import find_sight
from milepost.training import study
from milepost.training.batch import Row
from milepost.training.learner import DivergedError
from milepost.training.preference_learner import Lesson, Practice, PreferenceLearner, mismatch
from milepost.training.preferences.method import METHODS, Form, Method, Schedule, Source, Terms
from milepost.training.preferences.pairs import Label, Pair, Sample, mine_pairs
from milepost.training.preferences.section import PreferenceSection, read_schedule
from milepost.training.study import study_episodes
from tests.agents.seeing import draw_picture, make_seeing
from tests.training.trajectories import make_model
from tests.training.world import GROUPS, PAGES, play

DPO = METHODS["dpo"]


def make_sample(seed: int, turns: int = 2) -> Sample:
    rng = np.random.default_rng(seed)
    rows = tuple(
        Row(
            prompt_ids=tuple(rng.integers(2, 40, size=3 + seed % 4).tolist()),
            completion_ids=(ids := tuple(rng.integers(2, 40, size=1 + (seed + t) % 3).tolist())),
            sampler_logps=(0.0,) * len(ids),
        )
        for t in range(turns)
    )
    return Sample(name=str(seed), rows=rows, ret=float(seed), success=True)


SAMPLES = [make_sample(i, turns=1 + i % 3) for i in range(6)]
PAIRS = [Pair(chosen=SAMPLES[2 * i + 1], rejected=SAMPLES[2 * i]) for i in range(3)]
LABELS = [Label(sample=one, desirable=i % 3 != 0) for i, one in enumerate(SAMPLES)]


def lessons_for(method: Method) -> Sequence[Lesson]:
    if method.source is Source.PAIRS:
        return PAIRS
    return LABELS if method.source is Source.LABELS else SAMPLES


def make_learner(method: Method = DPO, **how: object) -> PreferenceLearner:
    practice = Practice(method=method, learning_rate=1e-2, grad_clip=1e9)
    reference = make_model(seed=1) if method.needs_reference else None
    return PreferenceLearner(make_model(), replace(practice, **how), reference=reference)  # type: ignore[arg-type]


def gradient(learner: PreferenceLearner, lessons: Sequence[Lesson]) -> tuple[Tensor, dict[str, float]]:
    kept: list[Tensor] = []

    def keep(*_: object) -> None:
        kept.append(torch.cat([p.grad.flatten() for p in learner.model.parameters() if p.grad is not None]))

    learner.optimizer.register_step_pre_hook(keep)
    facts = learner.update([list(lessons)], np.random.default_rng(0))
    return kept[0], facts


def score(model: torch.nn.Module, sample: Sample) -> Tensor:
    """Add up a sample's log-probabilities plainly: one row at a time, no sharing."""
    total = torch.zeros(())
    for row in sample.rows:
        logps_TV = (
            model(input_ids=torch.tensor([row.prompt_ids + row.completion_ids])).logits[0].log_softmax(-1)
        )
        start = len(row.prompt_ids)
        for k, token in enumerate(row.completion_ids):
            total = total + logps_TV[start + k - 1, token]
    return total


def test_the_gradient_is_that_of_the_whole_loss_computed_plainly() -> None:
    learner = make_learner()
    found, facts = gradient(learner, PAIRS)
    policy, reference = make_model(), make_model(seed=1)
    gaps = [
        score(policy, p.chosen)
        - score(policy, p.rejected)
        - (score(reference, p.chosen) - score(reference, p.rejected)).detach()
        for p in PAIRS
    ]
    loss = torch.stack([-torch.nn.functional.logsigmoid(0.1 * gap) for gap in gaps]).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    plain = torch.cat([p.grad.flatten() for p in policy.parameters() if p.grad is not None])
    assert facts["loss"] == pytest.approx(float(loss.detach()), abs=1e-6)
    assert float((found - plain).abs().max()) < 1e-6
    assert facts["accuracy"] == pytest.approx(np.mean([float(gap.detach()) > 0 for gap in gaps]))
    assert facts["margin"] == pytest.approx(np.mean([0.1 * float(gap.detach()) for gap in gaps]), abs=1e-6)


@pytest.mark.parametrize("name", ["dpo", "orpo", "kto", "sft"])
def test_loss_and_gradient_do_not_depend_on_how_the_batch_is_cut(name: str) -> None:
    method = METHODS[name]
    whole, facts = gradient(make_learner(method, entropy_coef=0.01), lessons_for(method))
    for budget in (1, 12, 30):
        parts, again = gradient(
            make_learner(method, entropy_coef=0.01, token_budget=budget), lessons_for(method)
        )
        assert again["loss"] == pytest.approx(facts["loss"], abs=1e-6)
        assert float((parts - whole).abs().max()) < 1e-6


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda m: m.name)
def test_every_method_takes_a_finite_step_that_lowers_its_loss(method: Method) -> None:
    learner = make_learner(method, learning_rate=3e-4)
    lessons = list(lessons_for(method))
    rng = np.random.default_rng(0)
    losses = [learner.update([lessons], rng)["loss"] for _ in range(1 if method.restarts else 6)]
    assert all(np.isfinite(losses))
    if not method.restarts:
        assert losses[-1] < losses[0]


def test_an_entropy_bonus_raises_the_entropy() -> None:
    plain, bold = make_learner(learning_rate=1e-3), make_learner(learning_rate=1e-3, entropy_coef=1.0)
    for learner in (plain, bold):
        facts = [learner.update([PAIRS], np.random.default_rng(0)) for _ in range(5)]
        assert facts[0]["entropy"] > 0.0
    last = [one.update([PAIRS], np.random.default_rng(0))["entropy"] for one in (plain, bold)]
    assert last[1] > last[0]


@pytest.mark.parametrize("kind", ["no lessons", "labels of one kind"])
def test_without_anything_to_learn_from_the_policy_stays_as_it_is(kind: str) -> None:
    learner = make_learner(METHODS["kto"])
    rng = np.random.default_rng(0)
    assert learner.update([LABELS], rng)["optimizer_steps"] == 1.0
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    lessons = [replace(one, desirable=False) for one in LABELS] if kind == "labels of one kind" else []
    assert learner.update([lessons, lessons], rng)["optimizer_steps"] == 0.0
    assert all(torch.equal(before[name], value) for name, value in learner.model.state_dict().items())


def test_a_method_with_a_reference_needs_one() -> None:
    with pytest.raises(ValueError, match="'dpo' needs a reference policy"):
        PreferenceLearner(make_model(), Practice(method=DPO))


def test_a_loss_that_is_no_number_stops_before_the_step() -> None:
    wild = replace(DPO, form=Form.SPPO, terms=Terms(beta=1e-200))
    with pytest.raises(DivergedError, match=r"the loss is inf; lower optim.learning_rate"):
        make_learner(wild).update([PAIRS], np.random.default_rng(0))


def test_minibatches_and_passes_are_steps() -> None:
    facts = make_learner(minibatches=2).update([PAIRS, PAIRS, []], np.random.default_rng(0))
    assert facts["optimizer_steps"] == 4.0


def test_completions_are_put_after_prompts_that_are_not_theirs() -> None:
    mixed = mismatch(SAMPLES[2], SAMPLES[4])
    assert [row.prompt_ids for row in mixed.rows] == [row.prompt_ids for row in SAMPLES[2].rows[:2]]
    assert [row.completion_ids for row in mixed.rows] == [row.completion_ids for row in SAMPLES[4].rows]


def weights(model: torch.nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_a_copy_plays_that_takes_the_weights_every_so_often() -> None:
    learner = make_learner(schedule=Schedule.SEMI_ONLINE, sync_every=2)
    played, own = [], []
    for iteration in range(1, 6):
        learner.begin(iteration)
        own.append(weights(learner.model))
        with learner.playing():
            played.append(weights(learner.model))
        assert torch.equal(weights(learner.model), own[-1])
        learner.update([PAIRS], np.random.default_rng(iteration))
    assert learner.syncs == 3  # of 5 iterations in twos
    assert [next(i for i in range(5) if torch.equal(p, own[i])) for p in played] == [0, 0, 2, 2, 4]


def test_stages_and_behaviour_move_the_reference_and_nothing_else_does() -> None:
    for name, expected in (("dpo", [False] * 3), ("bpo", [True] * 3), ("sdpo", [True, False, True])):
        method = METHODS[name]
        learner = make_learner(replace(method, reference_every=2) if name == "sdpo" else method)
        moved = []
        for iteration in range(1, 4):
            learner.begin(iteration)
            moved.append(learner.update([PAIRS], np.random.default_rng(0))["margin"] == pytest.approx(0.0))
        assert moved == expected, name


def test_rest_em_begins_every_iteration_at_the_starting_weights() -> None:
    learner = make_learner(METHODS["rest_em"])
    before, after = weights(learner.model), []
    for iteration in (1, 2):
        learner.begin(iteration)
        learner.update([SAMPLES], np.random.default_rng(0))
        after.append(weights(learner.model))
    assert torch.equal(*after)
    assert not torch.allclose(before, after[0], atol=1e-4)


def test_a_state_brings_back_optimiser_copy_and_reference() -> None:
    how = {"schedule": Schedule.SEMI_ONLINE, "sync_every": 3}
    first = make_learner(METHODS["bpo"], **how)
    for iteration in (1, 2):
        first.begin(iteration)
        first.update([PAIRS], np.random.default_rng(iteration))
    second = make_learner(METHODS["bpo"], **how)
    second.load_state_dict(deepcopy(first.state_dict()))
    second.model.load_state_dict(first.model.state_dict())
    for learner in (first, second):
        learner.begin(3)
        learner.update([PAIRS], np.random.default_rng(3))
    assert torch.equal(weights(first.model), weights(second.model))
    assert second.syncs == first.syncs == 1


def learn(rounds: int, **keys: object) -> tuple[float, float, Tensor]:
    """Give the policy's mean return before and after some rounds in the small world, and its weights."""
    section = PreferenceSection(**keys)  # type: ignore[arg-type]
    method = section.resolve()
    schedule, sync_every = read_schedule(section.schedule)
    practice = Practice(
        method=method,
        schedule=schedule,
        sync_every=sync_every,
        learning_rate=1e-2,
    )
    model, start = make_model(vocabulary=20), make_model(vocabulary=20)
    learner = PreferenceLearner(model, practice, reference=start if method.needs_reference else None)
    rng = np.random.default_rng(0)

    def measure() -> float:
        pages = np.random.default_rng(1).integers(PAGES, size=GROUPS).tolist()
        return float(np.mean([t.ret for t in play(learner, pages, 1000)]))

    before = measure()
    for number in range(1, rounds + 1):
        learner.begin(number)
        with learner.playing():
            batch = play(learner, rng.integers(PAGES, size=GROUPS).tolist(), number)
        study_episodes(learner, batch, section, rng)
    return before, measure(), weights(model)


def test_preferences_of_its_own_episodes_teach_a_policy_more_than_those_of_the_start() -> None:
    """The same pairs turned round teach nothing, and what the first policy plays runs dry."""
    start, online, _ = learn(32, method="dpo")
    _, semi, _ = learn(32, method="dpo", schedule="semi_online@5")
    _, offline, _ = learn(32, method="dpo", schedule="offline")
    assert start < 0.05
    assert min(online, semi) > offline + 0.05 > start + 0.15


def test_preferences_turned_round_teach_the_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    def turn_round(*given: Any, **how: Any) -> tuple[list[Pair], dict[str, float]]:
        pairs, facts = mine_pairs(*given, **how)
        return [Pair(chosen=pair.rejected, rejected=pair.chosen) for pair in pairs], facts

    monkeypatch.setattr(study, "mine_pairs", turn_round)
    start, end, _ = learn(16, method="dpo")
    assert end <= start


def test_semi_online_with_an_interval_of_one_is_online_to_the_last_bit() -> None:
    _, _, online = learn(3, method="dpo")
    _, _, every = learn(3, method="dpo", schedule="semi_online@1")
    _, _, seldom = learn(3, method="dpo", schedule="semi_online@2")
    assert torch.equal(online, every)
    assert not torch.allclose(online, seldom, atol=1e-4)
    assert not torch.allclose(online, weights(make_model(vocabulary=20)), atol=1e-4)


def test_preferences_that_only_pictures_tell_apart_are_learnt() -> None:
    model, _ = make_seeing("llava")
    sight = find_sight(model)
    assert sight is not None
    pairs = []
    for picture, better, worse in ((draw_picture(10), 7, 9), (draw_picture(240), 9, 7)):
        prompt = sight.encode([{"role": "user", "content": "Which?"}], picture)
        chosen, rejected = (
            Row(prompt_ids=prompt, completion_ids=(word,), sampler_logps=(0.0,), picture=picture)
            for word in (better, worse)
        )
        pairs.append(
            Pair(
                chosen=Sample(name="a", rows=(chosen,), ret=1.0),
                rejected=Sample(name="b", rows=(rejected,), ret=0.0),
            )
        )
    assert mismatch(pairs[0].chosen, pairs[1].chosen).rows[0].picture == draw_picture(10)
    learner = PreferenceLearner(model, Practice(method=DPO, learning_rate=1e-3), reference=deepcopy(model))
    facts: dict[str, float] = {}
    for _ in range(12):
        facts = learner.update([pairs], np.random.default_rng(0))
    assert facts["accuracy"] == 1.0
