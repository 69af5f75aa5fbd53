import json
from collections.abc import Mapping
from fractions import Fraction

import pytest

from milepost.envs.apps.expenses.server import AMOUNT, Choice, Field, Form, build, find_errors
from milepost.envs.apps.expenses.tasks import TEMPLATE
from milepost.envs.apps.pages import Look
from milepost.envs.task import Task
from milepost.sandbox.actions import Click, Fill, SelectOption
from milepost.sandbox.events import AppChanged, Clicked, DialogOpened, ElementAppeared, Fact, Filled, Selected
from milepost.sandbox.observation import Observation, parse_tree, quote
from tests.envs.apps.conftest import Visit, judge, visit

FORM = Form(
    look=Look(brand="Tally", hue=205, nav="top"),
    title="New expense",
    fields=(
        Field(key="merchant", label="Shop <A>"),
        Field(key="amount", label="Amount", pattern=AMOUNT),
        Field(key="kind", label="Kind", options=("Travel", "Meals")),
    ),
    two_columns=False,
    submit="Submit",
    question="Is this correct?",
    choices=(
        Choice(id="confirm", caption="Yes"),
        Choice(id="print", caption="Print"),
        Choice(id="cancel", caption="No"),
    ),
    success="Expense sent",
    form_link="New expense",
    list_link="My expenses",
)
RIGHT = {"merchant": "Blue Cab", "amount": "48.20", "kind": "Meals"}


@pytest.fixture
def site() -> Visit:
    records: list[tuple[str, Mapping[str, object]]] = []
    return Visit(app=build(FORM, lambda change, data: records.append((change, data))), records=records)


def post(site: Visit, values: object) -> tuple[int, object]:
    answer = site.post("/expenses", json.dumps(values).encode())
    return answer.status, json.loads(answer.body)


def test_a_right_expense_is_filed_recorded_and_listed(site: Visit) -> None:
    assert post(site, RIGHT | {"merchant": "  Blue Cab "}) == (201, {"filed": 1})
    assert site.records == [("expense.submitted", RIGHT)]
    assert "<td>Blue Cab</td><td>48.20</td><td>Meals</td>" in site.get("/filed").text


def test_wrong_values_are_refused_and_not_recorded(site: Visit) -> None:
    wrong = {"merchant": " ", "amount": "48,20", "kind": "Hotel"}
    errors = {
        "merchant": "This field is required",
        "amount": "Enter an amount such as 12.50",
        "kind": "This field is required",
    }
    assert post(site, wrong) == (422, {"errors": errors})
    assert site.records == []
    assert "Nothing here yet." in site.get("/filed").text


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"null"])
def test_a_body_that_is_no_object_is_refused_like_an_empty_form(site: Visit, body: bytes) -> None:
    answer = site.post("/expenses", body)
    assert (answer.status, sorted(json.loads(answer.body)["errors"])) == (422, ["amount", "kind", "merchant"])
    assert site.records == []


@pytest.mark.parametrize("amount", ["48", "48.2", "-4.20", "48.201", "4 8.20", "٤٨.٢٠"])
def test_an_amount_has_digits_a_point_and_two_digits(amount: str) -> None:
    assert list(find_errors(FORM, RIGHT | {"amount": amount})) == ["amount"]


def test_the_page_labels_its_fields_and_escapes_what_it_shows(site: Visit) -> None:
    html = site.get("/").text
    assert '<label for="merchant">Shop &lt;A&gt;</label>' in html
    assert (
        '<input id="amount" name="amount" type="text" autocomplete="off" required pattern="\\d+\\.\\d\\d"'
        in html
    )
    assert "<option>Travel</option>\n<option>Meals</option>" in html


def test_each_build_starts_with_nothing_filed(site: Visit) -> None:
    post(site, RIGHT)
    assert "Nothing here yet." in Visit(app=build(FORM, lambda change, data: None)).get("/filed").text


def find_task(with_choice: bool) -> Task:
    """The first task that has (or has not) a select element."""
    tasks = (TEMPLATE.task(seed) for seed in range(100))
    return next(
        task for task in tasks if with_choice == bool({"category", "team"} & set(task.params["labels"]))
    )


def show_form(task: Task, values: Mapping[str, str], above: str = "") -> Observation:
    """The form's page, by the task's own labels, with some fields filled."""
    lines = ['[1] link "New expense"', '[2] link "Add expense"', above]
    for number, (key, label) in enumerate(task.params["labels"].items(), 10):
        role = "combobox" if key in ("category", "team") else "textbox"
        value = values.get(key, "Choose" if role == "combobox" else "")
        lines.append(f"[{number}] {role} {quote(label)}" + (f" value={quote(value)}" if value else ""))
    lines.append(f"[20] button {quote(task.params['submit'])}")
    return Observation(goal=task.goal, url=task.start_url, title="", elements=parse_tree("\n".join(lines)))


@pytest.mark.parametrize("with_choice", [True, False])
def test_the_oracle_fills_the_fields_in_order_and_submits(with_choice: bool) -> None:
    task = find_task(with_choice)
    done: dict[str, str] = {}
    for number, (key, value) in enumerate(
        ((key, task.params["values"][key]) for key in task.params["labels"]), 10
    ):
        expected = SelectOption if key in ("category", "team") else Fill
        assert task.oracle(show_form(task, done)) == expected(str(number), value)
        done[key] = value
    assert task.oracle(show_form(task, done)) == Click("20")


def test_the_oracle_corrects_a_wrong_value() -> None:
    task = find_task(with_choice=False)
    first = next(iter(task.params["labels"]))
    observation = show_form(task, dict(task.params["values"]) | {first: "wrong"})
    assert task.oracle(observation) == Fill("10", task.params["values"][first])


CONFIRMS, CANCELS = ("Approve", "Record", "Complete"), ("Change", "Review", "Check")


def show_dialog(task: Task, values: Mapping[str, str]) -> Observation:
    lines = ['[30] dialog "Is this correct?"']
    lines += [" " + quote(f"{label}: {values[key]}") for key, label in task.params["labels"].items()]
    lines += [f' [{40 + i}] button "{name}"' for i, name in enumerate((*CONFIRMS, *CANCELS))]
    return Observation(goal=task.goal, url=task.start_url, title="", elements=parse_tree("\n".join(lines)))


def test_the_oracle_confirms_right_values_and_cancels_wrong_ones() -> None:
    task = find_task(with_choice=True)
    values = dict(task.params["values"])
    confirming = tuple(Click(str(40 + i)) for i in range(3))
    cancelling = tuple(Click(str(43 + i)) for i in range(3))
    assert task.oracle(show_dialog(task, values)) in confirming
    assert task.oracle(show_dialog(task, values | {next(iter(values)): "wrong"})) in cancelling


def test_the_oracle_comes_back_from_another_page() -> None:
    task = find_task(with_choice=True)
    elements = parse_tree('[1] link "New expense"\n[2] link "Add expense"\n[3] heading "Help"')
    observation = Observation(
        goal=task.goal, url="http://expenses.acme.test/help", title="", elements=elements
    )
    assert task.oracle(observation) in (Click("1"), Click("2"))


def test_a_goal_names_every_label_value_and_the_button() -> None:
    for seed in range(60):
        task = TEMPLATE.task(seed)
        pairs = [f'"{label}" "{task.params["values"][key]}"' for key, label in task.params["labels"].items()]
        assert all(pair in task.goal for pair in pairs)
        assert f'"{task.params["submit"]}"' in task.goal
        assert 2 <= len(pairs) <= 4


def test_the_page_does_not_hold_the_answer() -> None:
    task = find_task(with_choice=False)
    html = visit(task).get("/").text
    assert [value for value in task.params["values"].values() if value in html] == []


def live_through(task: Task, values: Mapping[str, str], submitted: Mapping[str, str]) -> list[Fact]:
    """What happens when these values are entered and those are filed."""
    facts: list[Fact] = []
    for key, label in task.params["labels"].items():
        if key in ("category", "team"):
            facts.append(Selected(tab=0, role="combobox", name=label, value=values[key]))
        else:
            facts.append(Filled(tab=0, role="textbox", name=label, value=values[key]))
    facts.append(Clicked(tab=0, role="button", name=task.params["submit"]))
    facts.append(DialogOpened(tab=0, type="dialog", message="Is this correct?"))
    facts.append(AppChanged(app="expenses", change="expense.submitted", data=submitted))
    facts += [ElementAppeared(tab=0, role="status", name=name) for name in SUCCESSES]
    return facts


SUCCESSES = ("Expense sent", "Expense filed", "Your expense was saved")
FILLED, ASKED, FILED = Fraction(1, 5), Fraction(3, 10), Fraction(1, 2)


def test_a_right_expense_earns_everything() -> None:
    for with_choice in (True, False):
        task = find_task(with_choice)
        values = task.params["values"]
        paid = {"filled": FILLED, "asked": ASKED, "filed": FILED}
        assert judge(task, *live_through(task, values, values)) == (paid, True)


def test_notation_does_not_matter_but_values_do() -> None:
    task = next(t for t in map(TEMPLATE.task, range(100)) if "amount" in t.params["values"])
    values = task.params["values"]
    other = values | {"amount": f"${values['amount']}0"}
    assert judge(task, *live_through(task, other, other))[1] is True
    wrong = values | {"amount": "1" + values["amount"]}
    assert judge(task, *live_through(task, wrong, wrong)) == ({}, False)


def test_a_wrong_expense_ends_all_pay() -> None:
    task = find_task(with_choice=False)
    values = task.params["values"]
    wrong = dict.fromkeys(values, "wrong")
    facts = [*live_through(task, values, wrong), *live_through(task, values, values)]
    assert judge(task, *facts) == ({"filled": FILLED, "asked": ASKED, "filed": Fraction(0)}, False)


def test_a_banner_without_a_record_earns_nothing() -> None:
    task = find_task(with_choice=False)
    facts = [f for f in live_through(task, task.params["values"], {}) if not isinstance(f, AppChanged)]
    assert judge(task, *facts) == ({"filled": FILLED, "asked": ASKED}, False)


def test_asking_before_the_form_is_filled_earns_nothing() -> None:
    task = find_task(with_choice=False)
    click = Clicked(tab=0, role="button", name=task.params["submit"])
    opened = DialogOpened(tab=0, type="dialog", message="Is this correct?")
    filled = live_through(task, task.params["values"], {})[: len(task.params["labels"])]
    assert judge(task, click, opened, *filled) == ({"filled": FILLED}, False)
    assert judge(task, click, opened, *filled, click, opened) == ({"filled": FILLED, "asked": ASKED}, False)
