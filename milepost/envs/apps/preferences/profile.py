"""ProfileUpdate: change a name, a list and a switch of the profile and save."""

from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.preferences.scene import Wish, draw_layout, hint, make_entry, make_task
from milepost.envs.apps.preferences.server import Panel, Switch
from milepost.envs.task import Difficulty, Split, Task, Template, choose, grade

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "change my profile: {values}, {turn}. Press {save}.",
        "update the profile with {values}, turn {turn} and press {save}.",
        "set {values} and turn {turn}. Then click {save}.",
        "set {values} in my profile, {turn}, and save with {save}.",
        "make my profile {values} with {turn}. Click {save} at the end.",
    ),
)
"""How the goal is put, by split."""

_LISTS: Mapping[str, tuple[str, ...]] = {
    "Language": ("English", "Spanish", "French", "German", "Dutch"),
    "Time zone": ("Lisbon", "London", "Berlin", "Athens", "Cairo"),
    "Role": ("Manager", "Engineer", "Designer", "Analyst", "Assistant"),
}
_SWITCHES = ("Public profile", "Show my mail address", "Show my birthday", "Show when I am online")


def _draw_panel(rng: np.random.Generator, difficulty: Difficulty) -> Panel:
    labels = names.mix(rng, list(_SWITCHES))[: 2 + min(difficulty.distractors // 2, 2)]
    chosen = names.mix(rng, list(_LISTS))[: 1 + difficulty.distractors // 4]
    person = f"{choose(rng, words.FIRST_NAMES)} {choose(rng, words.SURNAMES)}"
    lists = [
        make_entry(f"list{i}", key, choose(rng, _LISTS[key]), _LISTS[key]) for i, key in enumerate(chosen)
    ]
    entries = [
        make_entry("name", names.draw_one(rng, "Display name", "Full name", "Name"), person),
        make_entry("city", names.draw_one(rng, "City", "Home town"), choose(rng, words.CITIES)),
        *lists,
    ]
    return Panel(
        slug="profile",
        title=names.draw_one(rng, "Profile", "About me", "Personal details"),
        section=names.draw_one(rng, "You", "Person"),
        switches=tuple(Switch(label=label, on=bool(rng.integers(2))) for label in labels),
        entries=tuple(entries),
    )


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    panel = _draw_panel(rng, difficulty)
    layout = draw_layout(rng, difficulty, panel, in_place=bool(rng.integers(2)))
    field = panel.entries[int(rng.integers(2))]
    fresh = f"{choose(rng, words.FIRST_NAMES)} {choose(rng, words.SURNAMES)}"
    new = fresh if field.key == "name" else choose(rng, [c for c in words.CITIES if c != field.value])
    changed = {field.key: new}
    if rng.integers(2):
        chooser = panel.entries[2]
        changed[chooser.key] = choose(rng, [o for o in chooser.options if o != chooser.value])
    turned = choose(rng, panel.switches)
    on = {switch.label for switch in panel.switches if switch.on} ^ {turned.label}
    wish = Wish(
        panel=panel, on=frozenset(on), values={e.key: changed.get(e.key, e.value) for e in panel.entries}
    )
    values = ", ".join(f'"{e.label}" "{changed[e.key]}"' for e in panel.entries if e.key in changed)
    turn = f'"{turned.label}" {"off" if turned.on else "on"}'
    goal = choose(rng, WORDINGS[split]).format(values=values, turn=turn, save=f'"{layout.save}"')
    params = {"turned": dict(wish.turned), "values": values}
    return make_task(layout, wish, goal + hint(layout, wish, difficulty), params)


TEMPLATE = Template(
    id="ProfileUpdate-v0",
    family="settings",
    summary="Change a field, a list and a switch of the profile and save.",
    max_steps=14,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
