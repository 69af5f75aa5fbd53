from typing import Any

import pytest

from milepost.training.algorithm import Flag, Loss
from milepost.training.config import build_config
from milepost.training.overrides import ConfigError


def test_what_is_left_out_is_as_in_the_preset_and_what_is_given_stays() -> None:
    section = build_config({"algorithm": {"preset": "dapo", "clip": [0.2, 0.5]}}).algorithm
    assert section.clip == [0.2, 0.5]
    assert section.flags == [Flag.DYNAMIC_SAMPLING, Flag.SOFT_OVERLONG]
    assert build_config({"algorithm": {"preset": "dapo", "flags": []}}).algorithm.flags == []


def test_a_preset_can_be_set_on_the_command_line() -> None:
    assert build_config({}, ["algorithm.preset=cispo"]).algorithm.loss is Loss.CISPO


def test_what_has_no_key_comes_from_the_preset() -> None:
    assert build_config({"algorithm": {"preset": "ppo_penalty"}}).algorithm.resolve().lam == 0.95


def test_two_rollouts_are_a_group_unless_another_size_is_given() -> None:
    assert build_config({"algorithm": {"preset": "grpo_2"}}).rollout.group_size == 2
    four = {"algorithm": {"preset": "grpo_2"}, "rollout": {"group_size": 4}}
    assert build_config(four).rollout.group_size == 4


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"preset": "dapoo"}, r"there is no preset 'dapoo'; did you mean 'dapo'\?"),
        ({"preset": 3}, r"there is no preset 3; the presets are milestone_grpo, reinforce"),
        ({"kl_place": "reward"}, r"kl_place is reward but kl_coef is 0"),
        ({"reference_every": 5}, r"reference_every is 5 but kl_coef is 0"),
        ({"advantage": "token_gae", "scale": "group"}, r"advantage token_gae and scale group do not go together"),
        ({"advantage": "turn_gae", "shrinkage": 1}, r"advantage turn_gae and shrinkage 1\.0 do not go together"),
        ({"flags": ["whiten"]}, r"the flag whiten and advantage milestone_loo do not go together"),
        ({"flags": ["dual_clip"], "loss": "cispo"}, r"the flag dual_clip and loss cispo do not go together"),
        ({"flags": ["two_sided_clip"], "clip": [0.2, 3]}, r"two_sided_clip, loss ppo and clip \[0\.2, 3\.0\] do not go together"),
        ({"flags": ["two_sided_clip"], "loss": "sapo"}, r"two_sided_clip, loss sapo and clip \[0\.2, 0\.28\] do not go"),
        ({"step_kl": [1.0, 0.0]}, r"expected the divergence's weight and, above 0, .* got \[1\.0, 0\.0\]"),
        ({"clip": [0.2]}, r"expected two bounds, how far the ratio may fall, .* got \[0\.2\]"),
        ({"clip": [1.5, 0.2]}, r"expected two bounds, how far the ratio may fall, at most 1, .* got \[1\.5, 0\.2\]"),
        ({"flags": ["frontier", "band"]}, r"the flags frontier and band do not go together"),
        ({"preset": "grpo_plus", "flags": ["overlong_filter", "horizon"]}, r"flags horizon and overlong_filter do not go together"),
        ({"preset": "trpo", "epochs": 2}, r"trpo takes one step a batch, but epochs is 2 and minibatches is 1"),
        ({"flags": ["whitened"]}, r"should be 'dynamic_sampling', .* got 'whitened'"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused_by_name(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_config({"algorithm": keys})
