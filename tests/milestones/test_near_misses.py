from dataclasses import replace

import pytest

from milepost.milestones import (
    Goal,
    Predicate,
    Spec,
    at_least,
    date,
    fields,
    file_path,
    fold,
    forbid,
    items,
    matches,
    milestone,
    money,
    number,
    one_of,
    text,
    url,
    when,
)
from milepost.milestones.near_misses import alter, derive_logs, distrust, imagine, rechain
from milepost.milestones.predicates import When
from milepost.sandbox.events import AppChanged, Clicked, EpisodeEnded, Toggled, Trust, is_intact
from tests.milestones.conftest import ORACLE, fill, submit, witness

LOG = witness(*ORACLE, EpisodeEnded(reason="goal"))


def test_a_fact_is_altered_in_every_value() -> None:
    assert list(alter(Toggled(tab=0, role="switch", name="a", checked=True))) == [
        Toggled(tab=1, role="switch", name="a", checked=True),
        Toggled(tab=0, role="switch~", name="a", checked=True),
        Toggled(tab=0, role="~", name="a", checked=True),
        Toggled(tab=0, role="switch", name="a~", checked=True),
        Toggled(tab=0, role="switch", name="~", checked=True),
        Toggled(tab=0, role="switch", name="a", checked=False),
    ]
    assert AppChanged(
        app="expenses", change="expense.submitted", data={"amount": "5", "merchant": "x~"}
    ) in list(alter(submit("5", "x")))


def test_every_near_miss_is_a_log_of_its_own(expense_spec: Spec) -> None:
    logs = list(derive_logs(expense_spec, LOG))
    assert logs[0] == LOG
    assert len(logs) > 100
    for log in logs:
        assert [event.seq for event in log] == list(range(len(log)))
        assert all(is_intact(event) for event in log)
        assert [event.step for event in log] == sorted(event.step for event in log)
        assert isinstance(log[-1].fact, EpisodeEnded)


def test_near_misses_leave_out_alter_and_add(expense_spec: Spec) -> None:
    facts = [[event.fact for event in log] for log in derive_logs(expense_spec, LOG)]
    whole = facts[0]
    assert whole[1:] in facts
    assert [fill("Amount", "48.20~"), *whole[1:]] in facts
    assert any(isinstance(fact, Clicked) and fact.name == "Help" for log in facts for fact in log)
    assert any(isinstance(fact, AppChanged) and fact.app == "another app" for log in facts for fact in log)


def test_what_is_counted_happens_as_often_as_is_asked() -> None:
    sent = when("app_changed", app="expenses", change="expense.submitted")
    wrong = when("app_changed", app="expenses", change="expense.withdrawn")
    spec = Spec(
        milestones=(milestone("sent", reward=1, when=sent),),
        forbidden=(forbid("doubt", when=wrong.count(3)),),
        goal=Goal(when=sent, frame=(sent, wrong)),
    )
    withdrawn = AppChanged(app="expenses", change="expense.withdrawn", data={})
    counts = [[e.fact for e in log].count(withdrawn) for log in derive_logs(spec, LOG)]
    assert counts.count(3) == 1
    assert max(counts) == 3


def test_what_only_a_page_says_pays_nothing(expense_spec: Spec) -> None:
    forged = distrust(LOG)
    assert {event.trust for event in forged} == {Trust.PAGE}
    progress, hits = fold(expense_spec, forged)
    assert (hits, progress.goal_met) == ((), False)


def test_a_log_in_its_own_order_is_the_same_log() -> None:
    assert rechain(LOG) == LOG
    assert rechain([replace(LOG[0], step=3), LOG[1]])[1].step == 3


@pytest.mark.parametrize(
    "leaf",
    [
        when("clicked", role=one_of("button", "link"), name=text("Save")),
        when("toggled", checked=False),
        when("responded", status=at_least(200)),
        when("navigation_completed", url=url("http://a.test/x")),
        when("file_created", path=file_path("Downloads/a.csv"), size=at_least(1)),
        when("file_created", path=matches(r"Downloads/a\.csv")),
        when("app_changed", change="opened", data=fields(id=matches(r"(?!17$).*"))),
        when("app_changed", data=fields(amount=money("48.20 EUR"), on=date("2026-01-05"))),
        when("app_changed", data=fields(cart=items("a", number("2.5")))),
    ],
)
def test_a_fact_is_imagined_that_a_leaf_matches(leaf: Predicate) -> None:
    assert isinstance(leaf, When)
    fact = imagine(leaf)
    assert fact is not None
    assert leaf.matches(fact)


def test_what_cannot_be_imagined_is_left_out() -> None:
    assert imagine(when("clicked", name=matches("[ab]+"))) is None
