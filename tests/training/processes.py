"""Runs in processes of their own. They are forked from one that has imported everything, which takes longer than a small run."""

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from milepost.training.config import Config
from milepost.training.display import SilentDisplay
from milepost.training.trainer import TrainingInterruptedError, train


def open_context() -> ForkServerContext:
    """What starts processes; the tests of a worker that use it share the one that they are forked from."""
    needed = ("tests.training.processes", "milepost.training.follower", "peft", "torch.distributed.fsdp")
    multiprocessing.set_forkserver_preload(list(needed))
    return multiprocessing.get_context("forkserver")


def train_until_told(config: Config, run: Path, scratch: Path, said: Path) -> None:
    """Train as a shell would start it, in a session of its own; what an interrupted run says is kept."""
    os.setsid()
    tempfile.tempdir = os.environ["TMPDIR"] = str(scratch)
    # A shell that runs the tests in the background has told its children to ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        train(config, run)
    except TrainingInterruptedError as stopped:
        said.write_text(str(stopped))
        sys.exit(130)


class Killer(SilentDisplay):
    """Kills its own process with signal 9 when it has been told so often that something was done."""

    def __init__(self, left: int) -> None:
        self.left = left

    def begin(self, label: str, total: int) -> None:
        self.count()

    def advance(self) -> None:
        self.count()

    def show(self, record: Mapping[str, Any]) -> None:
        self.count()

    def count(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def train_until_killed(config: Config, run: Path, left: int) -> None:
    """Begin or continue a run; 0 lets it come to its end."""
    train(config, run, resume=True, progress=Killer(left))
