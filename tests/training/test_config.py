import re
import tomllib
from pathlib import Path

import pytest

from milepost.training.advantages import Estimator
from milepost.training.config import Config, build_config, load_config
from milepost.training.overrides import FORMER, ConfigError

CONFIGS = Path(__file__).parents[2] / "configs"


def test_the_shipped_configurations_are_valid() -> None:
    found = sorted(CONFIGS.glob("*.toml"))
    assert found
    for path in found:
        assert load_config(path).tasks.ids


def test_a_configuration_reads_back_from_its_own_toml(tmp_path: Path) -> None:
    config = build_config(
        {}, ['reward.learned="a \\"quoted\\" name"', "algorithm.advantage=grpo", "optim.learning_rate=3e-4"]
    )
    (tmp_path / "c.toml").write_text(config.to_toml())
    assert load_config(tmp_path / "c.toml") == config
    assert config.algorithm.advantage is Estimator.GRPO


def test_a_configuration_stays_small() -> None:
    sections = Config().model_dump()
    assert len(sections) == 11
    assert sum(len(section) for section in sections.values()) <= 60


def test_an_engine_at_an_address_can_be_named_in_an_override() -> None:
    config = build_config({}, ["policy.engine=vllm@http://127.0.0.1:8000"])
    assert config.policy.engine == "vllm@http://127.0.0.1:8000"


def test_a_whole_number_is_fine_where_a_fraction_is_expected() -> None:
    assert build_config({"train": {"stop_success": 1}}).train.stop_success == 1.0


def test_digests_differ_when_any_field_does() -> None:
    assert Config().digest() == Config().digest()
    assert Config().digest() != build_config({"run": {"seed": 1}}).digest()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"rollout": {"group_sise": 4}}, r"c\.toml: \[rollout\] has no key 'group_sise'; did you mean 'group_size' in \[rollout\]\?"),
        ({"train": {"learning_rate": 1}}, r"\[train\] has no key 'learning_rate'; it belongs to \[optim\]"),
        ({"rolout": {"group_size": 4}}, r"there is no section \[rolout\]; did you mean \[rollout\]\?"),
        ({"seed": 3}, r"there is no section \[seed\]; The sections are run, tasks, policy"),
        ({"rollout": {"group_size": "four"}}, r"c\.toml: \[rollout\] group_size: the value should be a valid integer, got 'four'"),
        ({"rollout": {"group_size": 1}}, r"should be greater than or equal to 2, got 1"),
        ({"rollout": {"group_size": 2.5}}, r"should be a valid integer, got 2\.5"),
        ({"algorithm": {"advantage": "ppo"}}, r"should be 'milestone_loo', 'return_to_go_loo', .* or 'bi_level_gae', got 'ppo'"),
        ({"rollout": 3}, r"\[rollout\]: the value should be"),
        ({"policy": {"engine": "vlm"}}, r"c\.toml: \[policy\] engine: there is no such engine; did you mean 'vllm'\? .*, got 'vlm'"),
        ({"policy": {"engine": "openai"}}, r"\[policy\] engine: an OpenAI-compatible endpoint gives text, .* nothing can be learnt"),
        ({"train": {"budget": "13"}}, r"\[train\] budget: expected a number of minutes or steps above 0, such as .*, got '13'"),
        ({"train": {"budget": "0 steps"}}, r"\[train\] budget: expected .*, got '0 steps'"),
        ({"eval": {"episodes": [16]}}, r"\[eval\] episodes: expected two numbers of seeds, .*, got \[16\]"),
        ({"eval": {"episodes": [16, 0]}}, r"\[eval\] episodes: .* the second above 0, got \[16, 0\]"),
        ({"reward": {"blend": [1.0]}}, r"\[reward\] blend: expected three weights, .*, got \[1\.0\]"),
        ({"tasks": {"ids": []}}, r"\[tasks\] ids: list should have at least 1 item"),
    ],
)  # fmt: skip
def test_errors_say_where_what_was_expected_and_what_came(data: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_config(data, origin="c.toml")


@pytest.mark.parametrize("name", FORMER)
def test_a_key_that_went_away_is_answered_with_what_to_write_instead(name: str) -> None:
    section, _, key = name.partition(".")
    message = re.escape(f"[{section}] has no key {key!r} any more; {FORMER[name]}")
    with pytest.raises(ConfigError, match=f"^c.toml: {message}$"):
        build_config({section: {key: 1}}, origin="c.toml")
    with pytest.raises(ConfigError, match=message):
        build_config({}, [f"{name}=1"])


def test_what_is_written_instead_of_a_key_is_understood() -> None:
    """Every `key = value` that an answer shows is itself a configuration."""
    written = {
        "rollout.reward": ("reward", 'rules = "outcome"'),
        "reward.router": ("reward", "blend = [0.6, 0.3, 0.1]"),
        "algorithm.clip_low": ("algorithm", "clip = [0.1, 0.3]"),
        "algorithm.step_kl_coef": ("algorithm", "step_kl = [1.0, 0.02]"),
        "preference.sync_every": ("preference", 'schedule = "semi_online@5"'),
        "train.max_minutes": ("train", 'budget = "13 minutes"'),
        "train.max_steps": ("train", 'budget = "20000 steps"'),
        "train.selection": ("algorithm", 'flags = ["frontier"]'),
        "eval.test_episodes": ("eval", "episodes = [16, 34]"),
    }
    for name, (section, line) in written.items():
        assert line.split(" = ")[0] + " = " in FORMER[name]
        build_config({section: tomllib.loads(line)})


def test_an_overrides_wrong_value_names_the_override_not_the_file() -> None:
    with pytest.raises(ConfigError, match=r"^--set optim\.learning_rate=-1: .*greater than 0, got -1"):
        build_config({}, ["optim.learning_rate=-1"], origin="c.toml")


def test_a_missing_file_and_a_file_that_is_not_toml_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*none\.toml"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("[run\nname=")
    with pytest.raises(ConfigError, match=r"bad\.toml is not TOML"):
        load_config(tmp_path / "bad.toml")
