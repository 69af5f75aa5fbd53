"""Keeps track of a run: its time, where it stood after its last whole iteration, and the checkpoint of it."""

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from milepost.training.budget import read_budget
from milepost.training.checkpoint import Stateful, TrainState, restore_rng, save_checkpoint
from milepost.training.config import Config
from milepost.training.metrics import MetricsLog
from milepost.training.run import CHECKPOINTS_FOLDER


class Position(Protocol):
    """What draws tasks, and knows where it stands."""

    def state(self) -> dict[str, Any]:
        """Give the position, as JSON values."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a saved position."""
        ...


KEPT = 2
"""Newest checkpoints of a run that are kept."""


class Keeper:
    """Notes where a run stands and writes its checkpoints."""

    def __init__(
        self,
        run: Path,
        config: Config,
        *,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        sampler: Position,
        rng: np.random.Generator,
        log: MetricsLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take all that a checkpoint holds, besides the optimiser."""
        self._run = run
        self._config = config
        self._model = model
        self._tokenizer = tokenizer
        self._sampler = sampler
        self._rng = rng
        self._log = log
        self._clock = clock
        self._started, self._earlier_s = clock(), 0.0
        self._noted: TrainState | None = None
        self._saved = -1
        self._changing = False

    @property
    def elapsed_s(self) -> float:
        """Wall time of the run in seconds, earlier sessions included."""
        return self._earlier_s + self._clock() - self._started

    def reason_to_stop(self, iteration: int, success: float, steps: int) -> str:
        """Say why to stop after an iteration and so many steps: `iterations`, `steps`, `time`, `success`, or nothing."""
        train = self._config.train
        if iteration >= train.iterations:
            return "iterations"
        budget = read_budget(train.budget)
        if steps >= budget.steps:
            return "steps"
        if self.elapsed_s >= budget.seconds:
            return "time"
        return "success" if success >= train.stop_success else ""

    def estimate_rest(self, iteration: int, iteration_s: float) -> float:
        """Estimate the seconds until the run stops, when an iteration takes `iteration_s`."""
        train = self._config.train
        by_count = (train.iterations - iteration) * iteration_s
        return max(0.0, min(by_count, read_budget(train.budget).seconds - self.elapsed_s))

    def restore(self, state: TrainState) -> None:
        """Go back to where a checkpoint stood: time, tasks, randomness. The metrics follow with `begin`."""
        self._earlier_s, self._started = state.elapsed_s, self._clock()
        self._sampler.restore(state.sampler)
        restore_rng(self._rng, state.rng)
        self._noted, self._saved = state, state.iteration

    def begin(self) -> None:
        """Cut off the metrics of what came after the checkpoint, which will come again."""
        self._log.cut(self._noted.metrics_bytes if self._noted is not None else 0)

    def change(self) -> None:
        """Say that weights and optimiser are about to change: until the next note they fit no state."""
        self._changing = True

    def note(self, iteration: int, policy_version: int) -> None:
        """Note where the run stands, weights and optimiser included."""
        self._changing = False
        self._noted = TrainState(
            iteration=iteration,
            policy_version=policy_version,
            elapsed_s=self.elapsed_s,
            sampler=self._sampler.state(),
            rng=deepcopy(dict(self._rng.bit_generator.state)),
            metrics_bytes=self._log.size,
            config=self._config.model_dump(mode="json"),
            digest=self._config.digest(),
        )

    def save(self, optimizer: Stateful) -> None:
        """Write the checkpoint of what was noted last.

        Raises:
            CheckpointError: it could not be written.
            RuntimeError: nothing was noted.
        """
        if self._noted is None:
            raise RuntimeError("there is nothing to save yet; note where the run stands first")
        save_checkpoint(
            self._run / CHECKPOINTS_FOLDER,
            state=self._noted,
            model=self._model,
            tokenizer=self._tokenizer,
            optimizer=optimizer,
            keep=KEPT,
        )
        self._saved = self._noted.iteration

    def interrupt(self, optimizer: Stateful | None) -> str:
        """Save what was learnt up to the last whole iteration, and say how to go on."""
        noted = self._noted
        whole = noted is not None and not self._changing
        if whole and optimizer is not None and noted is not None and noted.iteration > self._saved:
            self.save(optimizer)
        if self._saved < 0:
            return f"stopped before the first checkpoint; begin again with --resume --out {self._run}"
        return (
            f"stopped after iteration {self._saved}; its checkpoint is kept. "
            f"Continue with --resume --out {self._run}"
        )
