import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest

from milepost.envs.apps.catalog.server import Item, Layout, build, search
from milepost.envs.apps.catalog.tasks import TEMPLATE
from milepost.envs.apps.pages import Look
from milepost.envs.task import Task
from milepost.sandbox.actions import Click, Fill, Noop
from milepost.sandbox.events import AppChanged, ElementAppeared, Fact, Filled
from milepost.sandbox.observation import Observation, parse_tree
from tests.envs.apps.conftest import Visit, judge, visit

ITEMS = tuple(
    Item(sku=str(1000 + i), name=name, price=price)
    for i, (name, price) in enumerate(
        [
            ("Steel Lamp", 30),
            ("Copper Lamp", 20),
            ("Copper Bowl", 40),
            ("Glass Vase", 10),
            ("Copper Lamp Mini", 20),
        ]
    )
)


def open_site(**changes: Any) -> Visit:
    values: dict[str, Any] = {
        "look": Look(brand="Nook", hue=205, nav="top"),
        "home_link": "Home",
        "search_at": "page",
        "search_type": "search",
        "search_label": "Search",
        "button": "Go",
        "results_as": "list",
        "in_place": False,
        "page_size": 3,
        "sorted_by": "name",
    }
    records: list[tuple[str, Mapping[str, object]]] = []
    layout = Layout(**(values | changes))
    app = build(layout, ITEMS, ITEMS[3:4], lambda change, data: records.append((change, data)))
    return Visit(app=app, records=records)


def names(items: tuple[Item, ...]) -> list[str]:
    return [item.name for item in items]


def test_a_search_finds_any_word_and_sorts_by_name() -> None:
    expected = ["Copper Bowl", "Copper Lamp", "Copper Lamp Mini", "Steel Lamp"]
    assert names(search(ITEMS, "copper LAMP", "name")) == expected


def test_a_search_sorts_by_price_and_then_name() -> None:
    expected = ["Copper Lamp", "Copper Lamp Mini", "Steel Lamp", "Copper Bowl"]
    assert names(search(ITEMS, "Copper Lamp", "price")) == expected


@pytest.mark.parametrize("query", ["", "   ", "Lam", "chair"])
def test_what_is_no_word_of_a_name_finds_nothing(query: str) -> None:
    assert search(ITEMS, query, "name") == ()


def test_results_come_in_pages_and_are_recorded() -> None:
    site = open_site()
    first, second = site.get("/search?q=Copper+Lamp").text, site.get("/search?q=Copper+Lamp&page=2").text
    assert "<h1>Results for Copper Lamp</h1>" in first
    assert ">Copper Lamp Mini</a>" in first
    assert ">Steel Lamp</a>" not in first
    assert '<a class="button" href="/search?q=Copper%20Lamp&amp;page=2" data-page="2">Next</a>' in first
    assert ">Steel Lamp</a>" in second
    assert ">Previous</a>" in second
    assert ">Next</a>" not in second
    assert site.records == [
        ("search.executed", {"query": "Copper Lamp", "page": 1, "found": 4}),
        ("search.executed", {"query": "Copper Lamp", "page": 2, "found": 4}),
    ]


@pytest.mark.parametrize(("page", "shown"), [("0", 1), ("-1", 1), ("x", 1), ("99", 2), ("9" * 9, 1)])
def test_a_page_that_does_not_exist_is_the_nearest(page: str, shown: int) -> None:
    site = open_site()
    assert site.get(f"/search?q=lamp+copper&page={page}").status == 200
    assert site.records[0][1]["page"] == shown


def test_a_search_without_results_says_so_and_lists_nothing() -> None:
    html = open_site().get("/search?q=<b>").text
    assert "<h1>No results for &lt;b&gt;</h1>" in html
    assert 'aria-label="Results"' not in html


def test_results_in_place_are_the_same_as_on_a_page() -> None:
    site = open_site(in_place=True)
    answer = json.loads(site.get("/found?q=lamp").body)
    assert answer["query"] == "lamp"
    assert answer["html"].strip() in open_site().get("/search?q=lamp").text
    assert site.records == [("search.executed", {"query": "lamp", "page": 1, "found": 3})]


def test_opening_an_item_is_recorded_and_a_missing_one_is_not_found() -> None:
    site = open_site()
    assert "<h1>Copper Bowl</h1>" in site.get("/items/1002").text
    assert site.get("/items/none").status == 404
    assert site.records == [("item.opened", {"sku": "1002", "name": "Copper Bowl"})]


@pytest.mark.parametrize(("place", "on_item"), [("header", True), ("page", False)])
def test_the_search_stands_in_every_header_or_on_the_pages_about_it(place: str, on_item: bool) -> None:
    site = open_site(search_at=place)
    assert 'aria-label="Search"' in site.get("/").text
    assert ('aria-label="Search"' in site.get("/items/1002").text) == on_item


def test_a_target_is_found_among_similar_items_and_never_on_the_start_page() -> None:
    on_second_page = 0
    for seed in range(60):
        task = TEMPLATE.task(seed)
        site = visit(task)
        name = task.params["item"]
        assert f">{name}</a>" not in site.get("/").text
        pages = [site.get(f"/search?q={name.replace(' ', '+')}&page={page}").text for page in (1, 2)]
        assert 5 <= site.records[0][1]["found"] <= 7
        assert f">{name}</a>" in pages[0] + pages[1]
        on_second_page += f">{name}</a>" not in pages[0]
    assert 1 <= on_second_page <= 10


LABELS = ("Search", "Search items", "Find an item", "Name")


def see(task: Task, *lines: str) -> Observation:
    elements = parse_tree("\n".join(lines))
    return Observation(goal=task.goal, url=task.start_url, title="", elements=elements)


def search_lines(task: Task, value: str) -> list[str]:
    shown = f' value="{value}"' if value else ""
    boxes = [
        f'[{i}] {role} "{label}"{shown}'
        for i, (role, label) in enumerate(
            [(role, label) for role in ("searchbox", "textbox") for label in LABELS], 10
        )
    ]
    return [*boxes, '[30] button "Search"', '[31] button "Find"', '[32] button "Go"']


def test_the_oracle_fills_searches_turns_the_page_and_opens() -> None:
    task = TEMPLATE.task(0)
    name = task.params["item"]
    fill = task.oracle(see(task, *search_lines(task, "")))
    assert isinstance(fill, Fill)
    assert fill.text == name
    assert task.oracle(see(task, *search_lines(task, name))) in (Click("30"), Click("31"), Click("32"))
    results = [*search_lines(task, name), f'[40] heading "Results for {name}"', '[41] list "Results"']
    assert task.oracle(see(task, *results, ' [42] link "Other"', '[43] link "Next"')) == Click("43")
    assert task.oracle(see(task, *results, ' [42] link "Other"', '[43] link "Previous"')) == Click("43")
    assert task.oracle(see(task, *results, f' [42] link "{name}"', '[43] link "Next"')) == Click("42")
    assert task.oracle(see(task, f'[50] heading "{name}"')) == Noop()


def test_the_oracle_corrects_the_query_of_a_wrong_search() -> None:
    task = TEMPLATE.task(0)
    action = task.oracle(see(task, *search_lines(task, "Chair"), '[40] heading "Results for Chair"'))
    assert isinstance(action, Fill)
    assert action.text == task.params["item"]


QUERY, RESULTS, OPENED = Fraction(1, 4), Fraction(1, 2), Fraction(1, 2)


def live_through(task: Task, query: str, sku: str) -> list[Fact]:
    """What happens when the query is searched for and an item opened."""
    found = {"query": query, "page": 1, "found": 6}
    return [
        *(Filled(tab=0, role="searchbox", name=label, value=query) for label in LABELS),
        AppChanged(app="catalog", change="search.executed", data=found),
        ElementAppeared(tab=0, role="list", name="Results"),
        AppChanged(app="catalog", change="item.opened", data={"sku": sku, "name": "whatever"}),
    ]


def test_searching_and_opening_the_right_item_earns_everything() -> None:
    task = TEMPLATE.task(0)
    facts = live_through(task, task.params["item"].lower(), task.params["sku"])
    assert judge(task, *facts) == ({"query": QUERY, "results": RESULTS, "opened": OPENED}, True)


def test_another_query_or_another_item_earns_nothing() -> None:
    task = TEMPLATE.task(0)
    assert judge(task, *live_through(task, "Chair", "none")) == ({}, False)


def test_a_wrong_item_can_be_left_again() -> None:
    task = TEMPLATE.task(0)
    wrong = live_through(task, task.params["item"], "none")
    right = live_through(task, task.params["item"], task.params["sku"])
    assert judge(task, *wrong)[1] is False
    assert judge(task, *wrong, *right) == ({"query": QUERY, "results": RESULTS, "opened": OPENED}, True)


def test_a_list_of_results_without_the_right_search_earns_nothing() -> None:
    task = TEMPLATE.task(0)
    assert judge(task, ElementAppeared(tab=0, role="list", name="Results")) == ({}, False)
