"""What every environment is asked to do: the same clicks and fills on the same four MiniWoB++ pages.

Imported by the scripts of this folder, each of which runs in an environment of its own.
"""

import json
import time
from typing import Any

PLAN = {
    "click-button": [("click", "#area button")],
    "enter-text": [("fill", "#tt"), ("click", "#subbtn")],
    "login-user": [("fill", "#username"), ("fill", "#password"), ("click", "#subbtn")],
    "book-flight": [("fill", "#flight-from"), ("fill", "#flight-to"), ("click", "#search")],
}
"""Per page: what is done, in order, to the first element of a CSS selector."""

WORD = "milepost"
"""What is typed."""


class Stopwatch:
    """Milliseconds of resets and steps of one page."""

    def __init__(self) -> None:
        self.reset_ms: list[float] = []
        self.step_ms: list[float] = []

    def reset(self, env: Any, seed: int, **options: Any) -> Any:
        """Reset an environment, timed; gives the observation."""
        start = time.perf_counter()
        observation = env.reset(seed=seed, **options)[0]
        self.reset_ms.append((time.perf_counter() - start) * 1e3)
        return observation

    def step(self, env: Any, action: object) -> None:
        """Step an environment, timed."""
        start = time.perf_counter()
        env.step(action)
        self.step_ms.append((time.perf_counter() - start) * 1e3)


def say(results: dict[str, Stopwatch]) -> None:
    """Print what was measured, for the benchmark to read: the last line, as JSON."""
    print(json.dumps({page: {"reset_ms": s.reset_ms, "step_ms": s.step_ms} for page, s in results.items()}))
