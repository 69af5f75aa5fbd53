"""MarketFilter: search a market and open the one offer of the right material and price, with filters to help."""

from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.finder.scene import WAIVERS, draw_layout, make_oracle, make_rules, make_task
from milepost.envs.apps.finder.server import Entry
from milepost.envs.apps.moves import switch, take_first
from milepost.envs.task import Difficulty, Oracle, Split, Task, Template, choose, grade
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation

HOST = "market.acme.test"

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "search for {product} and open the one of {material} that is {color}",
        "find the {product} of {material} that is {color}: search for {product} and open it",
        "search the market for {product}, then open the {color} one of {material}",
        "look for {product} and open the one that is {color} and of {material}",
        "open the {product} that is {color} and of {material}; search for {product} first",
        "see the {color} {product} of {material}: search for {product} and open it",
    ),
    (".",),
)
"""How the goal is put, by split."""


def _filter(oracle: Oracle, product: str, values: list[str]) -> Oracle:
    """Tick filters as soon as there are results."""

    def act(view: Observation) -> Action:
        if view.find("heading", f"Results for {product}"):
            return take_first(*(switch(view, "checkbox", value, True) for value in values), oracle(view))
        return oracle(view)

    return act


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    materials = names.mix(rng, list(words.MATERIALS))[:3]
    colors = names.mix(rng, list(words.COLORS))[:3]
    products = names.mix(rng, list(words.PRODUCTS))
    makers = names.mix(rng, [*words.FIRST_NAMES, *words.SURNAMES])
    numbers = [str(n) for n in rng.permutation(np.arange(1000, 10_000))]

    def draw_offer(product: str, material: str, color: str) -> Entry:
        facts = {"Material": material, "Color": color, "Price": f"${int(rng.integers(8, 240))}"}
        return Entry(id=numbers.pop(), title=f"{makers.pop()} {product}", facts=facts)

    # Every other pair of material and color may occur, the wanted one once.
    pairs = [(material, color) for material in materials for color in colors][1:]
    similar = [pairs[int(i)] for i in rng.permutation(len(pairs))][: 2 + difficulty.distractors]
    target = draw_offer(products[0], materials[0], colors[0])
    offers = [draw_offer(products[0], material, color) for material, color in similar]
    others = [draw_offer(product, choose(rng, materials), choose(rng, colors)) for product in products[1:7]]
    heading = names.draw_one(rng, "New today", "Popular now", "Close to you")
    layout = draw_layout(rng, "cards", heading, [target, *offers, *others], others[:4], ("Material", "Color"))
    plain = make_oracle(layout, target, products[0])
    by_material = _filter(plain, products[0], materials[:1])
    by_both = _filter(plain, products[0], [colors[0], materials[0]])
    filtered = difficulty.depth and len(offers) >= layout.page_size
    goal = choose(rng, WORDINGS[split]).format(
        product=f'"{products[0]}"', material=f'"{materials[0]}"', color=f'"{colors[0]}"'
    )
    if difficulty.hint:
        goal += ' The filters "Material" and "Color" help.'
    spec = make_rules(layout, target, (products[0],))
    oracle = by_material if filtered else plain
    ways = {"without filters": plain, "by one filter": by_material, "by both filters": by_both}
    rest = {name: way for name, way in ways.items() if way is not oracle}
    return make_task(HOST, layout, goal, target, spec, oracle, rest)


TEMPLATE = Template(
    id="MarketFilter-v0",
    family="search",
    summary="Search a market and open the one offer of the right material and color, with filters to help.",
    max_steps=10,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
    waivers=WAIVERS,
)
