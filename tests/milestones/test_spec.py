import hashlib
import pickle
from fractions import Fraction
from typing import Any

import orjson
import pytest

from milepost.milestones import Goal, Spec, SpecError, fold, forbid, milestone, when
from tests.milestones.conftest import ORACLE, witness

A = when("clicked", name="A")
GOAL = Goal(when=A)


def test_a_spec_is_the_same_after_being_written_and_read(expense_spec: Spec) -> None:
    read = Spec.from_bytes(expense_spec.to_bytes())
    assert read == expense_spec
    assert read.to_bytes() == expense_spec.to_bytes()
    assert read.digest == expense_spec.digest == hashlib.sha256(expense_spec.to_bytes()).hexdigest()
    assert fold(read, witness(*ORACLE)) == fold(expense_spec, witness(*ORACLE))


def test_a_spec_survives_pickling_even_after_use(expense_spec: Spec) -> None:
    fold(expense_spec, witness(*ORACLE))
    copy = pickle.loads(pickle.dumps(expense_spec))
    assert copy == expense_spec
    assert fold(copy, witness(*ORACLE)) == fold(expense_spec, witness(*ORACLE))


def test_the_bytes_are_canonical() -> None:
    spec = Spec(milestones=(milestone("m", reward="0.50", when=A),), goal=GOAL)
    assert spec.to_bytes() == (
        b'{"forbidden":[],"goal":{"frame":[],"when":{"tests":{"name":{"eq":"A"}},"when":"clicked"}},'
        b'"milestones":[{"after":[],"component":"goal","name":"m","reward":"0.5",'
        b'"when":{"tests":{"name":{"eq":"A"}},"when":"clicked"}}],"version":1}'
    )


def test_other_rules_have_another_digest(expense_spec: Spec) -> None:
    record = orjson.loads(expense_spec.to_bytes())
    record["milestones"][0]["reward"] = "0.3"
    assert Spec.from_record(record).digest != expense_spec.digest


def test_the_total_is_exact() -> None:
    spec = Spec(milestones=tuple(milestone(f"m{i}", reward="0.1", when=A) for i in range(10)), goal=GOAL)
    assert spec.total == 1
    assert Spec(goal=GOAL).total == Fraction(0)


def rule(name: str, *after: str) -> Any:
    return milestone(name, reward=1, when=A, after=after)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Spec(milestones=(rule("a"), rule("a")), goal=GOAL), "two milestones are named 'a'"),
        (lambda: Spec(forbidden=(forbid("a", when=A),) * 2, goal=GOAL), "two forbidden rules are named 'a'"),
        (
            lambda: Spec(milestones=(rule("opened"), rule("b", "openned")), goal=GOAL),
            "milestone 'b': after names 'openned', which is not a milestone; did you mean 'opened'?",
        ),
        (
            lambda: Spec(milestones=(rule("a", "b"), rule("b", "a")), goal=GOAL),
            "milestones wait for each other: ",
        ),
        (lambda: Spec(milestones=(rule("a", "a"),), goal=GOAL), "milestones wait for each other: a after a"),
        (lambda: Spec(milestones=rule("a"), goal=GOAL), "milestones expects a tuple, got Milestone"),
        (lambda: Spec.from_bytes(b"{"), "a spec is JSON, got something else"),
        (lambda: Spec.from_bytes(b"[]"), "a spec is an object of version 1, got []"),
        (lambda: Spec.from_bytes(b'{"version":2}'), "a spec is an object of version 1, got {'version': 2}"),
        (lambda: Spec.from_bytes(b"{}"), "a spec lacks 'goal'"),
        (
            lambda: Spec.from_bytes(b'{"goal":{},"milestons":[]}'),
            "no entry 'milestons'; did you mean 'milestones'?",
        ),
        (
            lambda: Spec.from_bytes(b'{"goal":{"when":{"when":"clicked"}},"milestones":5}'),
            "milestones is a list, got int 5",
        ),
        (
            lambda: Spec.from_bytes(b'{"goal":{"when":' + b'{"all":[' * 500 + b"1" + b",1]}" * 500 + b"}}"),
            "a spec nests its predicates a few levels deep",
        ),
    ],
)
def test_rules_that_do_not_hold_together_are_refused(make: Any, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        make()
    assert message in str(refused.value)


def test_a_stored_rule_is_checked_like_a_new_one() -> None:
    ungrounded = b'{"goal":{"when":{"when":"element_appeared"}}}'
    with pytest.raises(SpecError, match="rests only on what the page"):
        Spec.from_bytes(ungrounded)
