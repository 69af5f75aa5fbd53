"""What the tasks of the search site share: its look, the rules of finding, and the way of the oracle."""

import functools
import operator
import re
from collections.abc import Iterable, Mapping

import numpy as np

from milepost.envs.apps import names
from milepost.envs.apps.detours import by_enter, by_keyboard
from milepost.envs.apps.finder.server import APP, ORDER, RESULTS, Entry, Layout, build, search
from milepost.envs.apps.moves import enter, follow, pick, press, take_first
from milepost.envs.apps.pages import draw_look
from milepost.envs.task import Oracle, Task
from milepost.milestones import Goal, Predicate, Spec, fields, forbid, matches, milestone, one_of, text, when
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import Site

GUESSES = 3
"""So many wrong entries opened end the episode: the goal has to be read, not hit upon."""

_BRANDS: Mapping[str, tuple[str, ...]] = {
    "articles": ("Openbook", "Almanac", "Compendium", "Atlas"),
    "table": ("Payables", "Ledgerline", "Billfold", "Invoicer"),
    "cards": ("Market Hall", "Bazaar", "Emporium", "Stallholder"),
}


def draw_layout(
    rng: np.random.Generator,
    view: str,
    heading: str,
    entries: list[Entry],
    featured: list[Entry],
    filters: tuple[str, ...] = (),
) -> Layout:
    """Draw the site around its entries."""
    return Layout(
        look=draw_look(rng, _BRANDS[view]),
        home=names.draw_one(rng, "Home", "Start", "Front page"),
        heading=heading,
        label=names.draw_one(rng, "Search", "Search here", "Look up", "Words"),
        button=names.draw_one(rng, "Search", "Find", "Go"),
        view=view,
        entries=tuple(entries[int(index)] for index in rng.permutation(len(entries))),
        featured=tuple(featured),
        filters=filters,
    )


def make_rules(layout: Layout, target: Entry, terms: tuple[str, ...]) -> Spec:
    """Make the rules of a search: field filled, results shown, the right entry opened.

    Args:
        layout: the site.
        target: what is to be opened.
        terms: what may be searched for, each of them right.
    """
    query = _any_of(when("filled", name=layout.label, value=text(term)) for term in terms)
    executed = _any_of(
        when("app_changed", app=APP, change="search.executed", data=fields(query=text(term)))
        for term in terms
    )
    listed = when("element_appeared", role=one_of("list", "table"), name=RESULTS)
    opened = when("app_changed", app=APP, change="entry.opened", data=fields(id=target.id))
    other = matches(rf"(?!{re.escape(target.id)}$).*")
    wrong = when("app_changed", app=APP, change="entry.opened", data=fields(id=other))
    return Spec(
        milestones=(
            milestone("query", reward="0.25", component="form", when=query),
            milestone("results", reward="0.5", component="ui", when=executed & listed),
            milestone("opened", reward="0.5", component="goal", when=opened),
        ),
        forbidden=(forbid("guessing", when=wrong.count(GUESSES)),),
        goal=Goal(when=opened, frame=(when("app_changed", app=APP),)),
    )


def _any_of(parts: Iterable[Predicate]) -> Predicate:
    return functools.reduce(operator.or_, parts)


def make_oracle(layout: Layout, target: Entry, term: str, sort: str = "") -> Oracle:
    """Make an oracle that searches for a term, in an order, and turns pages until the target is there."""
    found = [entry.title for entry in search(layout.entries, term, sort)]

    def find_link(view: Observation) -> Action | None:
        shown = view.find("list", RESULTS) or view.find("table", RESULTS)
        return follow(view, target.title) if shown else None

    def turn(view: Observation) -> Action | None:
        links = [e.name for e in view.elements if e.role == "link" and e.name in found]
        later = bool(links) and found.index(links[0]) < found.index(target.title)
        word = "Next" if later else "Previous"
        return follow(view, word) or press(view, "button", word)

    def act(view: Observation) -> Action:
        if view.find("heading", target.title):
            return take_first()
        if view.find("heading", f"{RESULTS} for {term}"):
            return take_first(find_link(view), turn(view))
        return take_first(
            enter(view, layout.label, term),
            pick(view, ORDER, sort) if sort else None,
            press(view, "button", layout.button),
            follow(view, layout.home),
        )

    return act


def make_task(
    host: str,
    layout: Layout,
    goal: str,
    target: Entry,
    spec: Spec,
    oracle: Oracle,
    others: Mapping[str, Oracle],
) -> Task:
    """Make a task on the site; `others` are ways to do it beside the oracle's and those by keyboard."""
    return Task(
        goal=goal,
        params={"id": target.id, "title": target.title, "facts": dict(target.facts)},
        start_url=f"http://{host}/",
        sites={host: Site(app=APP, build=functools.partial(build, layout))},
        spec=spec,
        oracle=oracle,
        alternatives={
            "by keyboard": by_keyboard(oracle),
            "by Enter": by_enter(oracle, layout.button, layout.label),
            **others,
        },
    )
