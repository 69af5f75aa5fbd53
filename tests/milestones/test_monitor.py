"""Truth tables: events are strings of letters, each letter the leaves that match at once."""

import pytest

from milepost.milestones import Goal, Predicate, forbid, milestone, when
from milepost.milestones.monitor import evidence, holds, make_monitor, make_plan, start, step
from milepost.sandbox.events import AppChanged, Clicked

A, B, C = (when("clicked", name=name) for name in "abc")
BITS = {A: 1, B: 2, C: 4}
LETTERS = {"a": 1, "b": 2, "c": 4, "x": 3, "-": 0}
"""`x` matches a and b at once, `-` matches nothing."""


def run(predicate: Predicate, letters: str) -> tuple[str, str, tuple[int, ...]]:
    """Where the predicate occurs (`o`), where it holds afterwards (`h`), and its evidence in the end."""
    monitor = make_monitor(predicate, BITS)
    state = start(monitor)
    occurring, holding = "", ""
    for seq, letter in enumerate(letters):
        state, occurs = step(monitor, state, LETTERS[letter], seq)
        occurring += "o" if occurs else "."
        holding += "h" if holds(monitor, state) else "."
    return occurring, holding, evidence(monitor, state)


@pytest.mark.parametrize(
    ("predicate", "letters", "occurs", "held", "rests_on"),
    [
        (A, "-a-ba", ".o..o", ".hhhh", (4,)),
        (A & B, "a-b-a", "..o.o", "..hhh", (2, 4)),
        (A & B, "-x", ".o", ".h", (1,)),
        (A | B, "-bca", ".o.o", ".hhh", (1, 3)),
        (~A, "-a-", "...", "h..", ()),
        (A & ~B, "a-aba", "o.o..", "hhh..", (4,)),
        (A & ~B, "ba", "..", "..", (1,)),
        (A & ~B, "x", ".", ".", (0,)),
        (A.then(B), "ba-bb", "...oo", "...hh", (1, 4)),
        (A.then(B), "xb", ".o", ".h", (0, 1)),
        (A.then(B), "x", ".", ".", (0,)),
        (A.then(A), "aa", ".o", ".h", (0, 1)),
        (A.then(B).then(C), "acbc", "...o", "...h", (0, 2, 3)),
        (A.then(B.then(C)), "cbabc", "....o", "....h", (2, 3, 4)),
        (A.then(B & ~C), "cabc", "..o.", "..h.", (1, 2)),
        (A.then(B & ~C), "acb", "...", "...", (0, 2)),
        (A.then(B | ~C), "-ab", "..o", ".hh", (1, 2)),
        ((A & B).then(C), "acbc", "...o", "...h", (0, 2, 3)),
        ((A | B).then(C), "bac", "..o", "..h", (0, 2)),
        (A.count(2), "a-aa", "..oo", "..hh", (0, 3)),
        (A.count(1), "aa", "oo", "hh", (1,)),
        ((A | B).count(3), "abx", "..o", "..h", (0, 1, 2)),
        (A.count(2) & B, "aab", "..o", "..h", (0, 1, 2)),
        (A.then(B.count(2)), "babb", "...o", "...h", (1, 2, 3)),
        (~(A & B) & C, "acbc", ".o..", ".h..", (3,)),
        (C & (A | ~B), "cb", "o.", "h.", (0,)),
        (C & (A | ~B), "cba", "o.o", "h.h", (0, 2)),
    ],
)
def test_a_predicate_occurs_and_holds_exactly_here(
    predicate: Predicate, letters: str, occurs: str, held: str, rests_on: tuple[int, ...]
) -> None:
    assert run(predicate, letters) == (occurs, held, rests_on)


def test_an_event_that_matches_nothing_leaves_the_state_as_it_is() -> None:
    monitor = make_monitor(A.then(B) & C, BITS)
    state, _ = step(monitor, start(monitor), 1, 0)
    assert step(monitor, state, 0, 1) == (state, False)


def test_the_state_stays_small_however_often_something_happens() -> None:
    monitor = make_monitor(A.count(3), BITS)
    state = start(monitor)
    for seq in range(1000):
        state, _ = step(monitor, state, 1, seq)
    assert state == (0, 1, 999)


def test_a_plan_gives_each_distinct_leaf_one_bit_under_its_kind() -> None:
    saved = when("app_changed", app="settings")
    plan = make_plan(
        (milestone("m", reward=1, when=A & saved, after=("n",)), milestone("n", reward=1, when=A)),
        (forbid("f", when=B),),
        Goal(when=saved, frame=(saved,)),
    )
    assert plan.bits == {A: 1, saved: 2, B: 4}
    assert {cls: [bit for bit, _ in leaves] for cls, leaves in plan.leaves.items()} == {
        Clicked: [1, 4],
        AppChanged: [2],
    }
    assert [rule.monitor.mask for rule in plan.rules] == [3, 1]
    assert (plan.rules[0].after, plan.goal.mask, plan.frame) == (frozenset({"n"}), 2, 2)
