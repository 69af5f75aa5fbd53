"""The configuration of a run: one TOML file, eleven sections, every field with its reason."""

import hashlib
import tomllib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, Field, ValidationError, model_validator

from milepost.agents.engines.choice import check_engine
from milepost.milestones import RewardMode
from milepost.training.budget import read_budget
from milepost.training.overrides import ConfigError, describe_error, read_override
from milepost.training.preferences.section import PreferenceSection
from milepost.training.presets import DEFAULT, PRESETS
from milepost.training.sections import (
    AlgorithmSection,
    Amount,
    Count,
    Fraction,
    Positive,
    Rate,
    Section,
)

Precision = Literal["float32", "bfloat16"]
"""What a learner computes in."""
Judged = Annotated[str, Field(pattern=r"^\S+@https?://\S+$")]
"""A judge: `model@url`."""


def _check_budget(text: str) -> str:
    read_budget(text)
    return text


def _check_blend(weights: list[float]) -> list[float]:
    if len(weights) not in (0, 3):
        raise ValueError("expected three weights, of rules, model and judges, or none for a cascade")
    return weights


def _check_episodes(episodes: list[int]) -> list[int]:
    if len(episodes) != 2 or episodes[1] == 0:
        raise ValueError("expected two numbers of seeds, of a validation and of a test, the second above 0")
    return episodes


class RunSection(Section):
    """`[run]`: what holds for the whole run."""

    seed: Count = 0
    """Seed of everything that is drawn: tasks, sampling, batches."""
    threads: Positive = 2
    """CPU threads of the learner; the engine takes half of them, for the browsers want the others."""


class TasksSection(Section):
    """`[tasks]`: what is learnt."""

    ids: Annotated[list[str], Field(min_length=1)] = Field(
        default_factory=lambda: ["ExpenseForm-v0", "ReportExport-v0", "CatalogSearch-v0"]
    )
    """Ids of the templates; one of your own is `module:attribute`."""


class PolicySection(Section):
    """`[policy]`: what learns."""

    model: str = "tiny"
    """`tiny`, or a path or Hugging Face id of a causal LM."""
    engine: Annotated[str, AfterValidator(check_engine)] = "transformers"
    """What serves it to rollouts: `transformers`, in this process; `vllm`, or `vllm@URL` for a vLLM server."""
    max_tokens: Positive = 40
    """Longest completion, and the constant of `rollout_sum`."""
    temperature: Rate = 1.0
    """Sampling temperature of training rollouts."""
    lora_rank: Count = 0
    """Rank of the adapter that learns in place of the policy's own weights; 0 is none."""


class RolloutSection(Section):
    """`[rollout]`: how episodes are played."""

    group_size: Annotated[int, Field(ge=2)] = 8
    """Members of a group: trajectories of the same task and seed."""
    contexts: Positive = 8
    """Browser contexts at once; two thirds as many episodes more wait for one."""
    max_staleness: Count = 0
    """Updates by which the weights that played a batch may be behind those that learn from it. 0 plays and learns in
    turn (`sync`); 1 plays the next batch while one is learnt (`one_step_off`); more runs further ahead (`async`)."""
    oversample: Amount = 0.0
    """Share of groups played beyond those wanted; the slowest are given up when enough are final."""
    backend: Literal["local", "ray"] = "local"
    """Whose browsers play: this machine's, or those of a Ray cluster's machines."""
    record_every: Count = 0
    """Training episodes of every so many iterations are kept on disk; 0 keeps none (tests are always kept)."""


class RewardSection(Section):
    """`[reward]`: who scores. Rules come first; what they leave open goes to the learned model, then to judges."""

    rules: RewardMode | Literal["off"] = RewardMode.NORMALIZED
    """How milestones pay; `normalized` makes every task worth 1. With `off` rules pay nothing, and the tiers below score
    every episode as a whole, which is worth 1."""
    learned: str = ""
    """A reward model: the small tier's file or the text tier's folder, see `milepost reward-model train`; empty is off."""
    judge: list[Judged] = Field(default_factory=list)
    """Judges as `model@url`: one is asked in two styles, two or three in one each; none switches the tier off.
    The key is taken from the environment variable `MILEPOST_JUDGE_KEY`."""
    blend: Annotated[list[Fraction], AfterValidator(_check_blend)] = Field(default_factory=list)
    """Weights of rules, model and judges, which sum to 1: all that have scored share by them. Empty is a cascade: the
    first tier that is sure pays."""
    confidence: Annotated[list[Fraction], Field(min_length=2, max_length=2)] = Field(
        default_factory=lambda: [0.9, 0.5]
    )
    """Least confidence at which a score of the model and of judges counts."""
    judge_labels: str = ""
    """What `milepost calibrate-judges` has measured of these judges; empty gives every agreement 0.9, unmeasured."""
    judge_calls: Positive = 2000
    """Most calls that a run may make to judges."""


class ImitationSection(Section):
    """`[imitation]`: the supervised stage before learning from rewards."""

    episodes: Count = 60
    """Oracle episodes of each task, learnt in two passes of 64 turns a step; 0 leaves the stage out."""


class OptimSection(Section):
    """`[optim]`: AdamW."""

    learning_rate: Rate = 1e-3
    """Of all stages; that of imitation falls to a tenth of it."""
    token_budget: Positive = 16_384
    """Most tokens of a micro-batch, padding included; lower it when memory runs out."""
    precision: Precision = "float32"
    """What the learner computes in; `bfloat16` falls back to float32 on processors that only imitate it."""
    recompute: bool = False
    """Gradient checkpointing: a third more time for a fraction of the memory."""


class TrainSection(Section):
    """`[train]`: how long, on what."""

    iterations: Count = 200
    budget: Annotated[str, AfterValidator(_check_budget)] = "12 minutes"
    """After which the run stops, evaluation at its end excluded: `N minutes` of wall time, or `N steps` in the training
    environments, a fair measure between methods."""
    tasks_per_iteration: Positive = 24
    """Groups of one iteration."""
    stop_success: Annotated[float, Field(gt=0)] = 1.01
    """Validation success at which the run stops early; above 1 never."""


class EvalSection(Section):
    """`[eval]`: held-out success."""

    every: Positive = 10
    """Iterations between checkpoints, and between the validations that go with them; the newest two are kept."""
    episodes: Annotated[list[Count], AfterValidator(_check_episodes)] = Field(
        default_factory=lambda: [16, 34]
    )
    """Seeds of each task in a validation, of which 0 makes none, and in the tests at the start and at the end."""
    first_seed: Count = 0
    """First test seed: move it to measure on seeds that no choice has been made on."""
    temperature: Amount = 1.0
    """Sampling temperature; 0 is greedy."""


class Config(Section):
    """A whole configuration."""

    run: RunSection = RunSection()
    tasks: TasksSection = TasksSection()
    policy: PolicySection = PolicySection()
    rollout: RolloutSection = RolloutSection()
    reward: RewardSection = RewardSection()
    imitation: ImitationSection = ImitationSection()
    algorithm: AlgorithmSection = AlgorithmSection()
    preference: PreferenceSection = PreferenceSection()
    optim: OptimSection = OptimSection()
    train: TrainSection = TrainSection()
    eval: EvalSection = EvalSection()

    @model_validator(mode="before")
    @classmethod
    def _fix_group(cls, data: Any) -> Any:
        """Take the size of a group from the preset where that fixes it."""
        if not isinstance(data, Mapping):
            return data
        algorithm, rollout = data.get("algorithm", {}), data.get("rollout", {})
        if not isinstance(algorithm, Mapping) or not isinstance(rollout, Mapping):
            return data
        preset = PRESETS.get(str(algorithm.get("preset", DEFAULT)))
        if preset is None or not preset.group_size:
            return data
        return {**data, "rollout": {"group_size": preset.group_size, **rollout}}

    def digest(self) -> str:
        """Give a hash of every field (hex sha256)."""
        return hashlib.sha256(
            orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
        ).hexdigest()

    def to_toml(self) -> str:
        """Write every field as TOML, so that the text gives this configuration again."""
        parts = []
        for name, section in self.model_dump(mode="json").items():
            # JSON's numbers, strings, booleans and lists of these are TOML too.
            lines = [f"{key} = {orjson.dumps(value).decode()}" for key, value in section.items()]
            parts.append("\n".join([f"[{name}]", *lines]))
        return "\n\n".join(parts) + "\n"


def count_engine_threads(config: Config) -> int:
    """Count the CPU threads that the policy takes while browsers are at work."""
    return max(1, config.run.threads // 2)


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a TOML file and apply overrides such as `optim.learning_rate=3e-4`.

    Raises:
        ConfigError: the file cannot be read, or a key or a value is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as broken:
        raise ConfigError(f"cannot read the configuration {path}: {broken}") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as broken:
        raise ConfigError(f"{path} is not TOML: {broken}") from None
    return build_config(data, overrides, origin=str(path))


def build_config(data: Mapping[str, Any], overrides: Sequence[str] = (), *, origin: str = "") -> Config:
    """Validate a configuration's data after applying overrides.

    Args:
        data: sections and their keys, as TOML gives them.
        overrides: `section.key=value`, or `key=value` where only one section has the key.
        origin: where the data came from, for messages.

    Raises:
        ConfigError: a key or a value is wrong.
    """
    merged: dict[str, Any] = {
        name: dict(section) if isinstance(section, Mapping) else section for name, section in data.items()
    }
    origins: dict[tuple[str, str], str] = {}
    keys = _keys()
    for override in overrides:
        section, key, value = read_override(override, keys)
        merged.setdefault(section, {})[key] = value
        origins[section, key] = f"--set {override}"
    try:
        return Config.model_validate_json(orjson.dumps(merged))
    except ValidationError as wrong:
        error = wrong.errors()[0]
        place = tuple(str(part) for part in error["loc"])
        source = origins.get((place[0], place[1]), origin) if len(place) > 1 else origin
        raise ConfigError(describe_error(error, place, keys, source)) from None
    except TypeError as wrong:
        raise ConfigError(f"{origin}: {wrong}; a configuration holds numbers, strings and lists") from None


def _keys() -> dict[str, list[str]]:
    hints = typing.get_type_hints(Config)
    return {name: list(hints[name].model_fields) for name in Config.model_fields}
