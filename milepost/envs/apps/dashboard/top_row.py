"""TopRow: sort a grid that a script fills, read its first row out and answer with the name in it."""

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
from milepost.envs.apps.dashboard.server import Book, Table, sort_rows
from milepost.envs.apps.moves import follow, press, take_first
from milepost.envs.task import Difficulty, Oracle, Split, Task, Template, choose, grade
from milepost.milestones import text, url, when
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "find the row with the {most} {column} in {table}, extract it and answer with its {name}",
        "open {table}, read out the row with the {most} {column} and answer with the {name}",
        "answer with the {name} that has the {most} {column} in {table} and extract its row first",
        "see which {name} of {table} has the {most} {column}: extract the row and answer with it",
        "look for the {most} {column} in {table}, read out its row and answer with the {name}",
        "answer with the {name} of the row with the {most} {column} in {table}, and extract that row first",
        "extract the row of {table} with the {most} {column} and give the {name} as the answer",
    ),
    (".",),
)
"""How the goal is put, by split."""

_KINDS = ("products", "stores", "partners", "suppliers")
_NUMBERS = ("Revenue", "Orders", "Returns", "Stock")


def _draw_table(rng: np.random.Generator, title: str, count: int, page_size: int) -> Table:
    found = names.mix(rng, names.draw_companies(rng, count))
    columns = tuple(names.mix(rng, list(_NUMBERS))[:3])
    numbers = [[f"{n:,}" for n in rng.permutation(np.arange(40, 5_000))[:count]] for _ in columns]
    rows = tuple((found[i], *(column[i] for column in numbers)) for i in range(count))
    return Table(
        slug=title.lower().replace(" ", "-"),
        title=title,
        columns=("Name", *columns),
        rows=rows,
        page_size=page_size,
        sortable=True,
    )


def _make_oracle(table: Table, row: tuple[str, ...], column: str, home: str) -> Oracle:
    wanted = says(*row)

    def act(view: Observation) -> Action:
        element = find_row(view, *row)
        if element:
            return finish(view, element, wanted, row[0])
        if not view.find("heading", table.title):
            return take_first(follow(view, table.title, home))
        return take_first(press(view, "button", column))

    return act


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    periods = names.mix(rng, list(words.PERIODS))
    kinds = names.mix(rng, list(_KINDS))
    titles = [f"{periods[0]} {kinds[0]}", f"{periods[1]} {kinds[0]}", f"{periods[0]} {kinds[1]}"]
    titles += [f"{periods[2]} {kinds[2]}", f"{periods[3]} {kinds[3]}"]
    size = 5
    tables = [_draw_table(rng, title, size + 3 * difficulty.distractors // 2, size) for title in titles]
    tables = tables[: 3 + difficulty.depth]
    table = tables[0]
    column = choose(rng, table.columns[1:])
    highest = bool(rng.integers(2))
    row = sort_rows(table, column, highest)[0]
    book = Book(
        look=draw_site_look(rng),
        home=draw_home(rng),
        tables=tuple(tables[int(index)] for index in rng.permutation(len(tables))),
    )
    spec = make_rules(
        opened=when("navigation_completed", url=url(f"http://{HOST}/tables/{table.slug}")),
        role="table",
        name=table.title,
        extracted=says(*row),
        answer=text(row[0]),
    )
    goal = choose(rng, WORDINGS[split]).format(
        table=f'"{table.title}"',
        column=f'"{column}"',
        most="highest" if highest else "lowest",
        name='"Name"',
    )
    params = {"table": table.title, "column": column, "highest": highest, "value": row[0]}
    return make_task(
        book,
        goal,
        params,
        spec,
        _make_oracle(table, row, column, book.home),
        whole=("table", table.title),
        address=f"http://{HOST}/tables/{table.slug}",
    )


TEMPLATE = Template(
    id="TopRow-v0",
    family="navigation",
    summary="Sort a grid, read out the row with the highest or lowest number and answer with its name.",
    max_steps=12,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
