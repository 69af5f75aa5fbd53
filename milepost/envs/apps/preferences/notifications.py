"""NotificationSwitch: open the notifications, turn one or two switches and save."""

from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.preferences.scene import Wish, draw_layout, hint, make_task
from milepost.envs.apps.preferences.server import Panel, Switch
from milepost.envs.task import Difficulty, Split, Task, Template, choose, grade

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    ("turn {turns}", "switch {turns}", "have {turns}", "set my notifications: {turns}"),
    (" and press {save}.", ", then click {save}.", ". Press {save} at the end.", " and save with {save}."),
)
"""How the goal is put, by split; `turns` is a list such as `on "Weekly digest"`."""

_PERIODS = ("Daily", "Weekly", "Monthly")
_THINGS = ("digest", "summary", "report", "reminder")


def _draw_panel(rng: np.random.Generator, difficulty: Difficulty) -> Panel:
    """Draw switches whose names share words."""
    labels = names.mix(rng, [f"{period} {thing}" for period in _PERIODS for thing in _THINGS])
    switches = tuple(
        Switch(label=label, on=bool(rng.integers(2))) for label in labels[: 3 + difficulty.distractors]
    )
    return Panel(
        slug="notifications",
        title=names.draw_one(rng, "Notifications", "Alerts", "Messages"),
        section=names.draw_one(rng, "Communication", "Contact"),
        switches=switches,
    )


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    panel = _draw_panel(rng, difficulty)
    layout = draw_layout(rng, difficulty, panel, in_place=bool(rng.integers(2)))
    count = 1 + int(rng.integers(2))
    turned = [panel.switches[int(index)] for index in rng.permutation(len(panel.switches))[:count]]
    on = {switch.label for switch in panel.switches if switch.on} ^ {switch.label for switch in turned}
    wish = Wish(panel=panel, on=frozenset(on), values={})
    turns = " and ".join(f'{"off" if switch.on else "on"} "{switch.label}"' for switch in turned)
    goal = choose(rng, WORDINGS[split]).format(turns=turns, save=f'"{layout.save}"')
    return make_task(layout, wish, goal + hint(layout, wish, difficulty), {"turned": dict(wish.turned)})


TEMPLATE = Template(
    id="NotificationSwitch-v0",
    family="settings",
    summary="Open the notifications, turn one or two switches and save.",
    max_steps=12,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
