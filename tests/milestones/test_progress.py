from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.milestones import (
    Component,
    Effect,
    Goal,
    Hit,
    Milestone,
    Predicate,
    Spec,
    Violation,
    advance,
    fold,
    forbid,
    milestone,
    start_progress,
    when,
)
from milepost.sandbox.events import (
    ActionTaken,
    AppChanged,
    EpisodeEnded,
    Fact,
    FileCreated,
    FileDeleted,
    FileModified,
    FileMoved,
    Source,
    Trust,
)
from tests.milestones.conftest import (
    BANNER,
    DIALOG,
    FACTS,
    LOGS,
    ORACLE,
    SOURCES,
    UNNAMED,
    click,
    fill,
    rechain,
    submit,
    witness,
)

A, B, C = (when("clicked", name=name) for name in "ABC")


def rules(*milestones: tuple[str, Predicate, tuple[str, ...]], goal: Predicate = C) -> Spec:
    return Spec(
        milestones=tuple(milestone(name, reward=1, when=p, after=after) for name, p, after in milestones),
        goal=Goal(when=goal),
    )


def fired(spec: Spec, letters: str) -> list[tuple[str, int]]:
    """Which milestones fire at which event, when each letter is a click."""
    return [(hit.name, hit.seq) for hit in fold(spec, witness(*map(click, letters)))[1]]


def test_the_oracle_earns_everything_with_its_evidence(expense_spec: Spec) -> None:
    progress, hits = fold(expense_spec, witness(*ORACLE))
    assert hits == (
        Hit(name="filled", reward=Fraction(1, 5), component=Component.FORM, seq=1, step=1, evidence=(0, 1)),
        Hit(name="asked", reward=Fraction(3, 10), component=Component.UI, seq=3, step=3, evidence=(2, 3)),
        Hit(name="sent", reward=Fraction(1, 2), component=Component.GOAL, seq=6, step=6, evidence=(5, 6)),
    )
    assert progress.hits == hits
    assert progress.paid == expense_spec.total == 1
    assert progress.reached == {"filled", "asked", "sent"}
    assert progress.goal_reached


def test_doing_nothing_earns_nothing(expense_spec: Spec) -> None:
    progress, hits = fold(expense_spec, [])
    assert (hits, progress.paid, progress.goal_reached) == ((), Fraction(0), False)
    assert progress == start_progress(expense_spec)


def test_a_milestone_pays_once() -> None:
    assert fired(rules(("a", A, ())), "AAA") == [("a", 0)]


def test_a_milestone_needs_its_predecessor_at_a_strictly_earlier_event() -> None:
    spec = rules(("a", A, ()), ("b", A, ("a",)))
    assert fired(spec, "A") == [("a", 0)]
    assert fired(spec, "AA") == [("a", 0), ("b", 1)]


def test_the_order_of_the_spec_does_not_stand_for_after() -> None:
    assert fired(rules(("b", A, ("a",)), ("a", A, ())), "AA") == [("a", 0), ("b", 1)]


def test_a_match_too_early_pays_nothing_and_can_come_again() -> None:
    spec = rules(("a", A, ()), ("b", B, ("a",)))
    progress, _ = fold(spec, witness(*map(click, "BBA")))
    assert progress.reached == {"a"}
    assert progress.early == (("b", 0),)
    assert fired(spec, "BBAB") == [("a", 2), ("b", 3)]


def test_what_a_conjunction_saw_too_early_stays_seen() -> None:
    spec = rules(("a", A, ()), ("bc", B & C, ("a",)))
    assert fired(spec, "BCA") == [("a", 2)]
    assert fired(spec, "BCAB") == [("a", 2), ("bc", 3)]
    assert fired(spec, "BCAC") == [("a", 2), ("bc", 3)]
    assert fired(spec, "BAC") == [("a", 1), ("bc", 2)]


def test_a_sequence_that_came_too_early_needs_its_last_event_again() -> None:
    spec = rules(("a", A, ()), ("b then c", B.then(C), ("a",)))
    assert fired(spec, "BCAB") == [("a", 2)]
    assert fired(spec, "BCABC") == [("a", 2), ("b then c", 4)]
    assert fired(spec, "BAC") == [("a", 1), ("b then c", 2)]


def test_a_diamond_of_milestones_waits_for_both_sides() -> None:
    spec = rules(("a", A, ()), ("b", B, ()), ("c", C, ("a", "b")))
    assert fired(spec, "ACBC") == [("a", 0), ("b", 2), ("c", 3)]


def test_the_evidence_of_a_late_hit_is_the_newest_event_of_each_part() -> None:
    _, hits = fold(rules(("a", A, ()), ("bc", B & C, ("a",))), witness(*map(click, "BCBAC")))
    assert hits[1].evidence == (2, 4)


@pytest.mark.parametrize(
    ("source", "counts"),
    [(Source.AGENT, False), (Source.PAGE, False), (Source.INPUT, True), (Source.SERVER, True)],
)
def test_an_event_counts_only_from_an_instrument_that_may_tell_it(source: Source, counts: bool) -> None:
    _, hits = fold(rules(("a", A, ())), witness((source, click("A"))))
    assert bool(hits) is counts


def test_nothing_the_page_says_earns_anything_alone(expense_spec: Spec) -> None:
    progress, hits = fold(expense_spec, rechain(witness(*ORACLE), trust=Trust.PAGE))
    assert (hits, progress.goal_met) == ((), False)


def test_a_dialog_of_the_browser_is_not_believed_from_the_page() -> None:
    confirmed = when("dialog_opened", type="confirm")
    facts = replace(DIALOG, type="confirm")
    assert fold(rules(("m", confirmed, ())), witness((Source.PAGE, facts)))[1] == ()
    assert len(fold(rules(("m", confirmed, ())), witness((Source.BROWSER, facts)))[1]) == 1


def test_after_a_veto_milestones_pay_nothing_and_the_goal_is_out_of_reach(expense_spec: Spec) -> None:
    facts = (submit("1", "A"), submit("1", "A"), *ORACLE)
    progress, hits = fold(expense_spec, witness(*facts))
    assert {hit.name: hit.reward for hit in hits} == {"filled": 0, "asked": 0, "sent": 0}
    assert progress.violations == (
        Violation(name="sent twice", effect=Effect.VETO, seq=1, step=1, evidence=(0, 1)),
    )
    assert (progress.goal_met, progress.goal_reached, progress.paid) == (True, False, Fraction(0))


def test_a_veto_takes_effect_at_its_own_event_and_keeps_what_was_paid() -> None:
    spec = Spec(
        milestones=(milestone("a", reward=1, when=A), milestone("b", reward=1, when=B)),
        forbidden=(forbid("b", when=B),),
        goal=Goal(when=C),
    )
    progress, hits = fold(spec, witness(*map(click, "ABC")))
    assert {hit.name: hit.reward for hit in hits} == {"a": 1, "b": 0}
    assert (progress.paid, progress.goal_met, progress.goal_reached) == (Fraction(1), True, False)


def test_something_forbidden_only_until_something_else_is_harmless_after_it() -> None:
    spec = Spec(forbidden=(forbid("b before a", when=B & ~A),), goal=Goal(when=C))
    assert fold(spec, witness(*map(click, "BAC")))[0].vetoed
    assert not fold(spec, witness(*map(click, "ABC")))[0].vetoed


@pytest.mark.parametrize(
    ("letters", "paid"),
    [
        ("CAB", ["1/4", "0"]),
        ("ACB", ["1/2", "0"]),
        ("ABC", ["1/2", "1/2"]),
        ("DAB", ["1/2", "1/10"]),
        ("DCAB", ["1/4", "0"]),
        ("CDAB", ["1/4", "0"]),
    ],
)
def test_a_cap_limits_the_sum_and_takes_nothing_back(letters: str, paid: list[str]) -> None:
    spec = Spec(
        milestones=(milestone("a", reward="0.5", when=A), milestone("b", reward="0.5", when=B)),
        forbidden=(
            forbid("c", when=C, effect="cap", cap="0.25"),
            forbid("d", when=when("clicked", name="D"), effect="cap", cap="0.6"),
        ),
        goal=Goal(when=B),
    )
    progress, hits = fold(spec, witness(*map(click, letters)))
    assert [str(hit.reward) for hit in hits] == paid
    assert progress.goal_reached


FILE = FileCreated(path="Downloads/q3.csv", size=3, sha256="ab")


@pytest.mark.parametrize(
    "stray",
    [
        AppChanged(app="mail", change="mail.sent", data={}),
        FileCreated(path="notes.txt", size=1, sha256="cd"),
        FileModified(path="Downloads/q3.csv", size=4, sha256="ef"),
        FileMoved(path="b.csv", previous="Downloads/q3.csv", sha256="ab"),
        FileDeleted(path="Downloads/q3.csv"),
    ],
)
def test_any_change_outside_the_frame_misses_the_goal_for_good(stray: Fact) -> None:
    created = when("file_created", path="Downloads/q3.csv")
    spec = Spec(goal=Goal(when=created, frame=(created,)))
    assert fold(spec, witness(FILE, click("A"), FILE))[0].goal_reached
    for facts in ((stray, FILE), (FILE, stray)):
        progress, _ = fold(spec, witness(*facts))
        assert (progress.goal_met, progress.goal_reached) == (True, False)
        assert progress.broken == facts.index(stray)
    assert fold(spec, witness(stray, FILE, stray, FILE))[0].broken == 0


def test_a_change_told_by_no_harness_is_outside_every_frame() -> None:
    created = when("file_created")
    spec = Spec(goal=Goal(when=created, frame=(created,)))
    progress, _ = fold(spec, witness((Source.PAGE, FILE)))
    assert (progress.goal_met, progress.broken) == (False, 0)


def test_a_goal_may_ask_that_something_has_not_happened() -> None:
    spec = Spec(goal=Goal(when=A & ~B))
    reached = [fold(spec, witness(*map(click, letters)))[0].goal_reached for letters in ("A", "AB", "BA", "")]
    assert reached == [True, False, False, False]


@given(facts=LOGS, cut=st.integers(0, 14))
def test_folding_in_two_goes_is_folding_in_one(expense_spec: Spec, facts: list[Fact], cut: int) -> None:
    events = witness(*facts)
    first, early = fold(expense_spec, events[:cut])
    assert fold(expense_spec, events)[0] == fold(expense_spec, events[cut:], first)[0]
    assert fold(expense_spec, events)[1] == early + fold(expense_spec, events[cut:], first)[1]


@given(noted=st.lists(st.tuples(SOURCES, FACTS), max_size=14))
def test_an_episode_never_pays_more_than_the_total(
    expense_spec: Spec, noted: list[tuple[Source, Fact]]
) -> None:
    progress, hits = fold(expense_spec, witness(*noted))
    assert progress.paid == sum(hit.reward for hit in hits) <= expense_spec.total
    assert all(hit.reward >= 0 for hit in hits)
    assert len({hit.name for hit in hits}) == len(hits)
    assert all(hit.seq == max(hit.evidence) for hit in hits)


@given(facts=LOGS, data=st.data())
def test_a_copy_of_an_event_that_fired_a_milestone_never_pays_it_again(
    expense_spec: Spec, facts: list[Fact], data: st.DataObject
) -> None:
    events = witness(*facts)
    hits = fold(expense_spec, events)[1]
    if not hits:
        return
    hit = data.draw(st.sampled_from(hits))
    position = data.draw(st.integers(hit.seq + 1, len(events)))
    copied = rechain([*events[:position], events[hit.seq], *events[position:]])
    again = [h for h in fold(expense_spec, copied)[1] if h.name == hit.name]
    assert [(h.seq, h.reward) for h in again] == [(hit.seq, hit.reward)]


@given(facts=LOGS, data=st.data())
def test_events_that_no_rule_names_change_nothing(
    expense_spec: Spec, facts: list[Fact], data: st.DataObject
) -> None:
    irrelevant = data.draw(st.sampled_from(UNNAMED))
    position = data.draw(st.integers(0, len(facts)))
    events = witness(*facts)
    before, _ = fold(expense_spec, events[:position])
    extra = witness(*facts[:position], irrelevant)[-1]
    assert advance(expense_spec, before, extra) == (before, ())
    assert advance(expense_spec, before, extra)[0] is before


@given(facts=LOGS)
def test_progress_never_goes_back(expense_spec: Spec, facts: list[Fact]) -> None:
    progress = start_progress(expense_spec)
    for event in witness(*facts):
        after, _ = advance(expense_spec, progress, event)
        assert after.reached >= progress.reached
        assert after.paid >= progress.paid
        assert after.violations[: len(progress.violations)] == progress.violations
        assert progress.broken is None or after.broken == progress.broken
        progress = after


def test_a_banner_alone_is_not_the_end(expense_spec: Spec) -> None:
    assert not fold(expense_spec, witness(BANNER))[0].goal_reached


def act(text: str, error: str = "") -> ActionTaken:
    return ActionTaken(action=text, error=error)


def earn(declared: Milestone, *facts: Fact) -> list[tuple[str, int]]:
    """What one milestone pays, and at which event."""
    spec = Spec(milestones=(declared,), goal=Goal(when=C))
    return [(str(hit.reward), hit.seq) for hit in fold(spec, witness(*facts))[1]]


def test_a_graded_milestone_pays_the_increase_of_its_share() -> None:
    form = milestone("form", reward="0.3", when=A & B & C, graded=True)
    assert earn(form, *map(click, "ABC")) == [("1/10", 0), ("1/10", 1), ("1/10", 2)]
    assert earn(form, *map(click, "AABAB")) == [("1/10", 0), ("1/10", 2)]


def test_what_is_undone_and_done_again_is_not_paid_again() -> None:
    filled = [when("filled", name=n, value="5").undone_by(when("filled", name=n)) for n in "xy"]
    form = milestone("form", reward=1, when=filled[0] & filled[1], graded=True)
    facts = [fill("x", "5"), fill("x", ""), fill("x", "5"), fill("y", "5"), fill("x", ""), fill("x", "5")]
    assert earn(form, *facts) == [("1/2", 0), ("1/2", 3)]
    assert earn(form, fill("x", "5"), fill("x", ""), fill("y", "5")) == [("1/2", 0)]


def test_the_shares_of_a_graded_milestone_wait_for_its_order() -> None:
    spec = rules(("a", A, ()))
    graded = milestone("bc", reward=1, when=B & C, after=("a",), graded=True)
    spec = replace(spec, milestones=(*spec.milestones, graded))
    progress, hits = fold(spec, witness(*map(click, "BAC")))
    assert [(h.name, h.seq, str(h.share)) for h in hits] == [("a", 1, "1"), ("bc", 2, "1")]
    assert progress.early == (("bc", 0),)
    assert progress.reached == {"a", "bc"}


def test_a_milestone_has_its_time_after_the_one_before() -> None:
    spec = rules(("a", A, ()))
    soon = milestone("b", reward=1, when=B, after=("a",), within_steps=2)
    spec = replace(spec, milestones=(*spec.milestones, soon))
    assert fired(spec, "A-B") == [("a", 0), ("b", 2)]
    progress, _ = fold(spec, witness(*map(click, "A--B-B")))
    assert progress.reached == {"a"}
    assert progress.late == (("b", 3),)
    first = milestone("b", reward=1, when=B, within_steps=1)
    assert earn(first, *map(click, "-B")) == [("1", 1)]
    assert earn(first, *map(click, "--B")) == []


@pytest.mark.parametrize(
    ("before", "paid"),
    [
        ((act('click("1")'),), True),
        ((act('fill("1", "x")'), act("noop(5)")), True),
        ((act("noop(5)"),), False),
        ((act('answer("x")'),), False),
        ((act('click("9")', "no such element"),), False),
        ((), False),
    ],
)
def test_what_the_agent_did_not_cause_does_not_count(before: tuple[Fact, ...], paid: bool) -> None:
    events = [replace(event, step=1) for event in witness(*before, click("A"))]
    spec = Spec(milestones=(milestone("a", reward=1, when=A, by_agent=True),), goal=Goal(when=C))
    assert bool(fold(spec, rechain(events))[1]) is paid


def test_a_deed_counts_for_its_own_step_only_and_only_if_the_harness_tells_it() -> None:
    spec = Spec(milestones=(milestone("a", reward=1, when=A, by_agent=True),), goal=Goal(when=C))
    assert fold(spec, witness(act('click("1")'), click("A")))[1] == ()
    forged = [replace(e, step=1) for e in witness((Source.PAGE, act('click("1")')), click("A"))]
    assert fold(spec, rechain(forged))[1] == ()


END = EpisodeEnded(reason="answer")


def test_what_must_hold_is_paid_in_the_end() -> None:
    kept = milestone("kept", reward=1, when=A.undone_by(B), holds=True)
    assert earn(kept, *map(click, "A"), END) == [("1", 1)]
    assert earn(kept, *map(click, "AB"), END) == []
    assert earn(kept, *map(click, "ABA"), END) == [("1", 3)]
    assert earn(kept, *map(click, "A")) == []
    spec = Spec(milestones=(kept,), forbidden=(forbid("d", when=B),), goal=Goal(when=C))
    assert [hit.reward for hit in fold(spec, witness(*map(click, "BA"), END))[1]] == [0]


def test_a_goal_may_ask_that_a_milestone_still_holds() -> None:
    spec = Spec(
        milestones=(milestone("on", reward=1, when=A.undone_by(B)),), goal=Goal(when=C, holds=("on",))
    )
    reached = [
        fold(spec, witness(*map(click, letters)))[0].goal_reached
        for letters in ("AC", "CA", "ACB", "ABC", "ABCA", "C")
    ]
    assert reached == [True, True, False, False, True, False]
