from milepost.milestones import Goal, Spec, judged, milestone, when
from milepost.milestones.explanation import Explanation, explain
from milepost.sandbox.events import Fact, FileDeleted
from tests.milestones.conftest import DIALOG, ORACLE, click, fill, submit, witness

A, B = when("clicked", name="A"), when("clicked", name="B")


def by_name(spec: Spec, *facts: Fact) -> dict[str, Explanation]:
    return {found.name: found for found in explain(spec, witness(*facts))}


def test_what_fired_names_the_events_it_rests_on(expense_spec: Spec) -> None:
    events = witness(*ORACLE)
    found = explain(expense_spec, events)
    assert [e.name for e in found] == ["filled", "asked", "sent", "goal"]
    assert all(e.fired and not e.missing for e in found)
    assert found[1].evidence == (events[2], events[3])
    assert found[3].evidence == (events[5],)


def test_what_did_not_fire_names_what_it_lacks(expense_spec: Spec) -> None:
    found = by_name(expense_spec, fill("Amount", "48.20"), click("Submit"))
    assert found["filled"].missing == ("when('filled', name='Merchant', value=text('Blue Cab'))",)
    assert [event.seq for event in found["filled"].evidence] == [0]
    assert found["asked"].missing == (
        "when('dialog_opened', type='dialog'), after when('clicked', name='Submit', role='button')",
    )
    assert found["asked"].waiting_for == ("filled",)
    assert found["sent"].waiting_for == ("asked",)
    assert len(found["sent"].missing) == 2
    assert not found["goal"].fired


def test_a_sequence_that_never_began_is_missing_as_a_whole(expense_spec: Spec) -> None:
    assert by_name(expense_spec, DIALOG)["asked"].missing == (
        "when('clicked', name='Submit', role='button'), and after it when('dialog_opened', type='dialog')",
    )


def test_what_came_too_early_is_named(expense_spec: Spec) -> None:
    found = by_name(expense_spec, click("Submit"), DIALOG)["asked"]
    assert found.too_early is not None
    assert (found.fired, found.too_early.seq, found.missing) == (False, 1, ())


def test_counts_and_negations_say_how_far_they_are() -> None:
    spec = Spec(
        milestones=(milestone("twice", reward=1, when=A.count(2)), milestone("clean", reward=1, when=A & ~B)),
        goal=Goal(when=A),
    )
    found = by_name(spec, click("B"), click("A"))
    assert found["twice"].missing == ("when('clicked', name='A').count(2), 1 so far",)
    assert found["clean"].missing == ("~when('clicked', name='B')",)


def test_a_goal_names_what_spoiled_it(expense_spec: Spec) -> None:
    stray = by_name(expense_spec, *ORACLE, FileDeleted(path="a"))["goal"]
    assert stray.spoiled is not None
    assert (stray.fired, stray.spoiled.seq) == (False, 7)
    vetoed = by_name(expense_spec, FileDeleted(path="a"), *ORACLE, submit("1", "A"))["goal"]
    assert vetoed.spoiled is not None
    assert vetoed.spoiled.seq == 8


def test_an_explanation_can_be_read(expense_spec: Spec) -> None:
    found = by_name(expense_spec, click("Submit"), DIALOG)
    assert found["asked"].describe() == (
        "asked: not fired\n"
        "  rests on event 0 (step 0): Clicked(tab=0, role='button', name='Submit')\n"
        "  rests on event 1 (step 1): DialogOpened(tab=0, type='dialog', message='Send this expense?')\n"
        "  waits for milestone filled\n"
        "  came too early: event 1 (step 1): DialogOpened(tab=0, type='dialog', message='Send this expense?')"
    )
    assert "  missing: when('filled'" in found["filled"].describe()
    spoiled = by_name(expense_spec, FileDeleted(path="a"))["goal"].describe()
    assert "  spoiled by event 0 (step 0): FileDeleted(path='a')" in spoiled


def test_what_came_too_late_was_undone_or_cannot_be_decided_is_said() -> None:
    c = when("clicked", name="C")
    spec = Spec(
        milestones=(
            milestone("late", reward=1, when=A, within_steps=0),
            milestone("undone", reward=1, when=A.undone_by(B) & c),
            milestone("ended", reward=1, when=c.until(B)),
            milestone("asked", reward=1, when=A & judged("Is it polite?")),
        ),
        goal=Goal(when=A, holds=("undone",)),
    )
    found = by_name(spec, click("-"), click("A"), click("B"), click("C"))
    assert found["late"].too_late is not None
    assert "  came too late: event 1 (step 1)" in found["late"].describe()
    assert found["undone"].missing == ("when('clicked', name='A'), not undone as by event 2",)
    assert found["ended"].missing == ("when('clicked', name='C'), before event 2, which ended its time",)
    assert found["asked"].missing == ("judged('Is it polite?'), which no rule can decide here",)
    assert found["goal"].missing == ("milestone undone, which has not fired",)
    assert found["goal"].as_dict()["evidence"][0]["seq"] == 1


def test_a_goal_names_the_milestone_that_was_undone() -> None:
    spec = Spec(
        milestones=(milestone("on", reward=1, when=A.undone_by(B)),), goal=Goal(when=A, holds=("on",))
    )
    assert by_name(spec, click("A"), click("B"))["goal"].missing == ("milestone on, which was undone",)
