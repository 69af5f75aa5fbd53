from typing import Any

import pytest

from milepost.milestones import SpecError, all_of, any_of, judged, when
from milepost.milestones.predicates import AnyOf, Judged

A, B, C = (when("clicked", name=name) for name in "abc")


def test_some_of_several_parts_is_one_of_them_or_all_of_them_at_the_ends() -> None:
    assert any_of(1, A, B, C) == A | B | C
    assert any_of(3, A, B, C) == A & B & C == all_of(A, B, C)
    assert any_of(1, A) == A
    assert any_of(2, A, B, C) == AnyOf(of=(A, B, C), least=2)


def test_a_question_is_plain_data() -> None:
    assert judged("Is it polite?") == Judged(question="Is it polite?")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: any_of(0, A, B), "any_of expects a number from 1 to 2, that of its parts; got 0"),
        (lambda: any_of(3, A, B), "any_of expects a number from 1 to 2"),
        (lambda: any_of(True, A, B), "any_of expects a number from 1 to 2"),
        (lambda: any_of(1, A, "b"), "any_of expects predicates, got str 'b'"),  # type: ignore[arg-type]
        (lambda: AnyOf(of=(A, B), least=2), "use any_of(...)"),
        (lambda: judged(" "), "judged expects a question such as"),
    ],
)
def test_words_that_cannot_be_meant_are_refused(make: Any, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        make()
    assert message in str(refused.value)
