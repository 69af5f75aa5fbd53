"""What an episode's world is made of, and how long anything in it may take."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from milepost.sandbox.sites import Site
from milepost.sandbox.storage import StorageState

INSTANT_MS = 1_767_603_600_000
"""Monday, 5 January 2026, 09:00 UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a session starts from."""

    task: str
    """Task id, for the log."""
    seed: int
    split: str
    goal: str
    """The goal text, as the agent sees it."""
    start_url: str
    """Where the first tab opens."""
    sites: Mapping[str, Site]
    """Host to site; every other host is closed."""
    live: tuple[str, ...] = ()
    """Hosts of the real network that are open all the same, see `sandbox.gateway`."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Files in the workspace at the start."""
    storage: StorageState | None = None
    """Cookies and local storage at the start."""
    viewport: tuple[int, int] = (1024, 768)
    """Width and height in CSS pixels."""
    instant_ms: int | None = INSTANT_MS
    """When every document begins, in milliseconds since 1970; None leaves pages the real time and real chance."""
    page_time_ms: int | None = None
    """Page time that passes in a step, in milliseconds, see `sandbox.clock`; None leaves pages the real time."""
    max_tokens: int | None = None
    """Budget of what the agent is shown of a page, see `sandbox.elision`; None shows all."""
    traffic: bool = False
    """Whether the traffic is kept, see `sandbox.traffic`."""
    actions_per_step: int = 1
    """Most actions in one message; they are carried out one after the other, up to the first that fails."""
    referee: str = ""
    """For a start page that keeps score itself: the expression it is asked, see `sandbox.referee`."""
    tidy: bool = False
    """Whether its pages leave nothing in the browser but what can be cleared, see `sandbox.vacancy`: no window name, no
    session storage, no worker. Then its episodes may begin in the context of another, and leave theirs."""
    again: str = ""
    """For such a page, if it can begin this episode in the document of another: the expression that makes it, which
    answers as the referee does, or null when it cannot. See `sandbox.renewal`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Hard limits in seconds; passing one is a typed failure, never a hang."""

    reset_s: float = 30.0
    step_s: float = 20.0
