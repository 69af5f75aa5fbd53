import hashlib
import json
from collections.abc import Mapping
from fractions import Fraction

import pytest

from milepost.envs.apps.pages import Look
from milepost.envs.apps.reports.server import FORMATS, Layout, Report, build
from milepost.envs.apps.reports.tasks import TEMPLATE
from milepost.envs.task import Task
from milepost.sandbox.actions import Click, Noop, SelectOption
from milepost.sandbox.events import AppChanged, DownloadFinished, Fact, FileCreated
from milepost.sandbox.observation import Observation, parse_tree
from tests.envs.apps.conftest import Visit, judge, visit

REPORT = Report(
    title="Annual Sales",
    owner="Finance",
    columns=("Month", "Plan", "Actual"),
    rows=(("Jan", 10, 20), ("Feb", 30, 40), ("Mar", 50, 60), ("Apr", 70, 80)),
)


def open_site(control: str, formats: tuple[str, ...] = ("CSV", "TSV")) -> Visit:
    look = Look(brand="Metrics", hue=205, nav="top")
    layout = Layout(
        look=look, list_title="Reports", list_as="list", control=control, verb="Export", formats=formats
    )
    records: list[tuple[str, Mapping[str, object]]] = []
    app = build(layout, (REPORT,), lambda change, data: records.append((change, data)))
    return Visit(app=app, records=records)


def test_the_formats_write_every_row() -> None:
    assert FORMATS["CSV"].write(REPORT) == b"Month,Plan,Actual\nJan,10,20\nFeb,30,40\nMar,50,60\nApr,70,80\n"
    assert FORMATS["TSV"].write(REPORT).splitlines()[1] == b"Jan\t10\t20"
    assert json.loads(FORMATS["JSON"].write(REPORT)) == {
        "report": "Annual Sales",
        "rows": [
            {"Month": "Jan", "Plan": 10, "Actual": 20},
            {"Month": "Feb", "Plan": 30, "Actual": 40},
            {"Month": "Mar", "Plan": 50, "Actual": 60},
            {"Month": "Apr", "Plan": 70, "Actual": 80},
        ],
    }


def test_an_export_is_an_attachment_with_a_name_and_a_record() -> None:
    site = open_site("buttons")
    answer = site.get("/reports/annual-sales/export?format=CSV")
    assert (answer.status, answer.body) == (200, FORMATS["CSV"].write(REPORT))
    assert answer.headers["content-disposition"] == 'attachment; filename="annual-sales.csv"'
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert site.records == [("report.exported", {"report": "Annual Sales", "format": "CSV"})]


@pytest.mark.parametrize(
    "target", ["/reports/none/export?format=CSV", "/reports/annual-sales/export?format=JSON", "/reports/none"]
)
def test_what_is_not_on_offer_is_not_found(target: str) -> None:
    site = open_site("buttons")
    assert site.get(target).status == 404
    assert site.records == []


def test_a_page_shows_the_first_rows_only() -> None:
    html = open_site("buttons").get("/reports/annual-sales").text
    assert "<td>Mar</td>" in html
    assert "<td>Apr</td>" not in html


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ("buttons", '<button name="format" value="CSV">Export CSV</button>'),
        ("select", "<option>CSV</option>\n<option>TSV</option>"),
        ("menu", '<a class="button" href="/reports/annual-sales/export?format=CSV">CSV</a>'),
    ],
)
def test_a_format_is_chosen_from_buttons_a_list_or_a_menu(control: str, expected: str) -> None:
    assert expected in open_site(control).get("/reports/annual-sales").text


def test_a_task_expects_exactly_what_its_site_sends() -> None:
    for seed in range(20):
        task = TEMPLATE.task(seed)
        slug = task.params["report"].lower().replace(" ", "-")
        answer = visit(task).get(f"/reports/{slug}/export?format={task.params['format']}")
        assert hashlib.sha256(answer.body).hexdigest() == task.params["sha256"]


def test_other_reports_of_a_task_have_other_content() -> None:
    task = TEMPLATE.task(0)
    site = visit(task)
    titles = [line.split(">")[1].split("<")[0] for line in site.get("/").text.split("/reports/")[1:]]
    slugs = [title.lower().replace(" ", "-") for title in titles]
    target = f"/export?format={task.params['format']}"
    bodies = {site.get(f"/reports/{slug}{target}").body for slug in slugs}
    assert len(bodies) == len(titles) >= 5


def find_task(control: str) -> Task:
    return next(task for task in map(TEMPLATE.task, range(100)) if task.params["control"] == control)


def see(task: Task, *lines: str) -> Observation:
    elements = parse_tree("\n".join(lines))
    return Observation(goal=task.goal, url=task.start_url, title="", elements=elements)


def test_the_oracle_opens_the_report_of_the_goal() -> None:
    task = find_task("menu")
    title = task.params["report"]
    seen = see(task, '[1] link "Reports"', '[2] heading "Reports"', '[3] link "Other"', f'[4] link "{title}"')
    assert task.oracle(seen) == Click("4")


def test_the_oracle_leaves_a_wrong_report_by_the_navigation() -> None:
    task = find_task("menu")
    titles = [f'[{i}] link "{title}"' for i, title in enumerate(("Reports", "All reports", "Library"), 1)]
    assert task.oracle(see(task, *titles, '[9] heading "Other"', '[10] button "Export"')) in (
        Click("1"),
        Click("2"),
        Click("3"),
    )


def test_the_oracle_selects_the_format_before_it_exports() -> None:
    task = find_task("select")
    page = [f'[1] heading "{task.params["report"]}"', '[3] button "Export"', '[4] button "Download"']
    page.append('[5] button "Save as"')
    name = task.params["format"]
    assert task.oracle(see(task, *page, '[2] combobox "Format" value="none"')) == SelectOption("2", name)
    chosen = task.oracle(see(task, *page, f'[2] combobox "Format" value="{name}"'))
    assert chosen in (Click("3"), Click("4"), Click("5"))


def test_the_oracle_picks_the_format_from_a_menu() -> None:
    task = find_task("menu")
    dialog = ['[1] dialog "Export"', f' [2] link "{task.params["format"]}"', ' [3] button "Cancel"']
    assert task.oracle(see(task, *dialog)) == Click("2")
    assert task.oracle(see(task, dialog[0])) == Noop()


CREATED, CONTENT, TIDY = Fraction(1), Fraction(1, 2), Fraction(1, 4)


def export(task: Task, report: str, format_name: str, sha256: str = "", number: str = "") -> list[Fact]:
    """What happens when a report is exported."""
    slug, suffix = report.lower().replace(" ", "-"), format_name.lower()
    path = f"Downloads/{slug}{number}.{suffix}"
    url = f"http://reports.acme.test/reports/{slug}/export?format={format_name}"
    return [
        AppChanged(app="reports", change="report.exported", data={"report": report, "format": format_name}),
        DownloadFinished(url=url, path=path, state="completed"),
        FileCreated(path=path, size=99, sha256=sha256 or task.params["sha256"]),
    ]


def test_the_right_file_earns_everything() -> None:
    task = find_task("menu")
    facts = export(task, task.params["report"], task.params["format"])
    assert judge(task, *facts) == ({"created": CREATED, "content": CONTENT, "tidy": TIDY}, True)


def test_a_wrong_file_earns_nothing_and_leaves_a_mess() -> None:
    task = find_task("menu")
    wrong = export(task, "Other Report", task.params["format"], sha256="0" * 64)
    right = export(task, task.params["report"], task.params["format"])
    assert judge(task, *wrong) == ({}, False)
    assert judge(task, *wrong, *right) == ({"created": CREATED, "content": CONTENT}, False)


def test_another_format_of_the_right_report_earns_nothing() -> None:
    task = find_task("menu")
    other = next(name for name in FORMATS if name != task.params["format"])
    assert judge(task, *export(task, task.params["report"], other, sha256="0" * 64)) == ({}, False)


def test_a_file_that_the_agent_wrote_itself_earns_nothing() -> None:
    task = find_task("menu")
    (_, _, created) = export(task, task.params["report"], task.params["format"])
    assert judge(task, created) == ({}, False)


def test_a_second_download_may_be_numbered() -> None:
    task = find_task("menu")
    facts = export(task, task.params["report"], task.params["format"], number=" (1)")
    assert judge(task, *facts)[1] is True


def test_content_that_differs_is_no_goal() -> None:
    task = find_task("menu")
    facts = export(task, task.params["report"], task.params["format"], sha256="0" * 64)
    assert judge(task, *facts) == ({"created": CREATED, "tidy": TIDY}, False)
