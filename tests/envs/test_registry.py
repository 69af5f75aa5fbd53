import subprocess
import sys

import pytest

from milepost.envs.registry import Row, get_template, templates
from milepost.envs.task import UnknownTaskError


def test_the_three_first_tasks_come_first() -> None:
    assert [row.id for row in templates()][:3] == ["ExpenseForm-v0", "ReportExport-v0", "CatalogSearch-v0"]
    assert len({row.id for row in templates()}) == len(templates()) >= 24


@pytest.mark.parametrize("row", templates(), ids=lambda row: row.id)
def test_a_row_agrees_with_its_template(row: Row) -> None:
    template = get_template(row.id)
    assert (row.id, row.family, row.summary, row.max_steps) == (
        template.id,
        template.family,
        template.summary,
        template.max_steps,
    )


def test_an_id_may_carry_the_namespace() -> None:
    assert get_template("milepost/ReportExport-v0") is get_template("ReportExport-v0")


def test_an_unknown_id_names_the_nearest() -> None:
    with pytest.raises(UnknownTaskError) as caught:
        get_template("milepost/ReportExports")
    said = str(caught.value)
    assert said.startswith("no task has the id 'milepost/ReportExports'; did you mean ReportExport-v0")
    assert "Known ids: ExpenseForm-v0, ReportExport-v0, CatalogSearch-v0, " in said


def test_an_id_may_carry_a_level() -> None:
    template = get_template("milepost/TableLookup-v0@hard")
    assert (template.id, template.family) == ("TableLookup-v0@hard", "navigation")
    assert template.task(1).goal != get_template("TableLookup-v0").task(1).goal


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("TableLookup-v0@hrad", "TableLookup-v0 has no level 'hrad'; its levels: easy, normal, hard"),
        (
            "ExpenseForm-v0@hard",
            "ExpenseForm-v0 has no level 'hard'; its levels: none, its tasks have one difficulty",
        ),
    ],
)
def test_an_unknown_level_names_those_there_are(wanted: str, message: str) -> None:
    with pytest.raises(UnknownTaskError) as caught:
        get_template(wanted)
    assert str(caught.value) == message


def test_a_template_of_ones_own_is_named_by_its_place() -> None:
    """In such a log the place is the id, so that what reads the log finds the template."""
    place = "milepost.envs.apps.expenses.tasks:TEMPLATE"
    template = get_template(place)
    assert (template.id, template.family) == (place, "form")
    assert get_template(f"milepost/{place}") is template is not get_template("ExpenseForm-v0")
    with pytest.raises(UnknownTaskError, match=f"{place} has no level 'hard'"):
        get_template(f"{place}@hard")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (
            "my_tasks:ORDER",
            "'my_tasks:ORDER' names a template of the module 'my_tasks', but No module named 'my_tasks'; "
            "is its folder on PYTHONPATH?",
        ),
        ("math:pi", "math:pi must be a Template, got float"),
        ("math:tau_", "math has no 'tau_'; expected the name of a Template there"),
    ],
)
def test_a_place_without_a_template_says_what_is_there(place: str, message: str) -> None:
    with pytest.raises(UnknownTaskError) as caught:
        get_template(place)
    assert str(caught.value) == message


@pytest.mark.parametrize("wanted", ["http://acme.test/", ":TEMPLATE", ".tasks:TEMPLATE", "tasks:"])
def test_what_is_no_place_is_an_unknown_id(wanted: str) -> None:
    with pytest.raises(UnknownTaskError, match=f"^no task has the id '{wanted}'"):
        get_template(wanted)


def test_an_id_like_no_other_gets_the_list_only() -> None:
    with pytest.raises(UnknownTaskError, match=r"no task has the id 'zzz'; Known ids: ExpenseForm-v0"):
        get_template("zzz")


def test_listing_loads_no_app() -> None:
    code = (
        "import sys; from milepost.envs.registry import templates; templates(); "
        "print(sorted({'starlette', 'jinja2', 'faker', 'milepost.envs.task'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
