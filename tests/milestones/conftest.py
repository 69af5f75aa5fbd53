from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import strategies as st

from milepost.milestones import Goal, Spec, fields, forbid, milestone, number, text, when
from milepost.sandbox.events import (
    GENESIS,
    AppChanged,
    Clicked,
    DialogOpened,
    ElementAppeared,
    Event,
    Fact,
    Filled,
    NavigationCompleted,
    Source,
    Trust,
    chain,
)
from milepost.sandbox.log import TRUST_OF


def witness(*facts: Fact | tuple[Source, Fact]) -> list[Event]:
    """A log of these facts, one a step, each by the instrument named or by the harness itself."""
    events: list[Event] = []
    for step, noted in enumerate(facts):
        source, fact = noted if isinstance(noted, tuple) else (Source.SESSION, noted)
        prev = events[-1].hash if events else GENESIS
        events.append(chain(fact, seq=step, step=step, source=source, trust=TRUST_OF[source], prev=prev))
    return events


def rechain(events: Sequence[Event], *, trust: Trust | None = None) -> list[Event]:
    """The same facts in this order as a log of their own."""
    chained: list[Event] = []
    for seq, event in enumerate(events):
        prev = chained[-1].hash if chained else GENESIS
        believed = event.trust if trust is None else trust
        chained.append(
            chain(event.fact, seq=seq, step=event.step, source=event.source, trust=believed, prev=prev)
        )
    return chained


def click(name: str) -> Clicked:
    return Clicked(tab=0, role="button", name=name)


def fill(name: str, value: str) -> Filled:
    return Filled(tab=0, role="textbox", name=name, value=value)


def appear(role: str, name: str) -> ElementAppeared:
    return ElementAppeared(tab=0, role=role, name=name)


def submit(amount: str, merchant: str) -> AppChanged:
    return AppChanged(
        app="expenses", change="expense.submitted", data={"amount": amount, "merchant": merchant}
    )


DIALOG = DialogOpened(tab=0, type="dialog", message="Send this expense?")
BANNER = appear("status", "Expense sent")

ORACLE: tuple[Fact, ...] = (
    fill("Amount", "48.20"),
    fill("Merchant", "Blue Cab"),
    click("Submit"),
    DIALOG,
    click("Confirm"),
    submit("48.20", "Blue Cab"),
    BANNER,
)
"""The shortest way to the goal of `expense_spec`."""


FACTS: st.SearchStrategy[Fact] = st.one_of(
    st.sampled_from(ORACLE),
    st.builds(click, st.sampled_from(["Submit", "Help", "Other"])),
    st.builds(fill, st.just("Amount"), st.sampled_from(["48.20", "$48.2", "1"])),
    st.builds(submit, st.sampled_from(["48.20", "5"]), st.just("blue cab")),
    st.builds(appear, st.sampled_from(["status", "row"]), st.just("x")),
)
LOGS = st.lists(FACTS, max_size=14)
SOURCES = st.sampled_from([Source.PAGE, Source.INPUT, Source.SESSION])

UNNAMED: list[Fact] = [
    NavigationCompleted(tab=0, url="http://a.test/"),
    Clicked(tab=0, role="link", name="Submit"),
    fill("Amount", "48.21"),
    appear("row", "Expense sent"),
    replace(DIALOG, type="alert"),
]
"""Facts that `expense_spec` does not name."""


@pytest.fixture(scope="session")
def expense_spec() -> Spec:
    filled = when("filled", name="Amount", value=number("48.20")) & when(
        "filled", name="Merchant", value=text("Blue Cab")
    )
    asked = when("clicked", role="button", name="Submit").then(when("dialog_opened", type="dialog"))
    submitted = when("app_changed", app="expenses", change="expense.submitted")
    right = when(
        "app_changed",
        app="expenses",
        change="expense.submitted",
        data=fields(amount=number("48.20"), merchant=text("Blue Cab")),
    )
    return Spec(
        milestones=(
            milestone("filled", reward="0.2", component="form", when=filled),
            milestone("asked", reward="0.3", component="ui", when=asked, after=("filled",)),
            milestone(
                "sent", reward="0.5", when=right & when("element_appeared", role="status"), after=("asked",)
            ),
        ),
        forbidden=(
            forbid("sent twice", when=submitted.count(2)),
            forbid("asked for help", when=when("clicked", name="Help"), effect="cap", cap="0.4"),
        ),
        goal=Goal(when=right, frame=(submitted,)),
    )
