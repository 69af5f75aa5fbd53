"""TableLookup: find a row in a table of several pages, read it out and answer with one of its cells."""

from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.dashboard.scene import (
    HOST,
    draw_home,
    draw_site_look,
    find_row,
    finish,
    make_rules,
    make_task,
    says,
)
from milepost.envs.apps.dashboard.server import Book, Table
from milepost.envs.apps.moves import follow, take_first
from milepost.envs.task import Difficulty, Oracle, Split, Task, Template, choose, grade
from milepost.milestones import number, text, url, when
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "find the row of {customer} in {table}, extract it and answer with its {column}",
        "open {table}, read out the row of {customer} and answer with the {column}",
        "extract the row of {customer} from {table} and give its {column} as the answer",
        "look up {customer} in {table}: read out the row and answer with {column}",
        "answer with the {column} of {customer} in {table} and extract the row first",
    ),
    (".",),
)
"""How the goal is put, by split."""

_COLUMNS = ("Customer", "City", "Total", "Items", "Order")
_ASKED = ("City", "Total", "Items", "Order")


def _draw_table(rng: np.random.Generator, title: str, count: int, page_size: int) -> Table:
    people = names.mix(rng, names.draw_people(rng, count))
    numbers = rng.permutation(np.arange(1000, 10_000))[:count]
    rows = tuple(
        (
            person,
            choose(rng, words.CITIES),
            f"{names.draw_amount(rng):,}",
            str(int(rng.integers(1, 30))),
            str(number),
        )
        for person, number in zip(people, numbers, strict=True)
    )
    return Table(
        slug=title.lower().replace(" ", "-"), title=title, columns=_COLUMNS, rows=rows, page_size=page_size
    )


def _make_oracle(table: Table, row: tuple[str, ...], answer: str, home: str) -> Oracle:
    wanted = says(*row)
    place = table.rows.index(row) // table.page_size + 1
    pages = -(-len(table.rows) // table.page_size)

    def act(view: Observation) -> Action:
        element = find_row(view, *row)
        if element:
            return finish(view, element, wanted, answer)
        if not view.find("heading", table.title):
            return take_first(follow(view, table.title, home))
        shown = next((p for p in range(1, pages + 1) if _shows(view, f"Page {p} of {pages}")), 0)
        return take_first(follow(view, "Next" if shown < place else "Previous"))

    return act


def _shows(view: Observation, text: str) -> bool:
    return any(element.name == text for element in view.elements)


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    subjects = names.mix(rng, ["orders", "invoices", "returns", "offers"])
    regions = names.mix(rng, list(words.REGIONS))
    titles = [f"{regions[0]} {subjects[0]}", f"{regions[1]} {subjects[0]}", f"{regions[0]} {subjects[1]}"]
    titles += [f"{regions[i % 4]} {subjects[i % 4]}" for i in (2, 3)]
    size = 5
    tables = [_draw_table(rng, title, size * (1 + difficulty.depth) - 1, size) for title in titles]
    tables = tables[: 3 + difficulty.distractors // 4]
    table = tables[0]
    # The last page, so that depth is how often to turn the page.
    row = choose(rng, table.rows[size * difficulty.depth :])
    book = Book(
        look=draw_site_look(rng),
        home=draw_home(rng),
        tables=tuple(tables[int(index)] for index in rng.permutation(len(tables))),
    )
    column = choose(rng, _ASKED)
    answer = row[_COLUMNS.index(column)]
    spec = make_rules(
        opened=when("navigation_completed", url=url(f"http://{HOST}/tables/{table.slug}", ignore_query=True)),
        role="table",
        name=table.title,
        extracted=says(*row),
        answer=text(answer) if column == "City" else number(answer),
    )
    goal = choose(rng, WORDINGS[split]).format(
        table=f'"{table.title}"', customer=f'"{row[0]}"', column=f'"{column}"'
    )
    params = {"table": table.title, "customer": row[0], "column": column, "value": answer}
    return make_task(
        book,
        goal,
        params,
        spec,
        _make_oracle(table, row, answer, book.home),
        whole=("table", table.title),
        address=f"http://{HOST}/tables/{table.slug}?page={1 + difficulty.depth}",
    )


TEMPLATE = Template(
    id="TableLookup-v0",
    family="navigation",
    summary="Find a row in a table of several pages, read it out and answer with one of its cells.",
    max_steps=12,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
