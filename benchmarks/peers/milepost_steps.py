"""Steps milepost through the plan: `python milepost_steps.py text|jpeg|large EPISODES`, through Gymnasium, log and rewards on.

`jpeg` adds a screenshot to every observation, `large` does so with a viewport of 1280 x 720.
"""

import sys
from typing import Any

import gymnasium
from plan import PLAN, WORD, Stopwatch, say

import milepost  # noqa: F401 - registers the environments

OPTIONS: dict[str, dict[str, Any]] = {
    "text": {},
    "jpeg": {"extras": ("screenshot",)},
    "large": {"extras": ("screenshot",), "viewport": (1280, 720)},
}


def main() -> None:
    """Play every page of the plan and print the times."""
    mode, episodes = sys.argv[1], int(sys.argv[2])
    results = {page: Stopwatch() for page in PLAN}
    warm = gymnasium.make("milepost/miniwob.click-button-v1", **OPTIONS[mode])
    warm.reset(seed=0)  # the browser starts here
    for page, steps in PLAN.items():
        env: Any = gymnasium.make(f"milepost/miniwob.{page}-v1", **OPTIONS[mode])
        watch = results[page]
        for seed in range(episodes):
            watch.reset(env, seed)
            for action in find_actions(env, steps):
                watch.step(env, action)
        env.close()
    warm.close()
    say(results)


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
