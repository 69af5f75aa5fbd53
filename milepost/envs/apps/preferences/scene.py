"""What the tasks of the settings site share: its look, the panels beside the wanted one, rules and oracle."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from milepost.envs.apps import names
from milepost.envs.apps.detours import by_keyboard, straight_to
from milepost.envs.apps.moves import enter, follow, pick, press, switch, take_first
from milepost.envs.apps.pages import draw_look
from milepost.envs.apps.preferences.server import (
    APP,
    Entry,
    Layout,
    Panel,
    Switch,
    build,
    describe_state,
)
from milepost.envs.task import Difficulty, Oracle, Task
from milepost.milestones import Goal, Spec, all_of, eq, fields, milestone, text, url, when
from milepost.milestones.operators import Test
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import Site

HOST = "account.acme.test"

_BRANDS = ("Account", "My profile", "Harbor", "Relay", "Beacon")

_OTHERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "Appearance": ("General", ("Dark theme", "Large text", "Compact lists")),
    "Shortcuts": ("General", ("Single keys", "Command menu", "Show hints")),
    "Privacy": ("Account", ("Share usage data", "Personal tips", "Show in search")),
    "Devices": ("Account", ("Trust new devices", "Keep me signed in", "Ask every day")),
    "Calendar": ("Tools", ("Week numbers", "Show birthdays", "Share free times")),
    "Storage": ("Tools", ("Keep versions", "Sync photos", "Save battery")),
}
"""Panels beside the wanted one: title to section and labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How the wanted panel is to stand in the end."""

    panel: Panel
    on: frozenset[str]
    """Labels of the switches that are on in the end."""
    values: Mapping[str, str]
    """Values in the end, by key of entry."""

    @property
    def turned(self) -> Mapping[str, bool]:
        """The switches to turn, to what."""
        return {s.label: s.label in self.on for s in self.panel.switches if s.on != (s.label in self.on)}


def draw_layout(rng: np.random.Generator, difficulty: Difficulty, panel: Panel, *, in_place: bool) -> Layout:
    """Draw the site around a panel."""
    titles = names.mix(rng, [title for title in _OTHERS if title != panel.title])
    others = [_draw_other(rng, title) for title in titles[: min(2 + difficulty.distractors, len(titles))]]
    panels = [panel, *others]
    return Layout(
        look=draw_look(rng, _BRANDS),
        panels=tuple(panels[int(index)] for index in rng.permutation(len(panels))),
        depth=difficulty.depth,
        index=names.draw_one(rng, "Settings", "Preferences", "Options"),
        save=names.draw_one(rng, "Save", "Save changes", "Apply", "Update"),
        saved=names.draw_one(rng, "Changes saved", "Your changes were saved", "Settings saved"),
        in_place=in_place,
        switch_role=names.draw_one(rng, "switch", "checkbox"),
    )


def _draw_other(rng: np.random.Generator, title: str) -> Panel:
    section, labels = _OTHERS[title]
    switches = tuple(Switch(label=label, on=bool(rng.integers(2))) for label in labels)
    return Panel(slug=title.lower(), title=title, section=section, switches=switches)


def hint(layout: Layout, wish: Wish, difficulty: Difficulty) -> str:
    """Say where the panel is, if the difficulty says so."""
    if not difficulty.hint:
        return ""
    way = f' of "{layout.index}"' if layout.depth else ""
    return f' Look in "{wish.panel.title}"{way}.'


def make_task(layout: Layout, wish: Wish, goal: str, params: Mapping[str, object]) -> Task:
    """Make the task of bringing a panel into a state."""
    oracle = _make_oracle(layout, wish)
    return Task(
        goal=goal,
        params={"panel": wish.panel.title, **params},
        start_url=f"http://{HOST}/",
        sites={HOST: Site(app=APP, build=functools.partial(build, layout))},
        spec=_make_spec(layout, wish),
        oracle=oracle,
        alternatives={
            "by keyboard": by_keyboard(oracle),
            "by address": straight_to(oracle, f"http://{HOST}/settings/{wish.panel.slug}"),
            "last control first": _make_oracle(layout, wish, from_last=True),
        },
    )


def _make_spec(layout: Layout, wish: Wish) -> Spec:
    panel = wish.panel
    loaded = when("navigation_completed", url=url(f"http://{HOST}/settings/{panel.slug}", ignore_query=True))
    titled = when("title_changed", title=f"{panel.title} - {layout.look.brand}")
    turned = [when("toggled", name=label, checked=on) for label, on in wish.turned.items()]
    free = {entry.key for entry in panel.entries if not entry.options}
    state: dict[str, Test] = {
        key: text(value) if key in free else eq(value)
        for key, value in describe_state(panel, wish.on, wish.values).items()
    }
    saved = when("app_changed", app=APP, change="settings.saved", data=fields(**state))
    shown = when("element_appeared", role="status", name=layout.saved)
    # A wrong state of the same panel can be made good by saving again; another panel is not to be touched.
    same_panel = when("app_changed", app=APP, change="settings.saved", data=fields(panel=panel.slug))
    return Spec(
        milestones=(
            milestone("opened", reward="0.25", component="nav", when=loaded & titled),
            milestone("switched", reward="0.25", component="ui", when=all_of(*turned)),
            milestone("saved", reward="0.5", component="goal", when=saved & shown),
        ),
        goal=Goal(when=saved & shown, frame=(same_panel,)),
    )


def _make_oracle(layout: Layout, wish: Wish, *, from_last: bool = False) -> Oracle:
    panel = wish.panel
    role = "checkbox" if panel.channels else layout.switch_role
    warnings = {s.warning: s.label for s in panel.switches if s.warning}

    def set_up(view: Observation) -> list[Action | None]:
        moves: list[Action | None] = [
            (pick if entry.options else enter)(view, entry.label, wish.values[entry.key])
            for entry in panel.entries
        ]
        moves += [switch(view, role, s.label, s.label in wish.on) for s in panel.switches]
        return moves[::-1] if from_last else moves

    def act(view: Observation) -> Action:
        dialog = view.element("dialog")
        if dialog is not None:
            meant = warnings.get(dialog.name) in wish.turned
            return take_first(press(view, "button", "Confirm" if meant else "Cancel"))
        if view.find("heading", panel.title):
            return take_first(*set_up(view), press(view, "button", layout.save))
        return take_first(follow(view, panel.title, panel.section, layout.index))

    return act


def make_entry(key: str, label: str, value: str, options: tuple[str, ...] = ()) -> Entry:
    """Make a field of a panel."""
    return Entry(key=key, label=label, value=value, options=options)
