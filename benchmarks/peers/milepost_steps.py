"""Steps milepost through the plan: `python milepost_steps.py text|again|jpeg|large EPISODES`, through Gymnasium, log and rewards on.

Every reset makes a fresh context, but with `again`, where it begins in the page of the episode before (and pages that cannot are
left out). `jpeg` adds a screenshot to every observation, `large` does so with a viewport of 1280 x 720.
"""

import sys
from typing import Any

import gymnasium
from plan import PLAN, WORD, Stopwatch, say

import milepost  # noqa: F401 - registers the environments
from milepost.envs.miniwob.table import RENEWABLE

OPTIONS: dict[str, dict[str, Any]] = {
    "text": {},
    "again": {},
    "jpeg": {"extras": ("screenshot",)},
    "large": {"extras": ("screenshot",), "viewport": (1280, 720)},
}


def main() -> None:
    """Play every page of the plan and print the times."""
    mode, episodes = sys.argv[1], int(sys.argv[2])
    results = {page: Stopwatch() for page in PLAN}
    warm = gymnasium.make("milepost/miniwob.click-button-v1", **OPTIONS[mode])
    warm.reset(seed=0)  # the browser starts here
    again = mode == "again"
    for page, steps in PLAN.items():
        if again and page not in RENEWABLE:
            continue
        env: Any = gymnasium.make(f"milepost/miniwob.{page}-v1", **OPTIONS[mode])
        watch = results[page]
        for seed in range(episodes):
            watch.reset(env, seed, options={"fresh": not again})
            for action in find_actions(env, steps):
                watch.step(env, action)
        if again:
            # The first one had no page to begin in.
            watch.reset_ms.pop(0)
        env.close()
    warm.close()
    say({page: watch for page, watch in results.items() if watch.step_ms})


def find_actions(env: Any, steps: list[tuple[str, str]]) -> list[str]:
    """Put the plan's steps into actions: its fields and buttons come in the order of the page."""
    elements = env.unwrapped.episode.observation.elements
    fields = iter([e.id for e in elements if e.role in ("textbox", "searchbox", "combobox")])
    button = next(e.id for e in elements if e.role == "button")
    return [
        f'click("{button}")' if kind == "click" else f'fill("{next(fields)}", "{WORD}")' for kind, _ in steps
    ]


if __name__ == "__main__":
    main()
