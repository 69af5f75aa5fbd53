"""ChannelMatrix: choose by which channel an event is told, in a table of checkboxes that a script fills."""

import itertools
from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.preferences.scene import Wish, draw_layout, hint, make_task
from milepost.envs.apps.preferences.server import Panel, Switch
from milepost.envs.task import Difficulty, Split, Task, Template, choose, grade

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "change the channels: {turns}. Press {save}.",
        "set {turns} and press {save}.",
        "choose {turns}, then click {save}.",
        "make it {turns}. Click {save} at the end.",
        "change to {turns} and save with {save}.",
        "have {turns} and save with {save}.",
    ),
)
"""How the goal is put, by split; `turns` is a list such as `"Mentions" by "Email" on`."""

_EVENTS = ("Mentions", "Comments", "Invitations", "Payments", "Logins", "Deadlines", "Releases", "Reviews")
_CHANNELS = ("Email", "Phone", "Desktop", "Chat")


def _draw_panel(rng: np.random.Generator, difficulty: Difficulty) -> Panel:
    events = names.mix(rng, list(_EVENTS))[: 2 + difficulty.distractors // 2]
    channels = tuple(names.mix(rng, list(_CHANNELS))[:3])
    labels = [f"{event} by {channel}" for event, channel in itertools.product(events, channels)]
    return Panel(
        slug="channels",
        title=names.draw_one(rng, "Channels", "Delivery", "How we reach you"),
        section=names.draw_one(rng, "Communication", "Contact"),
        switches=tuple(Switch(label=label, on=bool(rng.integers(2))) for label in labels),
        channels=channels,
    )


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    panel = _draw_panel(rng, difficulty)
    layout = draw_layout(rng, difficulty, panel, in_place=bool(rng.integers(2)))
    count = 1 + int(rng.integers(2))
    turned = [panel.switches[int(index)] for index in rng.permutation(len(panel.switches))[:count]]
    on = {switch.label for switch in panel.switches if switch.on} ^ {switch.label for switch in turned}
    wish = Wish(panel=panel, on=frozenset(on), values={})
    turns = " and ".join(
        '"{}" by "{}" {}'.format(*one.label.split(" by "), "off" if one.on else "on") for one in turned
    )
    goal = choose(rng, WORDINGS[split]).format(turns=turns, save=f'"{layout.save}"')
    return make_task(layout, wish, goal + hint(layout, wish, difficulty), {"turned": dict(wish.turned)})


TEMPLATE = Template(
    id="ChannelMatrix-v0",
    family="settings",
    summary="Choose by which channel an event is told, in a table of checkboxes, and save.",
    max_steps=12,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
