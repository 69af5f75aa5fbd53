"""WikiSearch: look a name up in a wiki and open the article about the right one of those that bear it."""

from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.finder.scene import draw_layout, make_oracle, make_rules, make_task
from milepost.envs.apps.finder.server import Entry
from milepost.envs.task import Difficulty, Split, Task, Template, choose, grade

HOST = "wiki.acme.test"

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "search for {name} and open the article {article}",
        "find the article {article}: search for {name}",
        "open the wiki article {article}; search for {name} first",
        "read the article {article} that a search for {name} finds",
        "look for {name} and read the article {article}",
        "search the wiki for {name}, then open the article {article}",
    ),
    (".",),
)
"""How the goal is put, by split."""

_KINDS = (
    "river", "village", "bridge", "castle", "railway", "lake", "museum", "novel", "painter", "football club", "hill", "song",
)  # fmt: skip
_TEXTS: Mapping[str, str] = {
    "river": "It rises in the hills and flows to the sea.",
    "novel": "It was first printed in two volumes.",
    "painter": "Most of the pictures hang in private houses.",
    "song": "It was sung at fairs and weddings.",
}
_PLACE = "It is known well beyond the county."


def _draw_entry(name: str, kind: str, number: str, region: str) -> Entry:
    return Entry(
        id=number,
        title=f"{name} ({kind})",
        facts={"Kind": kind, "Part of": f"{region} county"},
        text=f"{name} is a {kind}. {_TEXTS.get(kind, _PLACE)}",
    )


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    cities = names.mix(rng, list(words.CITIES))
    kinds = names.mix(rng, list(_KINDS))
    numbers = [str(n) for n in rng.permutation(np.arange(100, 1000))]
    region = choose(rng, words.REGIONS)
    same = [
        _draw_entry(cities[0], kind, numbers.pop(), region) for kind in kinds[: 3 + difficulty.distractors]
    ]
    other = [_draw_entry(city, kinds[i], numbers.pop(), region) for i, city in enumerate(cities[1:6])]
    heading = names.draw_one(rng, "Featured articles", "Good reading", "Recently changed")
    layout = draw_layout(rng, "articles", heading, [*same, *other], other[:4])
    target, kind = same[0], kinds[0]
    article = f'"{target.title}"' if difficulty.hint else f'about the "{kind}"'
    goal = choose(rng, WORDINGS[split]).format(name=f'"{cities[0]}"', article=article)
    terms = (cities[0], target.title, f"{cities[0]} {kind}")
    name, title, both = (make_oracle(layout, target, term) for term in terms)
    others = {"by the article's title": title, "by name and kind": both}
    return make_task(HOST, layout, goal, target, make_rules(layout, target, terms), name, others)


TEMPLATE = Template(
    id="WikiSearch-v0",
    family="search",
    summary="Look a name up in a wiki and open the article about the right one that bears it.",
    max_steps=10,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
