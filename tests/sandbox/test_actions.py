"""Text to action and back."""

import contextlib
import dataclasses
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.sandbox.actions import (
    ACTION_TYPES,
    Action,
    ActionError,
    Click,
    Fill,
    Noop,
    Scroll,
    action_from_tool_call,
    parse_action,
    render_action,
    signature,
    tool_schemas,
)

VALUES = {str: st.text(max_size=40), int: st.integers(-10_000, 10_000)}


@st.composite
def actions(draw: st.DrawFn) -> Action:
    cls = draw(st.sampled_from(sorted(ACTION_TYPES.values(), key=lambda c: c.__name__)))
    hints = typing.get_type_hints(cls)
    values = {f.name: draw(VALUES[hints[f.name]]) for f in dataclasses.fields(cls)}
    return typing.cast(Action, cls(**values))


@given(actions())
def test_every_action_survives_a_round_trip_through_text(action: Action) -> None:
    assert parse_action(render_action(action)) == action


@given(actions())
def test_every_action_survives_a_round_trip_through_a_tool_call(action: Action) -> None:
    verb = next(v for v, cls in ACTION_TYPES.items() if cls is type(action))
    arguments = {f.name: getattr(action, f.name) for f in dataclasses.fields(action)}
    assert action_from_tool_call(verb, arguments) == action


@given(st.text(max_size=200))
def test_any_text_gives_an_action_or_an_action_error(text: str) -> None:
    with contextlib.suppress(ActionError):
        assert isinstance(parse_action(text), tuple(ACTION_TYPES.values()))


def test_words_around_a_call_are_ignored() -> None:
    assert parse_action('I will press the button now: click("12"). Done.') == Click("12")


def test_a_number_is_taken_for_an_element_id() -> None:
    assert parse_action("click(12)") == Click("12")


def test_a_parenthesis_inside_a_string_does_not_end_the_call() -> None:
    assert parse_action('fill("3", "a) b(\\" c")') == Fill("3", 'a) b(" c')


def test_keyword_arguments_work() -> None:
    assert parse_action("scroll(dy=200, dx=0)") == Scroll(0, 200)


def test_defaults_may_be_left_out() -> None:
    assert parse_action("noop()") == Noop(0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no action found in ''; expected a call such as click(\"12\")"),
        ("tap(3)", "unknown action 'tap'; expected one of accept_dialog, answer, "),
        ('click("1"', "unfinished call 'click(\"1\"'; expected click(element)"),
        ("click()", "click lacks 'element'; expected click(element)"),
        ("click(1, 2, 3)", "click takes 1 arguments, got 3; expected click(element)"),
        ("click(open('x'))", "click: element must be a plain value; expected click(element)"),
        ("click(x=1)", "click got an unexpected or repeated argument 'x'; expected click(element)"),
        ("noop('a')", "noop: ms must be int, got str"),
        ("fill('1', None)", "fill: text must be str, got NoneType"),
        ("fill(1, 2 3)", "cannot read 'fill(1, 2 3)'; expected fill(element, text)"),
    ],
)
def test_a_wrong_call_says_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(ActionError) as caught:
        parse_action(text)
    assert message in str(caught.value)


def test_an_endless_text_is_refused() -> None:
    with pytest.raises(ActionError, match="100001 characters"):
        parse_action("x" * 100_001)


def test_tool_schemas_name_every_verb_with_its_parameters() -> None:
    functions = {s["function"]["name"]: s["function"] for s in tool_schemas()}  # type: ignore[index]
    assert functions.keys() == ACTION_TYPES.keys()
    assert functions["fill"]["parameters"]["required"] == ["element", "text"]  # type: ignore[index]
    assert functions["noop"]["parameters"]["properties"] == {"ms": {"type": "integer"}}  # type: ignore[index]


def test_signatures_show_defaults() -> None:
    assert signature("noop") == "noop(ms=0)"
