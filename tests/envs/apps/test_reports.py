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
    rows={
        "All": (("Jan", 11, 22), ("Feb", 33, 44), ("Mar", 55, 66)),
        "North": (("Jan", 10, 20), ("Feb", 30, 40), ("Mar", 50, 60)),
        "West": (("Jan", 1, 2), ("Feb", 3, 4), ("Mar", 5, 6)),
    },
)


def open_site(control: str, formats: tuple[str, ...] = ("CSV", "TSV")) -> Visit:
    look = Look(brand="Metrics", hue=205, nav="top")
    layout = Layout(
        look=look,
        list_title="Reports",
        list_as="list",
        control=control,
        verb="Export",
        formats=formats,
        region_label="Area",
        regions=("West", "North"),
    )
    records: list[tuple[str, Mapping[str, object]]] = []
    app = build(layout, (REPORT,), lambda change, data: records.append((change, data)))
    return Visit(app=app, records=records)


def test_the_formats_write_every_row_of_a_region() -> None:
    assert FORMATS["CSV"].write(REPORT, "North") == b"Month,Plan,Actual\nJan,10,20\nFeb,30,40\nMar,50,60\n"
    assert FORMATS["TSV"].write(REPORT, "West").splitlines()[1] == b"Jan\t1\t2"
    assert json.loads(FORMATS["JSON"].write(REPORT, "All")) == {
        "report": "Annual Sales",
        "region": "All",
        "rows": [
            {"Month": "Jan", "Plan": 11, "Actual": 22},
            {"Month": "Feb", "Plan": 33, "Actual": 44},
            {"Month": "Mar", "Plan": 55, "Actual": 66},
        ],
    }


def test_an_export_is_an_attachment_with_a_name_and_a_record() -> None:
    site = open_site("buttons")
    answer = site.get("/reports/annual-sales/export?region=North&format=CSV")
    assert (answer.status, answer.body) == (200, FORMATS["CSV"].write(REPORT, "North"))
    assert answer.headers["content-disposition"] == 'attachment; filename="annual-sales-north.csv"'
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    recorded = {"report": "Annual Sales", "region": "North", "format": "CSV"}
    assert site.records == [("report.exported", recorded)]


@pytest.mark.parametrize(
    "target",
    [
        "/reports/none/export?region=North&format=CSV",
        "/reports/annual-sales/export?region=North&format=JSON",
        "/reports/annual-sales/export?region=South&format=CSV",
        "/reports/annual-sales/export",
        "/reports/none",
    ],
)
def test_what_is_not_on_offer_is_not_found(target: str) -> None:
    site = open_site("buttons")
    assert site.get(target).status == 404
    assert site.records == []


def test_a_page_shows_the_first_rows_of_all_regions() -> None:
    html = open_site("buttons").get("/reports/annual-sales").text
    assert '<td>Feb</td><td class="number">33</td><td class="number">44</td>' in html
    assert "<td>Mar</td>" not in html


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ("buttons", '<button name="format" value="CSV">Export CSV</button>'),
        ("select", "<option>CSV</option>\n<option>TSV</option>"),
        ("menu", '<dialog id="menu" aria-label="Export Annual Sales">'),
    ],
)
def test_a_format_is_chosen_from_buttons_a_list_or_a_menu(control: str, expected: str) -> None:
    html = open_site(control).get("/reports/annual-sales").text
    assert expected in html
    assert "<option>All</option>\n<option>West</option>\n<option>North</option>" in html


def address_of(task: Task) -> str:
    slug = task.params["report"].lower().replace(" ", "-")
    return f"/reports/{slug}/export?region={task.params['region']}&format={task.params['format']}"


def test_a_task_expects_exactly_what_its_site_sends() -> None:
    for seed in range(20):
        task = TEMPLATE.task(seed)
        body = visit(task).get(address_of(task)).body
        assert hashlib.sha256(body).hexdigest() == task.params["sha256"]


def test_other_reports_and_regions_of_a_task_have_other_content() -> None:
    task = TEMPLATE.task(0)
    site = visit(task)
    titles = [line.split(">")[1].split("<")[0] for line in site.get("/").text.split("/reports/")[1:]]
    slugs = [title.lower().replace(" ", "-") for title in titles]
    bodies = {
        site.get(f"/reports/{slug}/export?region={region}&format={task.params['format']}").body
        for slug in slugs
        for region in ("All", "North", "South", "East", "West")
    }
    assert len(bodies) == 5 * len(titles) >= 30


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


VERBS = ("Export", "Download", "Save as")
LABELS = ("Region", "Area", "Office")


def control_lines(region: str, format_name: str) -> list[str]:
    """Every control that a layout may have; the oracle takes those of its own."""
    boxes = [f'[{i}] combobox "{label}" value="{region}"' for i, label in enumerate(LABELS, 20)]
    formats = [f'[23] combobox "Format" value="{format_name}"'] if format_name else []
    return [*boxes, *formats, *(f'[{i}] button "{verb}"' for i, verb in enumerate(VERBS, 30))]


def test_the_oracle_selects_region_and_format_before_it_exports() -> None:
    task = find_task("select")
    region, name = task.params["region"], task.params["format"]
    heading = f'[1] heading "{task.params["report"]}"'
    first = task.oracle(see(task, heading, *control_lines("All", "none")))
    assert first in [SelectOption(str(i), region) for i in (20, 21, 22)]
    assert task.oracle(see(task, heading, *control_lines(region, "none"))) == SelectOption("23", name)
    last = task.oracle(see(task, heading, *control_lines(region, name)))
    assert last in [Click(str(i)) for i in (30, 31, 32)]


def test_the_oracle_opens_a_menu_and_picks_in_it() -> None:
    task = find_task("menu")
    title, region, name = task.params["report"], task.params["region"], task.params["format"]
    opening = task.oracle(see(task, f'[1] heading "{title}"', *control_lines("", "")[3:]))
    assert opening in [Click(str(i)) for i in (30, 31, 32)]
    for verb in VERBS:
        dialog = [f'[1] dialog "{verb} {title}"', f'[40] button "{name}"', '[41] button "Cancel"']
        boxes = control_lines(region, "")[:3]
        expected = Click("40") if verb == find_verb(task) else Click("41")
        assert task.oracle(see(task, *dialog, *boxes)) == expected


def find_verb(task: Task) -> str:
    slug = task.params["report"].lower().replace(" ", "-")
    html = visit(task).get(f"/reports/{slug}").text
    return next(verb for verb in VERBS if f'id="open">{verb}<' in html)


def test_the_oracle_cancels_the_menu_of_another_report() -> None:
    task = find_task("menu")
    seen = see(task, '[1] dialog "Export Other"', '[2] button "CSV"', '[3] button "Cancel"')
    assert task.oracle(seen) == Click("3")
    assert task.oracle(see(task, '[1] dialog "Export Other"')) == Noop()


CREATED, CONTENT, TIDY = Fraction(1), Fraction(1, 2), Fraction(1, 4)


def export(task: Task, sha256: str = "", number: str = "", **changes: str) -> list[Fact]:
    """What happens when something is exported: what the task wants, but for the changes."""
    chosen = {key: changes.get(key, task.params[key]) for key in ("report", "region", "format")}
    slug = chosen["report"].lower().replace(" ", "-")
    path = f"Downloads/{slug}-{chosen['region'].lower()}{number}.{chosen['format'].lower()}"
    query = f"region={chosen['region']}&format={chosen['format']}"
    url = f"http://reports.acme.test/reports/{slug}/export?{query}"
    return [
        AppChanged(app="reports", change="report.exported", data=chosen),
        DownloadFinished(url=url, path=path, state="completed"),
        FileCreated(path=path, size=99, sha256=sha256 or task.params["sha256"]),
    ]


def test_the_right_file_earns_everything() -> None:
    task = find_task("menu")
    assert judge(task, *export(task)) == ({"created": CREATED, "content": CONTENT, "tidy": TIDY}, True)


@pytest.mark.parametrize("change", [{"report": "Other Report"}, {"region": "All"}, {"format": "XML"}])
def test_a_wrong_file_earns_nothing(change: dict[str, str]) -> None:
    task = find_task("menu")
    assert judge(task, *export(task, sha256="0" * 64, **change)) == ({}, False)


def test_a_wrong_export_can_be_made_good_but_is_not_tidy() -> None:
    task = find_task("menu")
    wrong = export(task, sha256="0" * 64, region="All")
    assert judge(task, *wrong, *export(task)) == ({"created": CREATED, "content": CONTENT}, True)


def test_a_file_that_no_export_explains_misses_the_goal() -> None:
    task = find_task("menu")
    written = FileCreated(path="Downloads/notes.txt", size=4, sha256="0" * 64)
    assert judge(task, written, *export(task)) == ({"created": CREATED, "content": CONTENT}, False)


def test_a_file_that_the_agent_wrote_itself_earns_nothing() -> None:
    task = find_task("menu")
    assert judge(task, export(task)[-1]) == ({}, False)


def test_a_second_download_may_be_numbered() -> None:
    task = find_task("menu")
    assert judge(task, *export(task, number=" (1)"))[1] is True


def test_content_that_differs_is_no_goal() -> None:
    task = find_task("menu")
    assert judge(task, *export(task, sha256="0" * 64)) == ({"created": CREATED, "tidy": TIDY}, False)
