"""SecurityPanel: turn a switch that asks back in a dialog, choose from a list and save."""

from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.preferences.scene import Wish, draw_layout, hint, make_entry, make_task
from milepost.envs.apps.preferences.server import Panel, Switch
from milepost.envs.task import Difficulty, Split, Task, Template, choose, grade

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "turn {turn} and set {list} to {option}. Press {save}.",
        "set {list} to {option}, turn {turn} and press {save}.",
        "make the account safer: {turn}, {list} {option}. Click {save} at the end.",
        "turn {turn}, choose {option} for {list} and save with {save}.",
        "choose {option} for {list} and turn {turn}. Then click {save}.",
    ),
)
"""How the goal is put, by split."""

_SWITCHES = (
    "Two-step login", "Login by link", "Login alerts", "Trusted devices", "Backup codes", "Guest access", "Shared links",
    "Remote access", "Login by phone",
)  # fmt: skip
_LISTS: Mapping[str, tuple[str, ...]] = {
    "Sign out after": ("Ten minutes", "One hour", "One day", "One week"),
    "Password age": ("One month", "Three months", "One year", "No limit"),
    "Activity log": ("Seven days", "Thirty days", "One year"),
}


def _draw_panel(rng: np.random.Generator, difficulty: Difficulty) -> Panel:
    labels = names.mix(rng, list(_SWITCHES))[: 2 + difficulty.distractors]
    ons = [bool(rng.integers(2)) for _ in labels]
    chosen = names.mix(rng, list(_LISTS))[:2]
    return Panel(
        slug="security",
        title=names.draw_one(rng, "Security", "Login and security", "Protection"),
        section=names.draw_one(rng, "Safety", "Access"),
        switches=tuple(
            Switch(label=label, on=on, warning=f"Turn {'off' if on else 'on'} {label.lower()}?")
            for label, on in zip(labels, ons, strict=True)
        ),
        entries=tuple(
            make_entry(f"list{i}", key, choose(rng, _LISTS[key]), _LISTS[key]) for i, key in enumerate(chosen)
        ),
    )


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    panel = _draw_panel(rng, difficulty)
    layout = draw_layout(rng, difficulty, panel, in_place=True)
    turned = choose(rng, panel.switches)
    entry = choose(rng, panel.entries)
    option = choose(rng, [o for o in entry.options if o != entry.value])
    on = {switch.label for switch in panel.switches if switch.on} ^ {turned.label}
    values = {e.key: option if e is entry else e.value for e in panel.entries}
    wish = Wish(panel=panel, on=frozenset(on), values=values)
    goal = choose(rng, WORDINGS[split]).format(
        turn=f'{"off" if turned.on else "on"} "{turned.label}"',
        list=f'"{entry.label}"',
        option=f'"{option}"',
        save=f'"{layout.save}"',
    )
    params = {"turned": dict(wish.turned), "list": entry.label, "option": option}
    return make_task(layout, wish, goal + hint(layout, wish, difficulty), params)


TEMPLATE = Template(
    id="SecurityPanel-v0",
    family="settings",
    summary="Turn a switch that asks back in a dialog, choose from a list and save.",
    max_steps=14,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
