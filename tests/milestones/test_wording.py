import pytest

from milepost.milestones import (
    Predicate,
    at_least,
    at_most,
    fields,
    matches,
    number,
    one_of,
    text,
    url,
    when,
)
from milepost.milestones.wording import describe

A, B = when("clicked", name="A"), when("filled")


@pytest.mark.parametrize(
    ("predicate", "words"),
    [
        (A, "when('clicked', name='A')"),
        (A & ~B, "(when('clicked', name='A') & ~when('filled'))"),
        (B | B.count(2), "(when('filled') | when('filled').count(2))"),
        (A.then(B), "when('clicked', name='A').then(when('filled'))"),
        (
            when("filled", name=text("X"), value=number("48.20")),
            "when('filled', name=text('X'), value=number('48.2'))",
        ),
        (
            when("file_created", path=matches("a.*"), size=at_least(1)),
            "when('file_created', path=matches('a.*'), size=at_least('1'))",
        ),
        (when("responded", status=at_most(299)), "when('responded', status=at_most('299'))"),
        (when("clicked", role=one_of("link", "button")), "when('clicked', role=one_of('link', 'button'))"),
        (
            when("requested", url=url("http://a.test/", ignore_query=True)),
            "when('requested', url=url('http://a.test/', ignore_query=True))",
        ),
        (when("app_changed", data=fields(a="1")), "when('app_changed', data=fields(a='1'))"),
    ],
)
def test_a_predicate_is_said_in_the_words_it_was_written_in(predicate: Predicate, words: str) -> None:
    assert describe(predicate) == words
