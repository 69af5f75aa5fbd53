from dataclasses import replace

import pytest

from milepost.training.config import build_config
from milepost.training.overrides import ConfigError
from milepost.training.preferences.method import METHODS, Reference, Schedule
from milepost.training.preferences.section import PreferenceSection, read_schedule
from milepost.training.study import build_practice


def test_no_method_is_the_policy_gradient_loop() -> None:
    assert PreferenceSection().method == ""


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_chosen_by_its_name(name: str) -> None:
    schedule = "offline" if METHODS[name].lagging else "online"
    section = build_config({"preference": {"method": name, "schedule": schedule}}).preference
    assert section.resolve() == METHODS[name]


def test_beta_replaces_the_methods_own_and_zero_does_not() -> None:
    assert PreferenceSection(method="simpo").resolve().terms.beta == 2.0
    changed = PreferenceSection(method="simpo", beta=2.5).resolve().terms
    assert (changed.beta, changed.gamma) == (2.5, 0.5)


def test_a_continuous_round_is_held_to_the_policy_that_played_it() -> None:
    section = build_config({"preference": {"method": "dpo", "schedule": "continuous"}}).preference
    assert section.resolve() == replace(METHODS["dpo"], reference=Reference.BEHAVIOUR)


def test_a_schedule_says_how_often_the_copy_that_plays_is_renewed() -> None:
    assert read_schedule("semi_online") == (Schedule.SEMI_ONLINE, 5)
    assert read_schedule("semi_online@12") == (Schedule.SEMI_ONLINE, 12)
    config = build_config({}, ["preference.method=dpo", "preference.schedule=semi_online@3"])
    assert build_practice(config).sync_every == 3


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"method": "dop"}, "there is no preference method 'dop'; did you mean 'dpo'?"),
        ({"method": "zzz"}, "the methods are dpo, "),
        ({"method": "dpo", "file": "x.jsonl"}, "a file is learnt from offline; set schedule to 'offline'"),
        (
            {"method": "rest", "file": "x.jsonl", "schedule": "offline"},
            "that method picks from episodes it plays",
        ),
        ({"method": "bpo", "file": "x.jsonl", "schedule": "offline"}, "use 'dpo'"),
        ({"method": "rest_em", "schedule": "continuous"}, "choose another schedule"),
        ({"method": "apo_down"}, "schedule is online and method is 'apo_down'"),
        ({"method": "sft", "beta": 0.1}, "imitation has no beta"),
        (
            {"method": "dpo", "schedule": "semi_online@0"},
            "'semi_online@N' with N of 1 or more, got 'semi_online@0'",
        ),
        ({"method": "dpo", "schedule": "online@3"}, "expected 'offline', 'online', 'continuous', or"),
        ({"method": "dpo", "margin": -0.1}, "margin"),
        ({"method": "dpo", "schedule": "sometimes"}, "schedule"),
    ],
)
def test_what_does_not_go_together_is_refused_with_both_names(keys: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        build_config({"preference": keys})
    assert said in str(refused.value)
