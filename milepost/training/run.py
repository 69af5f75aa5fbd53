"""A run's folder: what is in it, whether it may be used, and what it came to."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import threading
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from milepost.agents.agent import ModelLoadError
from milepost.agents.engines.choice import TRANSFORMERS
from milepost.agents.engines.engine import NO_SEEING_ADAPTER
from milepost.agents.llm import load_policy, save_policy
from milepost.agents.sight import find_sight
from milepost.training.adapters import attach_adapter
from milepost.training.checkpoint import CheckpointError, TrainState, advise, find_latest, read_state
from milepost.training.config import Config
from milepost.training.metrics import METRICS_FILE, TENSORBOARD_FOLDER
from milepost.training.overrides import ConfigError
from milepost.training.records import EPISODES_FOLDER
from milepost.training.teaching import needs_reference

_T = TypeVar("_T")

CONFIG_FILE = "config.toml"
CHECKPOINTS_FOLDER = "checkpoints"
REFERENCE_FOLDER = "reference"
SUMMARY_FILE = "summary.json"
REPORT_FILE = "report.html"

_MAY_CHANGE = {
    "run.threads",
    "policy.engine",
    "rollout.backend",
    "rollout.contexts",
    "rollout.record_every",
    "optim.token_budget",
    "train.iterations",
    "train.budget",
    "reward.judge_calls",
    "train.stop_success",
}
"""What a resumed run may set otherwise than before, because earlier numbers stay comparable."""


class RunExistsError(ValueError):
    """The folder of a new run is already in use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run came to."""

    run: Path
    iterations: int
    stopped: str
    """`iterations`, `steps`, `time` or `success`."""
    before: Mapping[str, Any]
    """The score on the test split before learning from rewards, as in `metrics.jsonl`."""
    after: Mapping[str, Any]
    """The same at the end."""
    elapsed_s: float

    @property
    def report(self) -> Path:
        """The report's file."""
        return self.run / REPORT_FILE

    def describe(self) -> str:
        """Put it into a few lines."""
        return "\n".join(
            [
                f"{self.iterations} iterations in {self.elapsed_s / 60:.1f} minutes, stopped by {self.stopped}",
                f"held-out test success before: {_describe_score(self.before)}",
                f"held-out test success after:  {_describe_score(self.after)}",
                f"report: {self.report}",
            ]
        )


def _describe_score(score: Mapping[str, Any]) -> str:
    own = score["proportion"]
    return f"{score['success']:.2f} (n={own['n']}, 95% interval {own['low']:.2f} to {own['high']:.2f})"


def write_summary(summary: Summary) -> None:
    """Write `summary.json`."""
    data = {
        name: getattr(summary, name) for name in ("iterations", "stopped", "before", "after", "elapsed_s")
    }
    (summary.run / SUMMARY_FILE).write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2))


def read_summary(run: Path) -> Summary | None:
    """Read a finished run's summary; None when it is not finished."""
    path = run / SUMMARY_FILE
    return Summary(run=run, **orjson.loads(path.read_bytes())) if path.is_file() else None


@contextlib.contextmanager
def hold_run(run: Path) -> Iterator[None]:
    """Keep a run's folder, made if missing, to this process; two that write into one would lose each other's lines.

    The folder itself is locked, so that nothing is left in it, and the lock is gone with the process however that ends.
    Network file systems that lock no folders have none.

    Raises:
        RunExistsError: another process holds it, or it is a file.
    """
    if run.exists() and not run.is_dir():
        raise RunExistsError(f"{run} is a file; expected a folder for the run, existing or not")
    run.mkdir(parents=True, exist_ok=True)
    folder = os.open(run, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held = f"{run} is in the hands of another process that trains it"
                raise RunExistsError(f"{held}; stop that one, or choose another folder with --out") from None
        yield
    finally:
        os.close(folder)


def open_run(run: Path, config: Config, *, resume: bool) -> tuple[Path, TrainState] | None:
    """Make a run's folder ready: new, or at the checkpoint to continue from.

    Args:
        run: the folder.
        config: the configuration, written into it as `config.toml`.
        resume: continue what is there; a run that has no checkpoint yet begins again.

    Returns:
        The checkpoint and its state, or None for a new run.

    Raises:
        RunExistsError: the folder holds a run or other files and `resume` is not set.
        ConfigError: the configuration differs from the interrupted run's in what it may not.
        CheckpointError: the checkpoint cannot be read.
    """
    used = run.is_dir() and any(run.iterdir())
    if used and not resume:
        what = "already holds a run" if (run / METRICS_FILE).exists() else "is not empty"
        raise RunExistsError(f"{run} {what}; continue it with --resume, or choose another folder with --out")
    if used and not (run / CONFIG_FILE).is_file():
        raise RunExistsError(f"{run} holds files but no run to resume; choose another folder with --out")
    checkpoint = find_latest(run / CHECKPOINTS_FOLDER) if used else None
    if checkpoint is None:
        if used:
            _clear(run)
        run.mkdir(parents=True, exist_ok=True)
        found = None
    else:
        state = read_state(checkpoint)
        _compare(config, state, run)
        found = checkpoint, state
    (run / CONFIG_FILE).write_text(config.to_toml(), encoding="utf-8")
    return found


def abandon_run(run: Path) -> None:
    """Take back what `open_run` made for a new run, so that the same command can be given again."""
    (run / CONFIG_FILE).unlink(missing_ok=True)
    if not any(run.iterdir()):
        run.rmdir()


def _clear(run: Path) -> None:
    """Remove what a run without a checkpoint left behind, and nothing that is not a run's."""
    for name in (EPISODES_FOLDER, TENSORBOARD_FOLDER, CHECKPOINTS_FOLDER, REFERENCE_FOLDER):
        shutil.rmtree(run / name, ignore_errors=True)
    for name in (METRICS_FILE, SUMMARY_FILE, REPORT_FILE):
        (run / name).unlink(missing_ok=True)


def _compare(config: Config, state: TrainState, run: Path) -> None:
    if config.digest() == state.digest:
        return
    now = config.model_dump(mode="json")
    changed = [
        f"{section}.{key} was {state.config.get(section, {}).get(key)!r}, now {value!r}"
        for section, keys in now.items()
        for key, value in keys.items()
        if f"{section}.{key}" not in _MAY_CHANGE and state.config.get(section, {}).get(key) != value
    ]
    if changed:
        raise ConfigError(
            f"{run} was started with another configuration: {'; '.join(changed)}. "
            "Set these back to resume, or choose another folder with --out"
        )


def load_start(config: Config, checkpoint: Path | None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load the policy with which a run begins, or goes on from a checkpoint, with its adapter if it has one.

    Raises:
        ModelLoadError: the configuration's policy cannot be loaded, or it sees and is to learn by an adapter through
            vLLM.
        CheckpointError: that of the checkpoint cannot.
    """
    try:
        model, tokenizer = load_policy(config.policy.model if checkpoint is None else str(checkpoint))
    except ModelLoadError as broken:
        if checkpoint is None:
            raise
        raise CheckpointError(f"its policy cannot be loaded: {broken}; {advise(checkpoint)}") from broken
    if config.policy.lora_rank:
        if find_sight(model) is not None and config.policy.engine != TRANSFORMERS:
            raise ModelLoadError(f"{config.policy.model!r} takes pictures: {NO_SEEING_ADAPTER}")
        attach_adapter(model, config.policy.lora_rank, seed=config.run.seed)
    return model, tokenizer


def find_reference(
    config: Config, out: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, begun: bool
) -> PreTrainedModel | None:
    """Give the policy that a run is compared with, which is its first one; None where nothing compares.

    Args:
        config: says whether one is needed.
        out: the run's folder, where it is kept.
        model: the policy now; with an adapter it is its own reference, with the adapter off.
        tokenizer: of the policy.
        begun: whether the run goes on, so that `model` is no longer the first one.
    """
    if config.policy.lora_rank and config.algorithm.kl_coef:
        return model
    if not needs_reference(config):
        return None
    folder = out / REFERENCE_FOLDER
    if not begun:
        save_policy(model, tokenizer, folder)
    reference: PreTrainedModel = load_policy(str(folder))[0].requires_grad_(False)
    return reference


async def run_until_told(work: Coroutine[Any, Any, _T]) -> _T:
    """Await a run, and let SIGTERM end it as Ctrl-C does: browsers closed, nothing left in the temporary folder."""
    task = asyncio.current_task()
    if task is not None and threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work
