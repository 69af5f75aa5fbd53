"""Typed failures: who is to blame when a step or a reset does not come to an end."""

import sysconfig
import traceback
from enum import StrEnum
from pathlib import Path


class Failure(StrEnum):
    """Whose fault it is. Only the first is scored; the others are masked, never reward 0."""

    POLICY = "policy"
    """The agent did something that cannot work; it sees an observation error."""
    TASK = "task"
    """The task or one of its sites is broken."""
    INFRASTRUCTURE = "infrastructure"
    """The browser or the machine failed."""
    TIMEOUT = "timeout"
    """A deadline passed."""


class SandboxError(RuntimeError):
    """The sandbox could not do its work; `failure` says whose fault it is."""

    def __init__(self, failure: Failure, reason: str) -> None:
        super().__init__(reason)
        self.failure = failure
        self.reason = reason


def describe_fault(error: BaseException, folder: Path | None = None) -> str:
    """Say in a line what was raised and where: `KeyError: 'rom' (notes/server.py, line 35, in draw)`.

    Args:
        error: what was raised.
        folder: where the code lies whose place is wanted, the innermost one in it. Without it that is the innermost place
            that is neither of the standard library nor of an installed package: a page's template counts, what renders
            it does not.
    """
    frames = traceback.extract_tb(error.__traceback__)
    library = sysconfig.get_paths()["stdlib"]
    own = [f for f in frames if "site-packages" not in f.filename and not f.filename.startswith(library)]
    if folder is not None:
        own = [f for f in frames if Path(f.filename).is_relative_to(folder)]
    what = "".join(traceback.format_exception_only(error)).strip().rpartition("\n")[2]
    kind, _, detail = what.partition(": ")
    what = ": ".join(filter(None, (kind.rpartition(".")[2], detail)))
    if not frames:
        return what
    place = (own or frames)[-1]
    file = "/".join(Path(place.filename).parts[-2:])
    return f"{what} ({file}, line {place.lineno}, in {place.name})"
