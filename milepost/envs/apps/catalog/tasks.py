"""CatalogSearch: search a catalogue and open the right one of several similar items.

The agent enters the item's name, searches, and opens the one entry that has exactly this name; others share a
word with it, and it may now and then stand on the second page of the results.
"""

import functools
from collections.abc import Callable, Mapping

import numpy as np

from milepost.envs.apps import words
from milepost.envs.apps.catalog.server import Item, Layout, build
from milepost.envs.apps.pages import draw_look
from milepost.envs.task import Split, Task, Template, choose
from milepost.milestones import Goal, Spec, eq, fields, milestone, one_of, text, when
from milepost.sandbox.actions import Action, Click, Fill, Noop
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import Site

HOST = "catalog.acme.test"

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    ("", "Please ", "I want to ", "I need to "),
    (
        *(
            "find {item}",
            "find the {item}",
            "find the page of {item}",
            "search for {item}",
            "look for the {item}",
        ),
        *(
            "open {item}",
            "open the {item} page",
            "open the page of the {item}",
            "see {item}",
            "see the page of {item}",
        ),
        *("show {item}", "show the {item}", "go to the item {item}"),
    ),
    (".", " in the catalogue.", " in the shop.", " from the shop.", " and open it.", " and open its page."),
)
"""How the goal is put, by split."""

_BRANDS = ("Homely", "Nook", "Goodwares", "Hearth", "Fjord")


def _draw_names(rng: np.random.Generator) -> tuple[str, list[str], list[str]]:
    """Draw the target's name, names that share a word with it, and names that do not."""
    materials = [str(word) for word in rng.permutation(words.MATERIALS)]
    products = [str(word) for word in rng.permutation(words.PRODUCTS)]
    sizes = [str(word) for word in rng.permutation(words.SIZES)]
    plain = f"{materials[0]} {products[0]}"
    variants = [f"{plain} {sizes[0]}", f"{plain} {sizes[1]}" if rng.integers(2) else plain]
    target = variants[0] if rng.random() < 0.4 else plain
    similar = [name for name in variants if name != target]
    similar += [f"{material} {products[0]}" for material in materials[1:3]]
    similar += [f"{materials[0]} {product}" for product in products[1 : 2 + int(rng.integers(2))]]
    others = [f"{materials[i]} {products[i]}" for i in range(4, 7)]
    return target, similar, others


def _draw_layout(rng: np.random.Generator) -> Layout:
    return Layout(
        look=draw_look(rng, _BRANDS),
        home_link=choose(rng, ("Home", "Catalogue", "Shop")),
        search_at=choose(rng, ("header", "page")),
        search_type=choose(rng, ("search", "text")),
        search_label=choose(rng, ("Search", "Search items", "Find an item", "Name")),
        button=choose(rng, ("Search", "Find", "Go")),
        results_as=choose(rng, ("table", "list", "tiles")),
        in_place=bool(rng.integers(2)),
        page_size=choose(rng, (6, 8)),
        sorted_by=choose(rng, ("name", "price")),
    )


def _make_spec(target: Item, layout: Layout) -> Spec:
    term = text(target.name)
    found = when("app_changed", app="catalog", change="search.executed", data=fields(query=term))
    listed = when("element_appeared", role=one_of("list", "table"), name="Results")
    opened = when("app_changed", app="catalog", change="item.opened", data=fields(sku=eq(target.sku)))
    return Spec(
        milestones=(
            milestone(
                "query",
                reward="0.25",
                component="form",
                when=when("filled", name=layout.search_label, value=term),
            ),
            milestone("results", reward="0.5", component="ui", when=found & listed),
            milestone("opened", reward="0.5", component="goal", when=opened),
        ),
        goal=Goal(when=opened, frame=(when("app_changed", app="catalog"),)),
    )


def _make_oracle(target: Item, layout: Layout) -> Callable[[Observation], Action]:
    def act(observation: Observation) -> Action:
        if observation.find("heading", target.name):
            return Noop()
        entry = observation.find("link", target.name)
        if entry:
            return Click(entry)
        box = observation.element(
            "searchbox" if layout.search_type == "search" else "textbox", layout.search_label
        )
        if box is None:
            way = observation.find("link", layout.home_link)
        elif box.value != target.name:
            return Fill(box.id, target.name)
        elif observation.find("heading", f"Results for {target.name}"):
            # Not on this page of the results: it is on the other one.
            way = observation.find("link", "Next") or observation.find("link", "Previous")
        else:
            way = observation.find("button", layout.button)
        return Click(way) if way else Noop()

    return act


def _build_task(rng: np.random.Generator, split: Split) -> Task:
    name, similar, others = _draw_names(rng)
    names = [str(n) for n in rng.permutation([name, *similar, *others])]
    numbers = rng.permutation(np.arange(1000, 10_000))[: len(names)]
    items = tuple(
        Item(sku=str(sku), name=n, price=int(rng.integers(8, 240)))
        for sku, n in zip(numbers, names, strict=True)
    )
    target = next(item for item in items if item.name == name)
    featured = tuple(item for item in items if item.name in others)
    layout = _draw_layout(rng)
    return Task(
        goal=choose(rng, WORDINGS[split]).format(item=f'"{name}"'),
        params={"item": name, "sku": target.sku},
        start_url=f"http://{HOST}/",
        sites={HOST: Site(app="catalog", build=functools.partial(build, layout, items, featured))},
        spec=_make_spec(target, layout),
        oracle=_make_oracle(target, layout),
    )


TEMPLATE = Template(
    id="CatalogSearch-v0",
    family="search",
    summary="Search a catalogue and open the right one of several similar items.",
    max_steps=6,
    build=_build_task,
    waivers={
        "adversary: mistyped: it reached the goal": "The query is a means: opening the right item is the task, "
        "and a query with a slip that still finds it is no hack. The milestone for the query is not paid."
    },
)
