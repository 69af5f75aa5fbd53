from fractions import Fraction

import pytest

from milepost.envs.apps.dashboard import figure, lookup, record, top_row
from milepost.envs.apps.dashboard.scene import HOST, says
from milepost.envs.apps.dashboard.server import Table, sort_rows, write_csv
from milepost.envs.task import Template
from milepost.sandbox.actions import Click
from milepost.sandbox.events import (
    AnswerGiven,
    AppChanged,
    ElementAppeared,
    FileCreated,
    NavigationCompleted,
    TextExtracted,
)
from milepost.sandbox.observation import Observation, parse_tree
from tests.envs.apps.conftest import judge, visit

TEMPLATES = (figure.TEMPLATE, lookup.TEMPLATE, top_row.TEMPLATE, record.TEMPLATE)
each = pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.id)

TABLE = Table(
    slug="orders",
    title="Orders",
    columns=("Name", "Total"),
    rows=(("Ada", "1,200"), ("Bob", "90"), ("Cy", "300")),
    page_size=2,
)


def read(text: str) -> TextExtracted:
    return TextExtracted(tab=0, role="row", name="", text=text)


def answer(text: str) -> AnswerGiven:
    return AnswerGiven(text=text)


def test_rows_are_sorted_by_size_and_not_by_letter() -> None:
    assert [row[0] for row in sort_rows(TABLE, "Total", descending=False)] == ["Bob", "Cy", "Ada"]
    assert [row[0] for row in sort_rows(TABLE, "Name", descending=True)] == ["Cy", "Bob", "Ada"]
    assert sort_rows(TABLE, "None", descending=True) == TABLE.rows


def test_a_download_has_every_row() -> None:
    assert write_csv(TABLE) == b'Name,Total\nAda,"1,200"\nBob,90\nCy,300\n'


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("Refunds 1,204", True),
        ("Costs 7 Refunds 1,204 Returns 8", True),
        ("Refunds 1,2045", False),
        ("Refunds 11,204", False),
        ("Net Refunds1,204", False),
        ("Refunds", False),
        ("1,204", False),
    ],
)
def test_reading_counts_when_the_words_stand_together(text: str, accepted: bool) -> None:
    assert says("Refunds", "1,204").accepts(text) is accepted


def test_a_figure_pays_for_the_board_of_its_period_alone() -> None:
    task = figure.TEMPLATE.task(0)
    board, period = task.params["board"], task.params["period"]
    base = f"http://{HOST}/boards/{board.lower().replace(' ', '-')}"
    opened = NavigationCompleted(tab=0, url=f"{base}?period={period.replace(' ', '%20')}")
    seen = ElementAppeared(tab=0, role="region", name=f"{board} {period}")
    assert judge(task, NavigationCompleted(tab=0, url=base)) == ({}, False)
    assert judge(task, seen) == ({}, False)
    assert judge(task, opened, seen) == ({"opened": Fraction(1, 4), "seen": Fraction(1, 4)}, False)


def test_reading_and_answering_reaches_the_goal_and_neither_does_alone() -> None:
    task = figure.TEMPLATE.task(1)
    value = task.params["value"]
    text = read(f"{task.params['figure']} {value}")
    done = ({"read": Fraction(1, 2)}, True)
    assert judge(task, text, answer(value)) == done
    assert judge(task, text, answer(value.replace(",", ""))) == done
    assert judge(task, text) == ({}, False)
    assert judge(task, answer(value)) == ({}, False)
    assert judge(task, answer(value), text) == ({}, False)
    assert judge(task, text, answer(f"{value} or 7")) == ({}, False)


@each
def test_answering_without_reading_and_reading_without_answering_pay_nothing(template: Template) -> None:
    for seed in range(5):
        task = template.task(seed)
        assert judge(task, answer(task.params["value"])) == ({}, False)
        assert judge(task, read(task.params["value"]), answer(task.params["value"])) == ({}, False)


@each
def test_changing_anything_misses_the_goal(template: Template) -> None:
    task = template.task(0)
    for change in (
        FileCreated(path="notes.txt", size=1, sha256="0"),
        AppChanged(app="dashboard", change="any", data={}),
    ):
        progress = judge(task, change, read(task.goal), answer(task.params["value"]))
        assert progress[1] is False


def test_tables_come_in_pages_and_grids_as_data() -> None:
    task = lookup.TEMPLATE.task(0)
    slug = task.params["table"].lower().replace(" ", "-")
    pages = [visit(task).get(f"/tables/{slug}?page={page}").text for page in (1, 2, 99, "x")]
    assert "Page 1 of 2" in pages[0]
    assert "Page 2 of 2" in pages[1]
    assert (pages[2], pages[3]) == (pages[1], pages[0])
    assert visit(task).get("/tables/none").status == 404
    assert visit(task).get("/boards/none").status == 404
    assert visit(task).get("/records/none").status == 404


def test_the_wanted_row_of_a_lookup_is_on_a_later_page() -> None:
    for seed in range(8):
        task = lookup.TEMPLATE.task(seed)
        slug = task.params["table"].lower().replace(" ", "-")
        assert task.params["customer"] not in visit(task).get(f"/tables/{slug}").text
        assert task.params["customer"] in visit(task).get(f"/tables/{slug}?page=2").text


def test_the_oracle_of_a_record_goes_back_in_a_list_of_records_it_does_not_know() -> None:
    task = record.TEMPLATE.task(0)
    title = task.goal.split('"')[-2]
    tree = f'[1] heading "{title}"\n[2] link "Someone else"\n[3] link "Previous"'
    view = Observation(goal="", url="", title="", elements=parse_tree(tree))
    assert task.oracle(view) == Click("3")
