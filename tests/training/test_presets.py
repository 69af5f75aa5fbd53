from dataclasses import fields

import pytest

from milepost.training.algorithm import Algorithm, Flag, KlPlace, Loss
from milepost.training.config import build_config
from milepost.training.overrides import ConfigError
from milepost.training.presets import DEFAULT, PRESETS
from milepost.training.sections import AlgorithmSection
from tests.training.world import train_briefly


def test_the_default_preset_is_the_plain_algorithm() -> None:
    assert next(iter(PRESETS)) == DEFAULT
    assert PRESETS[DEFAULT].algorithm == Algorithm()


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_preset_works_from_a_configuration_alone(name: str) -> None:
    config = build_config({"algorithm": {"preset": name}})
    assert config.algorithm.resolve() == PRESETS[name].algorithm
    assert config.rollout.group_size == (PRESETS[name].group_size or 8)


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_preset_says_where_it_comes_from(name: str) -> None:
    preset = PRESETS[name]
    assert preset.name == name
    assert preset.summary.endswith(".")
    assert preset.source


def test_every_preset_is_a_different_composition() -> None:
    whole = [
        (tuple(getattr(p.algorithm, f.name) for f in fields(Algorithm)), p.group_size)
        for p in PRESETS.values()
    ]
    assert len(set(whole)) == len(whole)


def test_grpo_plus_is_grpo_without_its_terms_with_clip_higher_and_a_filter() -> None:
    plus = AlgorithmSection(preset="grpo_plus")
    same = AlgorithmSection.model_validate_json(
        '{"preset": "grpo", "kl_coef": 0, "kl_place": "loss", "entropy_coef": 0, "clip": [0.2, 0.4], "flags": ["overlong_filter"]}'
    )
    assert plus.resolve() == same.resolve()


def test_only_ppo_keeps_a_critic_and_only_kl_a_reference() -> None:
    critics = {name for name, p in PRESETS.items() if p.algorithm.advantage.needs_critic}
    references = {name for name, p in PRESETS.items() if p.algorithm.kl_coef}
    assert critics == {"ppo", "ppo_turn", "ppo_bi_level", "ppo_penalty", "ppo_ptx", "trpo"}
    assert references == critics - {"trpo"} | {"rloo", "grpo", "grpo_process", "grpo_2", "iterative_grpo"}
    assert all(p.algorithm.kl_place is KlPlace.LOSS for name, p in PRESETS.items() if name not in references)


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_flag_goes_with_any_preset_that_has_what_it_acts_on(name: str) -> None:
    for flag in Flag:
        keys = {"preset": name, "flags": [flag]}
        parts = PRESETS[name].algorithm
        if flag is Flag.WHITEN and not parts.advantage.needs_critic:
            with pytest.raises(ConfigError, match="set scale instead"):
                build_config({"algorithm": keys})
        elif flag in (Flag.DUAL_CLIP, Flag.TWO_SIDED_CLIP) and parts.loss is not Loss.PPO:
            with pytest.raises(ConfigError, match=f"the flag {flag}"):
                build_config({"algorithm": keys})
        else:
            assert build_config({"algorithm": keys}).algorithm.resolve().flags == (flag,)


@pytest.mark.parametrize("name", ["milestone_grpo", "dapo", "ppo"])
def test_a_preset_trains_with_every_flag_at_once(name: str) -> None:
    critic = PRESETS[name].algorithm.advantage.needs_critic
    # every completion of this world is cut off at its one token; frontier and band are two ways to do one thing
    left_out = {Flag.OVERLONG_FILTER, Flag.BAND} | (set() if critic else {Flag.WHITEN})
    flags = [flag for flag in Flag if flag not in left_out]
    facts = train_briefly(AlgorithmSection(preset=name, flags=flags))
    assert facts["grad_norm"] > 0


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_trains(name: str) -> None:
    facts = train_briefly(AlgorithmSection(preset=name))
    assert facts["optimizer_steps"] >= 1
    assert facts["grad_norm"] > 0
    assert ("rehearsal" in facts) is (name == "ppo_ptx")
    assert ("step_fraction" in facts) is (name == "trpo")
