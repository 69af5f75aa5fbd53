"""What was raised is told in a line: what, and where."""

import json
from pathlib import Path

import jinja2

from milepost.sandbox.failure import describe_fault


def test_what_was_raised_is_told_with_its_place() -> None:
    try:
        json.loads("{")
    except ValueError as error:
        said = describe_fault(error)
    assert said.startswith("JSONDecodeError: Expecting property name")
    assert said.endswith("(sandbox/test_failure.py, line 13, in test_what_was_raised_is_told_with_its_place)")


def test_a_page_is_the_place_where_it_broke() -> None:
    pages = jinja2.Environment(
        loader=jinja2.DictLoader({"a.html": "<p>\n{{ x.y }}"}), undefined=jinja2.StrictUndefined
    )
    try:
        pages.get_template("a.html").render()
    except jinja2.UndefinedError as error:
        said = describe_fault(error)
    assert said == "UndefinedError: 'x' is undefined (<template>, line 2, in top-level template code)"


def test_the_place_can_be_asked_of_a_folder() -> None:
    try:
        json.loads("{")
    except ValueError as error:
        said = describe_fault(error, Path(json.__file__).parent)
    assert "(json/decoder.py, line " in said


def test_what_was_never_raised_has_no_place() -> None:
    assert describe_fault(KeyError("rom")) == "KeyError: 'rom'"
