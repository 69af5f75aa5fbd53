import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milepost.milestones import (
    Goal,
    Spec,
    SpecError,
    all_of,
    fields,
    forbid,
    matches,
    milestone,
    number,
    text,
    when,
)
from milepost.milestones.spec_file import Place, fill_params, parse_spec, read_source, read_spec

YAML = """\
# An expense, sent once.
milestones:
  - name: filled
    reward: 0.2
    component: form
    when:
      all:
        - filled: {name: Amount, value: {number: 48.20}}
        - filled: {name: Merchant, value: {text: Blue Cab}}
  - name: asked
    reward: 3/10
    component: ui
    after: [filled]
    within_steps: 2
    when:
      then:
        - clicked: {role: button, name: "Yes"}
        - dialog_opened: {type: dialog}
forbidden:
  - name: twice
    when:
      count: {app_changed: {app: expenses}}
      times: 2
goal:
  when:
    app_changed: {app: expenses, data: {fields: {amount: {number: 48.2}, on: no}}}
  frame:
    - app_changed: {app: expenses}
"""

SENT = when("app_changed", app="expenses")
PYTHON = Spec(
    milestones=(
        milestone(
            "filled",
            reward="0.2",
            component="form",
            when=all_of(
                when("filled", name="Amount", value=number("48.20")),
                when("filled", name="Merchant", value=text("Blue Cab")),
            ),
        ),
        milestone(
            "asked",
            reward="0.3",
            component="ui",
            after=("filled",),
            within_steps=2,
            when=when("clicked", role="button", name="Yes").then(when("dialog_opened", type="dialog")),
        ),
    ),
    forbidden=(forbid("twice", when=SENT.count(2)),),
    goal=Goal(
        when=when("app_changed", app="expenses", data=fields(amount=number("48.2"), on="no")), frame=(SENT,)
    ),
)


def test_yaml_json_and_python_are_the_same_rules_with_the_same_digest() -> None:
    assert parse_spec(YAML) == PYTHON
    assert parse_spec(YAML).digest == PYTHON.digest == parse_spec(PYTHON.to_bytes().decode()).digest
    pretty = json.dumps(PYTHON.to_record(), indent="\t")
    assert parse_spec(pretty).digest == PYTHON.digest


def test_a_spec_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(YAML)
    assert read_spec(tmp_path / "spec.yaml") == PYTHON
    (tmp_path / "bad.yaml").write_bytes(b"\xff")
    with pytest.raises(SpecError, match="not UTF-8"):
        read_spec(tmp_path / "bad.yaml")


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("name: Amount", "nam: Amount", "s:8:20: filled has no field 'nam'; did you mean 'name'?"),
        ("role: button", "role: 5", "s:17:21: clicked.role is str; Eq(value=5) can never pass"),
        ("after: [filled]", "after: [fild]", "s:13:13: milestone 'asked': after names 'fild'"),
        ("after: [filled]", "after: filled", "s:13:5: after is a list, got str 'filled'"),
        ("reward: 0.2", "reward: zwei", "s:4:5: milestone 'filled': reward expects an exact number"),
        ("reward: 0.2", "reward: -1", "s:4:5: milestone 'filled': reward expects a positive amount"),
        ("- clicked:", "- clickd:", "s:17:11: a predicate is an object with one of"),
        (
            "component: ui",
            "component: u",
            "s:12:5: milestone 'asked': unknown component 'u'; did you mean 'ui'?",
        ),
        ("  frame:", "  frme:", "s:27:3: a goal has no entry 'frme'; did you mean 'frame'?"),
        ("milestones:", "milestons:", "s:2:1: a spec has no entry 'milestons'; did you mean 'milestones'?"),
        ("number: 48.20", "number: abc", "s:8:42: number expects a number"),
        ("times: 2", "times: two", "s:21:5: .count expects a whole number of at least 1, got 'two'"),
        ("name: asked", "name: filled", "s:10:5: two milestones are named 'filled'"),
        ("name: asked", "name:", "s:10:10: there is nothing here"),
        ("times: 2", "times: 2\n      times: 3", "s:24:7: the key 'times' is here twice"),
        (
            "times: 2",
            "times: !!python/name:os.system 2",
            "s:23:14: the tag tag:yaml.org,2002:python/name:os.system",
        ),
        ("[filled]", "&a [filled, *a]", "s:13:12: this is used twice by an alias"),
        ("[filled]", "[filled", "s:14:17: "),
        ("on: no", "<<: {a: b}", "merge keys are not part of a spec"),
        ("on: no", 'on: "\\ud800"', "half a character"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_column(right: str, wrong: str, message: str) -> None:
    assert right in YAML
    with pytest.raises(SpecError) as refused:
        parse_spec(YAML.replace(right, wrong, 1), "s")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", "s:1:1: a spec is an object, got an empty text"),
        ("[]", "a spec is an object of version 1, got []"),
        ("goal: " + "[" * 90 + "]" * 90, "s:1:67: nested too deep"),
        ("a: 1\n---\nb: 2", "s:2:1: "),
        ("x" * 1_000_001, "at most 1000000 characters"),
    ],
)
def test_what_is_no_spec_is_refused(written: str, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse_spec(written, "s")
    assert message in str(refused.value)


def test_only_true_and_false_are_booleans_and_numbers_keep_their_text() -> None:
    source = read_source("a: [true, false, yes, on, 007, 12, 1.50, 2026-01-05, '5', ~x]")
    assert source.data == {"a": [True, False, "yes", "on", "007", 12, "1.50", "2026-01-05", "5", "~x"]}
    assert source.locate(("a", 5)) == Place(1, 32)
    assert source.locate(("a", "b", "c")) == Place(1, 1)


def test_characters_that_json_writes_in_two_halves_are_read_as_one() -> None:
    assert read_source('{"a": "\\ud83d\\ude00"}').data == {"a": "\U0001f600"}


PARAMS: dict[str, Any] = {"item": "Oak Desk (2)", "qty": 3, "values": {"amount": "48.20"}}


@pytest.mark.parametrize(
    ("data", "filled"),
    [
        ("$item", "Oak Desk (2)"),
        ("$qty", 3),
        ("${values.amount} EUR", "48.20 EUR"),
        ("$qty of $$5", "3 of $5"),
        ({"matches": "Downloads/$item\\.csv"}, {"matches": r"Downloads/Oak\ Desk\ \(2\)\.csv"}),
        ([True, 5, "x"], [True, 5, "x"]),
    ],
)
def test_parameters_stand_for_their_values(data: Any, filled: Any) -> None:
    assert fill_params(data, PARAMS) == filled


def test_an_unknown_parameter_is_named_with_its_place() -> None:
    with pytest.raises(SpecError, match=r"s:1:\d+: no parameter 'itm'; did you mean 'item'"):
        parse_spec("goal: {when: {clicked: {name: $itm}}}", "s", PARAMS)
    with pytest.raises(SpecError, match="cannot stand inside a text"):
        fill_params("a $values", PARAMS)


def test_rules_with_parameters_are_the_rules_of_their_values() -> None:
    written = "goal: {when: {clicked: {name: {matches: 'Open $item'}}}}"
    expected = Spec(goal=Goal(when=when("clicked", name=matches(r"Open Oak\ Desk\ \(2\)"))))
    assert parse_spec(written, "s", PARAMS) == expected


@settings(max_examples=40)
@given(st.text(max_size=80) | st.integers(0, len(YAML)).map(lambda cut: YAML[:cut]))
def test_any_text_is_read_or_refused_with_a_message(written: str) -> None:
    with contextlib.suppress(SpecError):
        parse_spec(written)
