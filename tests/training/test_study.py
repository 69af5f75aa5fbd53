from pathlib import Path

import numpy as np
import pytest

from milepost.training.config import Config, build_config
from milepost.training.overrides import ConfigError
from milepost.training.preference_learner import PreferenceLearner
from milepost.training.preferences.dataset import write_preferences
from milepost.training.preferences.method import METHODS
from milepost.training.preferences.pairs import Label, Pair, Sample, mine_labels, mine_pairs
from milepost.training.study import (
    build_practice,
    check_study,
    choose_lessons,
    draw_lessons,
    load_lessons,
    study_episodes,
)
from tests.training.trajectories import make_model, make_trajectory, make_turn

BATCH = [
    make_trajectory([make_turn(ret, completion=(4, 10 + i))], member=i, success=ret == 1.0)
    for i, ret in enumerate((1.0, 0.25, 0.0))
]


def configure(**keys: object) -> Config:
    return build_config({"preference": keys})


def test_what_other_sections_must_say_is_checked() -> None:
    check_study(build_config({"algorithm": {"flags": ["shuffled_rewards"]}}))
    with pytest.raises(ConfigError, match=r"rollout.group_size is 8; set it to 2"):
        check_study(configure(method="dpo", schedule="continuous"))
    engine = {"policy": {"engine": "vllm"}}
    check_study(build_config(engine | {"preference": {"method": "dpo", "schedule": "online"}}))
    with pytest.raises(
        ConfigError, match=r"plays with a copy of the policy, and policy\.engine 'vllm' serves"
    ):
        check_study(build_config(engine | {"preference": {"method": "dpo", "schedule": "semi_online"}}))
    with pytest.raises(ConfigError, match=r"algorithm.flags has 'shuffled_rewards' and preference.method"):
        check_study(
            build_config({"algorithm": {"flags": ["shuffled_rewards"]}, "preference": {"method": "dpo"}})
        )


@pytest.mark.parametrize("name", METHODS)
def test_every_method_learns_from_a_batch_of_episodes(name: str) -> None:
    schedule = "semi_online" if METHODS[name].lagging else "online"
    config = build_config({"preference": {"method": name, "schedule": schedule}, "algorithm": {"epochs": 2}})
    reference = make_model(seed=1) if METHODS[name].needs_reference else None
    learner = PreferenceLearner(make_model(), build_practice(config), reference=reference)
    facts, mined = study_episodes(learner, BATCH, config.preference, np.random.default_rng(0))
    assert facts["optimizer_steps"] == 2.0
    assert np.isfinite(facts["loss"])
    assert mined[{"pairs": "pairs", "labels": "labels"}.get(METHODS[name].source, "demonstrations")] > 0


def test_a_rising_threshold_changes_what_each_pass_learns_from() -> None:
    passes, _ = choose_lessons(BATCH, configure(method="rest").preference, epochs=4)
    assert [len(lessons) for lessons in passes] == [2, 1, 1, 1]


def save(folder: Path) -> str:
    path = folder / "preferences.jsonl"
    write_preferences(path, [*mine_pairs(BATCH)[0], *mine_labels([BATCH[1]])[0]])
    return str(path)


@pytest.mark.parametrize(
    ("method", "kinds"),
    [("dpo", [Pair]), ("kto", [Label, Label, Label]), ("sft", [Sample])],
)
def test_a_file_gives_each_method_what_it_learns_from(tmp_path: Path, method: str, kinds: list[type]) -> None:
    config = configure(method=method, schedule="offline", file=save(tmp_path))
    assert [type(one) for one in load_lessons(config, make_model())] == kinds


def test_a_file_without_anything_for_the_method_is_refused(tmp_path: Path) -> None:
    config = configure(method="dpo", schedule="offline", file=save(tmp_path), margin=1.0)
    with pytest.raises(ConfigError, match=r"holds 2 preferences, but none that 'dpo' learns from"):
        load_lessons(config, make_model())


def test_without_a_file_there_are_no_lessons_to_load() -> None:
    assert load_lessons(Config(), make_model()) == []
    assert load_lessons(configure(method="dpo"), make_model()) == []


def test_lessons_are_drawn_once_each() -> None:
    samples = [one.sample for one in mine_labels(BATCH)[0]]
    drawn = draw_lessons(samples, 2, np.random.default_rng(0))
    assert len({one.name for one in drawn if isinstance(one, Sample)}) == 2
    assert len(draw_lessons(samples, 10, np.random.default_rng(0))) == 3
