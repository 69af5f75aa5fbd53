"""Truth tables: events are strings of letters, each letter the leaves that match at once."""

import pytest

from milepost.milestones import Predicate, any_of, judged, when
from milepost.milestones.monitor import decide, evidence, holds, make_monitor, start, step
from milepost.milestones.predicates import When
from milepost.sandbox.events import AppChanged, Event
from tests.milestones.conftest import click, witness

A, B, C = (when("clicked", name=name) for name in "abc")
BITS = {A: 1, B: 2, C: 4}
LETTERS = {"a": 1, "b": 2, "c": 4, "x": 3, "-": 0}
"""`x` matches a and b at once, `-` matches nothing."""


def happen(seq: int) -> Event:
    """An event with this number, one a step."""
    return witness(*[click("?")] * (seq + 1))[-1]


def run(predicate: Predicate, letters: str) -> tuple[str, str, tuple[int, ...]]:
    """Where the predicate occurs (`o`), where it holds afterwards (`h`), and its evidence in the end."""
    monitor = make_monitor(predicate, BITS)
    state = start(monitor)
    occurring, holding = "", ""
    for seq, letter in enumerate(letters):
        state, occurs = step(monitor, state, LETTERS[letter], happen(seq))
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
        (any_of(2, A, B, C), "a-ac-b", "...o.o", "...hhh", (2, 3, 5)),
        (any_of(2, A, B, C), "x", "o", "h", (0,)),
        (any_of(2, A, B, ~C), "acb", "o.o", "h.h", (0, 2)),
        (any_of(2, A, B, ~C), "cba", "..o", "..h", (1, 2)),
        (A.until(B), "-aba", ".o..", ".hhh", (1,)),
        (A.until(B), "baa", "...", "...", ()),
        (A.until(B), "x", ".", ".", ()),
        (A.until(B.then(C)), "bacaa", ".o...", ".hhhh", (1,)),
        (A.undone_by(B), "abba-b", "o..o..", "h..hh.", ()),
        (A.undone_by(B), "ba", ".o", ".h", (1,)),
        (A.undone_by(B), "x", "o", "h", (0,)),
        (A.undone_by(B).then(C), "abc", "..o", "..h", (0, 2)),
        (C & A.undone_by(B), "abca", "...o", "...h", (2, 3)),
        (A.then(B, within_steps=1), "ab-b", ".o..", ".hhh", (0, 1)),
        (A.then(B, within_steps=1), "a-bab", "....o", "....h", (3, 4)),
        (A.then(B, within_steps=2), "aa-b", "...o", "...h", (1, 3)),
        (A.then(B, within_steps=0), "ab", "..", "..", (0,)),
        (A.then(A, within_steps=1), "a-aa", "...o", "...h", (2, 3)),
        ((A & B).then(C, within_steps=1), "ab-cbc", ".....o", ".....h", (0, 4, 5)),
    ],
)
def test_a_predicate_occurs_and_holds_exactly_here(
    predicate: Predicate, letters: str, occurs: str, held: str, rests_on: tuple[int, ...]
) -> None:
    assert run(predicate, letters) == (occurs, held, rests_on)


def test_an_event_that_matches_nothing_leaves_the_state_as_it_is() -> None:
    monitor = make_monitor(A.then(B) & C, BITS)
    state, _ = step(monitor, start(monitor), 1, happen(0))
    assert step(monitor, state, 0, happen(1)) == (state, False)


def test_the_state_stays_small_however_often_something_happens() -> None:
    monitor = make_monitor(A.count(3), BITS)
    state = start(monitor)
    for event in witness(*[click("a")] * 1000):
        state, _ = step(monitor, state, 1, event)
    assert state == (0, 1, 999)


def test_a_pair_within_no_steps_may_happen_in_one_step() -> None:
    monitor, state = make_monitor(A.then(B, within_steps=0), BITS), None
    state, occurs = start(monitor), False
    first = happen(0)
    state, _ = step(monitor, state, 1, first)
    second = Event(
        seq=1, step=0, source=first.source, trust=first.trust, fact=first.fact, prev=first.hash, hash="1"
    )
    state, occurs = step(monitor, state, 2, second)
    assert occurs
    assert evidence(monitor, state) == (0, 1)


CHANGED = when("app_changed", app="shop")


def shop(**data: object) -> AppChanged:
    return AppChanged(app="shop", change="added", data=data)


@pytest.mark.parametrize(
    ("skus", "occurs"),
    [
        (["a", "a", "b"], "..o"),
        (["a", "A ", "b"], "..o"),
        ([1, True, "1"], ".oo"),
        ([None, ["a"], "a"], "..."),
        (["a", "b", "a"], ".oo"),
    ],
)
def test_a_count_of_distinct_values_counts_each_value_once(skus: list[object], occurs: str) -> None:
    predicate = CHANGED.count(2, distinct="data.sku")
    monitor = make_monitor(predicate, {CHANGED: 1})
    state, seen = start(monitor), ""
    for event in witness(*(shop(sku=sku) for sku in skus)):
        state, now = step(monitor, state, 1, event)
        seen += "o" if now else "."
    assert seen == occurs
    assert len(evidence(monitor, state)) == min(2, len(state))


def test_distinct_values_of_a_field_itself_are_counted() -> None:
    any_click = when("clicked")
    monitor = make_monitor(any_click.count(2, distinct="name"), {any_click: 1})
    state = start(monitor)
    for event in witness(click("a"), click("a"), click("b")):
        state, _ = step(monitor, state, 1, event)
    assert evidence(monitor, state) == (0, 2)


ASK = judged("The note is polite")


@pytest.mark.parametrize(
    ("predicate", "letters", "decided"),
    [
        (ASK, "a", None),
        (A & ASK, "", False),
        (A & ASK, "a", None),
        (A | ASK, "", None),
        (A | ASK, "a", True),
        (~ASK & A, "a", None),
        (any_of(2, A, B, ASK), "", False),
        (any_of(2, A, B, ASK), "a", None),
        (any_of(2, A, B, ASK), "ab", True),
        (A.then(B & ASK), "", False),
        (A.then(B & ASK), "ab", None),
        ((A & ASK).then(B), "a", None),
        ((A & ASK).then(B), "", False),
        ((A | ASK).undone_by(B), "b", None),
        ((A | ASK).until(B), "a", True),
    ],
)
def test_what_no_rule_decides_is_neither_true_nor_false(
    predicate: Predicate, letters: str, decided: bool | None
) -> None:
    monitor = make_monitor(predicate, BITS)
    state = start(monitor)
    for seq, letter in enumerate(letters):
        state, occurs = step(monitor, state, LETTERS[letter], happen(seq))
        assert not (occurs and decided is None)
    assert decide(monitor, state) is decided
    assert holds(monitor, state) is (decided is True)


@pytest.mark.parametrize("one", [True, False, None])
@pytest.mark.parametrize("other", [True, False, None])
def test_every_operator_follows_kleene(one: bool | None, other: bool | None) -> None:
    leaves: dict[bool | None, tuple[Predicate, int]] = {True: (A, 1), False: (C, 0), None: (ASK, 0)}
    second: dict[bool | None, tuple[Predicate, int]] = {
        True: (B, 2),
        False: (when("clicked", name="d"), 0),
        None: (judged("Is it?"), 0),
    }
    (left, left_bit), (right, right_bit) = leaves[one], second[other]
    bits: dict[When, int] = {**BITS, when("clicked", name="d"): 8}

    def decided(predicate: Predicate) -> bool | None:
        monitor = make_monitor(predicate, bits)
        state, _ = step(monitor, start(monitor), left_bit | right_bit, happen(0))
        return decide(monitor, state)

    known = {one, other}
    assert decided(left & right) is (False if False in known else None if None in known else True)
    assert decided(left | right) is (True if True in known else None if None in known else False)
    assert decided(~left) is (None if one is None else not one)


def test_what_a_world_cannot_witness_is_unknown_until_it_happens_all_the_same() -> None:
    monitor = make_monitor(CHANGED.count(2), {CHANGED: 1}, frozenset({"app_changed"}))
    state = start(monitor)
    assert decide(monitor, state) is None
    for event in witness(shop(), shop()):
        state, _ = step(monitor, state, 1, event)
    assert decide(monitor, state) is True
