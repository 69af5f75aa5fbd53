"""Steps Farama's MiniWoB++ through the plan: `python farama_steps.py CHROMIUM CHROMEDRIVER EPISODES`, without screenshots.

Its click runs in the page and its fill types keys one by one: the cheapest it has for each.
"""

import os
import sys
from typing import Any

from plan import PLAN, WORD, Stopwatch, say


def main() -> None:
    """Play every page of the plan and print the times."""
    os.environ["MINIWOB_CHROME_BINARY"], os.environ["MINIWOB_CHROMEDRIVER"] = sys.argv[1], sys.argv[2]
    import gymnasium  # noqa: PLC0415 - the package reads the variables when it is imported
    import miniwob  # noqa: PLC0415
    from miniwob.action import ActionTypes  # noqa: PLC0415

    gymnasium.register_envs(miniwob)
    results = {page: Stopwatch() for page in PLAN}
    for page, steps in PLAN.items():
        env: Any = gymnasium.make(f"miniwob/{page}-v1", render_mode=None)
        for seed in range(int(sys.argv[3])):
            observation = results[page].reset(env, seed)
            for kind, selector in steps:
                ref = find(observation, selector)
                if kind == "click":
                    action = env.unwrapped.create_action(ActionTypes.CLICK_ELEMENT, ref=ref)
                else:
                    types = ActionTypes.FOCUS_ELEMENT_AND_TYPE_TEXT
                    action = env.unwrapped.create_action(types, ref=ref, text=WORD)
                results[page].step(env, action)
        env.close()
    say(results)


def find(observation: dict[str, object], selector: str) -> int:
    """Find the first element of a selector of the plan among the observation's elements."""
    for element in observation["dom_elements"]:  # type: ignore[attr-defined]
        if element["id"] == selector.lstrip("#") or (" " in selector and element["tag"] == "button"):
            return int(element["ref"])
    raise LookupError(f"no {selector} on the page")


if __name__ == "__main__":
    main()
