"""RecordField: open a record of a long list, go to one of its tabs, read a field out and answer with it."""

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
from milepost.envs.apps.dashboard.server import Book, Record
from milepost.envs.apps.moves import follow, press, take_first
from milepost.envs.task import Difficulty, Oracle, Split, Task, Template, choose, grade
from milepost.milestones import text, url, when
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "open {record}, go to {tab}, extract the row {field} and answer with its value",
        "look up {field} in {tab} of {record}: extract the row and answer with its value",
        "find {record} and read out the row {field} in {tab}; answer with its value",
        "answer with the {field} of {record} in {tab} and extract its row first",
        "extract the row {field} from {tab} of {record} and give its value as the answer",
    ),
    (".",),
)
"""How the goal is put, by split."""

_TABS: Mapping[str, tuple[str, ...]] = {
    "Overview": ("Manager", "Branch", "Customer number"),
    "Contact": ("Contact person", "Phone", "Deputy"),
    "Billing": ("Account", "Credit limit", "Bookkeeper"),
    "Contract": ("Contract number", "Signed by", "Mandate"),
}
_PEOPLE = {"Manager", "Contact person", "Deputy", "Bookkeeper", "Signed by"}


def _draw_value(rng: np.random.Generator, label: str) -> str:
    if label in _PEOPLE:
        return f"{choose(rng, words.FIRST_NAMES)} {choose(rng, words.SURNAMES)}"
    if label == "Branch":
        return choose(rng, words.CITIES)
    return str(int(rng.integers(10_000, 100_000)))


def _draw_record(rng: np.random.Generator, name: str, tabs: list[str]) -> Record:
    return Record(
        slug=name.lower().replace(" ", "-"),
        name=name,
        tabs={tab: {label: _draw_value(rng, label) for label in _TABS[tab]} for tab in tabs},
    )


def _make_oracle(book: Book, wanted: Record, tab: str, field: str) -> Oracle:
    value = wanted.tabs[tab][field]
    read = says(field, value)
    at = book.records.index(wanted)

    def act(view: Observation) -> Action:
        if view.find("heading", wanted.name):
            row = find_row(view, field, value)
            shown = view.find("group", f"{tab} of {wanted.name}")
            if row and shown:
                return finish(view, row, read, value)
            return take_first(press(view, "tab", tab))
        if view.find("heading", book.records_title) and not view.find("link", wanted.name):
            shown_first = next(i for i, r in enumerate(book.records) if view.find("link", r.name))
            return take_first(follow(view, "Next" if at > shown_first else "Previous"))
        return take_first(follow(view, wanted.name, book.records_title))

    return act


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    tabs = names.mix(rng, list(_TABS))[: 2 + min(difficulty.depth, 2)]
    companies = names.draw_companies(rng, 6 + difficulty.distractors)
    drawn = [_draw_record(rng, name, tabs) for name in companies]
    book = Book(
        look=draw_site_look(rng),
        home=draw_home(rng),
        records=tuple(drawn[int(index)] for index in rng.permutation(len(drawn))),
        records_title=names.draw_one(rng, "Customers", "Partners", "Accounts", "Companies"),
    )
    record = drawn[0]
    tab = tabs[-1]
    field = choose(rng, _TABS[tab])
    value = record.tabs[tab][field]
    spec = make_rules(
        opened=when("navigation_completed", url=url(f"http://{HOST}/records/{record.slug}")),
        role="group",
        name=f"{tab} of {record.name}",
        extracted=says(field, value),
        answer=text(value),
    )
    goal = choose(rng, WORDINGS[split]).format(record=f'"{record.name}"', tab=f'"{tab}"', field=f'"{field}"')
    if difficulty.hint:
        goal += f' It is one of the "{book.records_title}".'
    params = {"record": record.name, "tab": tab, "field": field, "value": value}
    return make_task(
        book,
        goal,
        params,
        spec,
        _make_oracle(book, record, tab, field),
        whole=("group", f"{tab} of {record.name}"),
        address=f"http://{HOST}/records/{record.slug}",
    )


TEMPLATE = Template(
    id="RecordField-v0",
    family="navigation",
    summary="Open a record of a long list, go to one of its tabs, read a field out and answer with it.",
    max_steps=12,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
