"""ExpenseForm: fill in a form, submit it and confirm.

The agent copies two to four values from the goal into the fields of the same label, submits, and confirms in
the dialog that shows them once more. Wrong values can be seen there and corrected; a field left empty or
malformed is refused with a message beside it.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from milepost.envs.apps import words
from milepost.envs.apps.expenses.server import AMOUNT, NUMBER, Choice, Field, Form, build
from milepost.envs.apps.pages import draw_look
from milepost.envs.task import Split, Task, Template, choose
from milepost.milestones import Goal, Spec, all_of, fields, forbid, milestone, number, text, when
from milepost.sandbox.actions import Action, Click, Fill, Noop, SelectOption
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import Site

HOST = "expenses.acme.test"

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    ("", "Please ", "I need to ", "I want to "),
    (
        *("file an expense with {values}", "fill in the form with {values}", "enter {values} in the form"),
        *("add a new expense: {values}", "record this expense: {values}", "complete the form with {values}"),
        *("set {values}", "enter {values} in the expense form", "record an expense with {values}"),
    ),
    (
        *(" and press {submit}.", ", then click {submit}.", " and send the form with {submit}."),
        *(
            ". Press {submit} at the end.",
            ". Click {submit} when you are done.",
            ". Use {submit} to send it.",
            ". Then press {submit}.",
        ),
    ),
)
"""How the goal is put, by split; `values` is a list of quoted label and value pairs."""

_CENTS = ("00", "20", "25", "40", "50", "75", "80", "95")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """Something the form may ask for."""

    key: str
    labels: tuple[str, ...]
    draw: Callable[[np.random.Generator], str]
    pattern: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """Something the form may let choose from a list."""

    key: str
    labels: tuple[str, ...]
    options: tuple[str, ...]


def _draw_shop(rng: np.random.Generator) -> str:
    return f"{choose(rng, words.COLORS)} {choose(rng, words.SHOPS)}"


def _draw_person(rng: np.random.Generator) -> str:
    return f"{choose(rng, words.FIRST_NAMES)} {choose(rng, words.SURNAMES)}"


def _draw_city(rng: np.random.Generator) -> str:
    return choose(rng, words.CITIES)


def _draw_amount(rng: np.random.Generator) -> str:
    return f"{int(rng.integers(4, 180))}.{choose(rng, _CENTS)}"


def _draw_number(rng: np.random.Generator) -> str:
    return str(int(rng.integers(1000, 10_000)))


_QUESTIONS = (
    _Question(key="merchant", labels=("Merchant", "Vendor", "Supplier", "Payee"), draw=_draw_shop),
    _Question(key="amount", labels=("Amount", "Total", "Cost", "Price"), draw=_draw_amount, pattern=AMOUNT),
    _Question(key="person", labels=("Employee", "Traveler", "Name"), draw=_draw_person),
    _Question(key="receipt", labels=("Receipt", "Invoice", "Reference"), draw=_draw_number, pattern=NUMBER),
    _Question(key="city", labels=("City", "Place", "Location"), draw=_draw_city),
)
_CHOICES = (
    _Choice(
        key="category", labels=("Category", "Type", "Kind"), options=("Travel", "Meals", "Office", "Training")
    ),
    _Choice(
        key="team", labels=("Team", "Department", "Group"), options=("Sales", "Design", "Finance", "Legal")
    ),
)
_ANSWERS = (("Approve", "Change"), ("Record", "Review"), ("Complete", "Check"))
"""What the dialog's buttons may say: the one that files the expense, and the one that goes back to the form.

Not the usual yes and no, which the built-in policy knows from its synthetic lessons: which is which is for the reward to
teach.
"""
_BRANDS = ("Spendly", "Tally", "Ledger", "Penny", "Outlay")


def _draw_fields(rng: np.random.Generator) -> tuple[tuple[Field, ...], dict[str, str]]:
    count = int(rng.choice([2, 3, 4], p=[0.35, 0.4, 0.25]))
    drawn: list[Field] = []
    wanted: dict[str, str] = {}
    if rng.random() < 0.6:
        kind = choose(rng, _CHOICES)
        options = tuple(str(option) for option in rng.permutation(kind.options)[: int(rng.integers(3, 5))])
        drawn.append(Field(key=kind.key, label=choose(rng, kind.labels), options=options))
        wanted[kind.key] = choose(rng, options)
    for index in rng.permutation(len(_QUESTIONS))[: count - len(drawn)]:
        question = _QUESTIONS[int(index)]
        drawn.append(Field(key=question.key, label=choose(rng, question.labels), pattern=question.pattern))
        wanted[question.key] = question.draw(rng)
    return tuple(drawn[int(index)] for index in rng.permutation(count)), wanted


def _draw_form(rng: np.random.Generator, form_fields: tuple[Field, ...]) -> Form:
    confirm, cancel = choose(rng, _ANSWERS)
    choices = tuple(
        Choice(id=name, caption=caption)
        for name, caption in (("confirm", confirm), ("cancel", cancel), ("print", "Print"))
    )
    return Form(
        look=draw_look(rng, _BRANDS),
        title=choose(rng, ("New expense", "Expense form", "Your expense")),
        fields=form_fields,
        two_columns=bool(rng.integers(2)),
        submit=choose(rng, ("Submit", "Send", "Save", "Continue")),
        question=choose(rng, ("Send this expense?", "Is this correct?", "Check the values")),
        choices=tuple(choices[int(index)] for index in rng.permutation(len(choices))),
        success=choose(rng, ("Expense sent", "Expense filed", "Your expense was saved")),
        form_link=choose(rng, ("New expense", "Add expense")),
        list_link=choose(rng, ("My expenses", "Filed expenses")),
    )


def _put_goal(rng: np.random.Generator, split: Split, form: Form, wanted: Mapping[str, str]) -> str:
    order = rng.permutation(len(form.fields))
    pairs = [f'"{form.fields[int(i)].label}" "{wanted[form.fields[int(i)].key]}"' for i in order]
    return choose(rng, WORDINGS[split]).format(values=", ".join(pairs), submit=f'"{form.submit}"')


def _make_spec(form: Form, wanted: Mapping[str, str]) -> Spec:
    right = {
        f.key: number(wanted[f.key]) if f.pattern == AMOUNT else text(wanted[f.key]) for f in form.fields
    }
    entered = [
        when("selected" if f.options else "filled", name=f.label, value=right[f.key]) for f in form.fields
    ]
    asked = when("clicked", role="button", name=form.submit).then(when("dialog_opened", type="dialog"))
    submitted = when("app_changed", app="expenses", change="expense.submitted")
    filed = when("app_changed", app="expenses", change="expense.submitted", data=fields(**right))
    shown = when("element_appeared", role="status", name=form.success)
    return Spec(
        milestones=(
            milestone("filled", reward="0.2", component="form", when=all_of(*entered)),
            milestone("asked", reward="0.3", component="ui", when=asked, after=("filled",)),
            milestone("filed", reward="0.5", component="goal", when=filed & shown),
        ),
        # What was filed cannot be taken back, so a wrong expense ends the matter.
        forbidden=(forbid("wrong expense", when=submitted & ~filed),),
        goal=Goal(when=filed & shown, frame=(filed,)),
    )


def _make_oracle(form: Form, wanted: Mapping[str, str]) -> Callable[[Observation], Action]:
    lines = [f"{field.label}: {wanted[field.key]}" for field in form.fields]

    def act(observation: Observation) -> Action:
        if observation.find("dialog"):
            seen = {element.name for element in observation.elements}
            way = "confirm" if seen.issuperset(lines) else "cancel"
            caption = next(choice.caption for choice in form.choices if choice.id == way)
            button = observation.find("button", caption)
            return Click(button) if button else Noop()
        if observation.find("status", form.success):
            return Noop()
        for field in form.fields:
            element = observation.element("combobox" if field.options else "textbox", field.label)
            if element is None:
                link = observation.find("link", form.form_link)
                return Click(link) if link else Noop()
            if element.value != wanted[field.key]:
                value = wanted[field.key]
                return SelectOption(element.id, value) if field.options else Fill(element.id, value)
        button = observation.find("button", form.submit)
        return Click(button) if button else Noop()

    return act


def _build_task(rng: np.random.Generator, split: Split) -> Task:
    form_fields, wanted = _draw_fields(rng)
    form = _draw_form(rng, form_fields)
    return Task(
        goal=_put_goal(rng, split, form, wanted),
        params={
            "labels": {field.key: field.label for field in form_fields},
            "values": wanted,
            "submit": form.submit,
        },
        start_url=f"http://{HOST}/",
        sites={HOST: Site(app="expenses", build=functools.partial(build, form))},
        spec=_make_spec(form, wanted),
        oracle=_make_oracle(form, wanted),
    )


TEMPLATE = Template(
    id="ExpenseForm-v0",
    family="form",
    summary="Fill in an expense form, submit it and confirm.",
    max_steps=8,
    build=_build_task,
)
