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
    Answer,
    Back,
    Click,
    Fill,
    Noop,
    Scroll,
    SelectOption,
)
from milepost.sandbox.dialect import (
    ActionError,
    action_from_tool_call,
    parse_action,
    parse_actions,
    render_action,
    signature,
    tool_schemas,
)
from tests.sandbox.strategies import actions

TEXTS = st.text(max_size=40)


@given(actions(TEXTS))
def test_every_action_survives_a_round_trip_through_text(action: Action) -> None:
    assert parse_action(render_action(action)) == action


@given(actions(TEXTS))
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


def test_prose_that_looks_like_a_call_is_skipped_when_a_real_one_follows() -> None:
    assert parse_action('First I check (again) the form, then click("12")') == Click("12")


def test_arguments_that_everybody_expects_are_left_out() -> None:
    assert render_action(Click("3")) == 'click("3")'
    assert render_action(Click("3", modifiers=("Shift",))) == 'click("3", modifiers=["Shift"])'
    assert parse_action('click("3", "right", ["Shift"])') == Click("3", button="right", modifiers=("Shift",))


@pytest.mark.parametrize(("text", "action"), [("go_back()", Back()), ("send_msg_to_user(3)", Answer("3"))])
def test_other_names_of_verbs_are_understood(text: str, action: Action) -> None:
    assert parse_action(text) == action


def test_an_answer_may_be_any_json() -> None:
    assert parse_action('answer({"total": 3, "items": ["a"]})') == Answer('{"items":["a"],"total":3}')
    assert action_from_tool_call("answer", {"text": [1, 2]}) == Answer("[1,2]")
    with pytest.raises(ActionError, match="text or JSON, got"):
        parse_action("answer({1: {2}})")


def test_several_options_are_a_list() -> None:
    assert parse_action('select_option("4", ["A", "B"])') == SelectOption("4", ("A", "B"))
    with pytest.raises(ActionError, match="option must be str or a list of str, got list"):
        parse_action('select_option("4", [1, "B"])')


def test_several_calls_are_read_in_order_up_to_a_limit() -> None:
    text = 'fill("1", "a)") then click(2)'
    assert parse_actions(text, limit=2) == (Fill("1", "a)"), Click("2"))
    with pytest.raises(ActionError, match="2 actions in one message; at most 1"):
        parse_actions(text, limit=1)


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
        ('click("1"', 'unfinished call \'click("1"\'; expected click(element, button="left", modifiers=[])'),
        ("click()", "click lacks 'element'; expected click(element, button=\"left\", modifiers=[])"),
        (
            "click(1, 2, [], 4)",
            'click takes 3 arguments, got 4; expected click(element, button="left", modifiers=[])',
        ),
        (
            "click(open('x'))",
            'click: element must be a plain value; expected click(element, button="left", modifiers=[])',
        ),
        (
            "click(x=1)",
            "click got an unexpected or repeated argument 'x'; expected click(element, button=\"left\", modifiers=[])",
        ),
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


def test_tool_schemas_come_in_both_styles() -> None:
    wrapped, plain = tool_schemas("openai"), tool_schemas("anthropic")
    for one, other in zip(wrapped, plain, strict=True):
        function = typing.cast(dict[str, object], one["function"])
        assert other["name"] == function["name"]
        assert other["input_schema"] == function["parameters"]
    choice = next(tool for tool in plain if tool["name"] == "select_option")
    assert typing.cast(dict[str, dict[str, object]], choice["input_schema"])["properties"]["option"] == {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
    }


def test_signatures_show_defaults() -> None:
    assert signature("noop") == "noop(ms=0)"
