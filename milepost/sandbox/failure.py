"""Typed failures: who is to blame when a step or a reset does not come to an end."""

from enum import StrEnum


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
