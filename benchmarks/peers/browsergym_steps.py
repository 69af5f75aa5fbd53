"""Steps BrowserGym through the plan: `python browsergym_steps.py CHROMIUM PAGES_URL default|tuned EPISODES`.

`default` is as it comes: 100 ms between Playwright's commands and half a second before each observation. `tuned` has
neither wait. BrowserGym cannot be told which browser to start, so Playwright's launch is.
"""

import functools
import importlib
import os
import sys
from typing import Any

import playwright.sync_api
from plan import PLAN, WORD, Stopwatch, say


def main() -> None:
    """Play every page of the plan and print the times."""
    chromium, pages, mode, episodes = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    os.environ["MINIWOB_URL"] = pages
    launch = playwright.sync_api.BrowserType.launch
    kind: Any = playwright.sync_api.BrowserType
    kind.launch = functools.partialmethod(launch, executable_path=chromium, chromium_sandbox=False)
    gymnasium = importlib.import_module("gymnasium")
    importlib.import_module("browsergym.miniwob")
    waits = {} if mode == "default" else {"slow_mo": 0, "pre_observation_delay": 0.0}
    results = {page: Stopwatch() for page in PLAN}
    for page, steps in PLAN.items():
        env = gymnasium.make(f"browsergym/miniwob.{page}", **waits)
        watch = results[page]
        for seed in range(episodes):
            watch.reset(env, seed)
            for kind, selector in steps:
                bid = env.unwrapped.page.locator(selector).first.get_attribute("bid")
                action = f"click('{bid}')" if kind == "click" else f"fill('{bid}', '{WORD}')"
                watch.step(env, action)
        env.close()
    say(results)


if __name__ == "__main__":
    main()
