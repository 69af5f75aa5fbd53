import json
from fractions import Fraction
from typing import Any

import pytest

from milepost.envs.apps.finder import invoices, market, wiki
from milepost.envs.apps.finder.server import Entry, search
from milepost.envs.task import Task, Template
from milepost.sandbox.events import AppChanged, ElementAppeared, Filled
from tests.envs.apps.conftest import is_worthless, judge, visit

TEMPLATES = (wiki.TEMPLATE, invoices.TEMPLATE, market.TEMPLATE)
each = pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.id)

ENTRIES = (
    Entry(id="1", title="Ouse (river)", facts={"Kind": "river"}, rank=3),
    Entry(id="2", title="Ouse (song)", facts={"Kind": "song"}, rank=1),
    Entry(id="3", title="Avon", facts={"Kind": "river"}, rank=2),
)


def ids(found: tuple[Entry, ...]) -> list[str]:
    return [entry.id for entry in found]


def did(change: str, **data: Any) -> AppChanged:
    return AppChanged(app="finder", change=change, data=data)


def term(task: Task) -> str:
    return task.goal.split('search for "')[-1].split('"')[0] if 'search for "' in task.goal else ""


def test_entries_with_more_of_the_words_come_first() -> None:
    assert ids(search(ENTRIES, "OUSE river")) == ["1", "2", "3"]
    assert ids(search(ENTRIES, "river, Avon!")) == ["3", "1"]
    assert ids(search(ENTRIES, "ouse river", "Newest")) == ["1", "3", "2"]
    assert ids(search(ENTRIES, "ouse river", "Oldest")) == ["2", "3", "1"]
    assert ids(search(ENTRIES, "")) == []


@each
def test_opening_the_right_entry_reaches_the_goal(template: Template) -> None:
    task = template.task(0)
    assert judge(task, did("entry.opened", id=task.params["id"])) == ({"opened": Fraction(1, 2)}, True)


@each
def test_opening_one_entry_after_the_other_ends_the_matter(template: Template) -> None:
    task = template.task(1)
    wrong = [did("entry.opened", id=str(number)) for number in (1, 2, 3)]
    right = did("entry.opened", id=task.params["id"])
    assert judge(task, *wrong[:2], right)[1]
    assert is_worthless(task, *wrong, right)


@each
def test_a_search_pays_when_the_site_ran_it_and_shows_its_results(template: Template) -> None:
    task = next(t for t in map(template.task, range(60)) if term(t))
    words = term(task)
    typed = [
        Filled(tab=0, role="searchbox", name=label, value=words)
        for label in ("Search", "Search here", "Look up", "Words")
    ]
    shown = [ElementAppeared(tab=0, role=role, name="Results") for role in ("list", "table")]
    assert judge(task, *typed) == ({"query": Fraction(1, 4)}, False)
    assert judge(task, *shown) == ({}, False)
    assert judge(task, did("search.executed", query="other", page=1, found=1), *shown) == ({}, False)
    ran = did("search.executed", query=words, page=1, found=3)
    assert judge(task, ran, *shown) == ({"results": Fraction(1, 2)}, False)


@each
def test_the_target_is_found_by_its_words_and_opening_it_is_recorded(template: Template) -> None:
    task = template.task(2)
    site = visit(task)
    answer = site.get(f"/entries/{task.params['id']}")
    assert task.params["title"] in answer.text
    assert site.records == [("entry.opened", {"id": task.params["id"], "title": task.params["title"]})]
    assert site.get("/entries/none").status == 404
    assert site.get("/pages/none").status == 404


def test_the_latest_invoice_of_the_company_is_meant() -> None:
    for seed in range(20):
        for level, wanted in (("normal", None), ("hard", "Open")):
            task = invoices.TEMPLATE.at(level).task(seed)
            company = task.params["facts"]["Company"]
            found = visit(task).get(f"/search?q={company.replace(' ', '+')}&sort=Newest").text
            rows = [row for row in found.split("<tr>")[2:] if f"<td>{company}</td>" in row]
            rows = [row for row in rows if wanted is None or f"<td>{wanted}</td>" in row]
            assert task.params["title"] in rows[0]


def test_filters_leave_what_has_one_of_the_values() -> None:
    task = market.TEMPLATE.task(0)
    facts, product = task.params["facts"], task.params["title"].split()[-1]
    query = f"/api/search?q={product}&Material={facts['Material']}&Color={facts['Color']}"
    found = json.loads(visit(task).get(query).text)
    titles = [row["title"] for row in found["rows"] if product in row["title"]]
    assert titles == [task.params["title"]]


def test_no_other_offer_has_the_wanted_material_and_color() -> None:
    for seed in range(20):
        task = market.TEMPLATE.at("hard").task(seed)
        facts, product = task.params["facts"], task.params["title"].split()[-1]
        wanted = [facts["Material"], facts["Color"]]
        site, rows = visit(task), []
        for page in (1, 2, 3, 4):
            rows += json.loads(site.get(f"/api/search?q={product}&page={page}").text)["rows"]
        same = {r["title"] for r in rows if r["facts"][:2] == wanted and r["title"].endswith(f" {product}")}
        assert same == {task.params["title"]}
