"""How an episode is run, the same for every task and seed."""

from dataclasses import dataclass

MAX_ACTIONS = 100
MIN_TOKENS = 32
MAX_PAGE_TIME_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What an environment's options say about each of its episodes."""

    viewport: tuple[int, int] | None = None
    """Width and height in CSS pixels; those for which the pages are made when None."""
    actions_per_step: int = 1
    """Most actions in one message."""
    max_tokens: int | None = None
    """Budget of the tree, see `sandbox.elision`; None shows all of it."""
    page_time_ms: int | None = None
    """Page time that passes in a step, see `sandbox.clock`; None leaves pages the real time."""
    screenshot: bool = False
    """Whether observations hold a screenshot, except while a dialog is open: then nothing can be drawn."""
    traffic: bool = False
    """Whether the traffic is kept, to be written as an HTTP archive."""

    def __post_init__(self) -> None:
        """Refuse what no episode can be run under."""
        if not 1 <= self.actions_per_step <= MAX_ACTIONS:
            raise ValueError(f"actions_per_step is 1 to {MAX_ACTIONS}, got {self.actions_per_step}")
        if self.max_tokens is not None and self.max_tokens < MIN_TOKENS:
            raise ValueError(
                f"max_tokens is at least {MIN_TOKENS}, or None for no limit; got {self.max_tokens}"
            )
        if self.page_time_ms is not None and not 1 <= self.page_time_ms <= MAX_PAGE_TIME_MS:
            raise ValueError(
                f"page_time_ms is 1 to {MAX_PAGE_TIME_MS}, or None for real time; got {self.page_time_ms}"
            )
