"""What was raised is told in a line: what, and where."""

import json
from pathlib import Path

import jinja2
import pytest

from milepost.sandbox.failure import describe_fault


def test_what_was_raised_is_told_with_its_place() -> None:
    with pytest.raises(ValueError, match="Expecting property name") as caught:
        json.loads("{")
    said = describe_fault(caught.value)
    assert said.startswith("JSONDecodeError: Expecting property name")
    assert said.endswith("(sandbox/test_failure.py, line 14, in test_what_was_raised_is_told_with_its_place)")


def test_a_page_is_the_place_where_it_broke() -> None:
    pages = jinja2.Environment(
        loader=jinja2.DictLoader({"a.html": "<p>\n{{ x.y }}"}), undefined=jinja2.StrictUndefined
    )
    with pytest.raises(jinja2.UndefinedError) as caught:
        pages.get_template("a.html").render()
    said = describe_fault(caught.value)
    assert said == "UndefinedError: 'x' is undefined (<template>, line 2, in top-level template code)"


def test_the_place_can_be_asked_of_a_folder() -> None:
    with pytest.raises(ValueError, match="Expecting property name") as caught:
        json.loads("{")
    assert "(json/decoder.py, line " in describe_fault(caught.value, Path(json.__file__).parent)


def test_what_was_never_raised_has_no_place() -> None:
    assert describe_fault(KeyError("rom")) == "KeyError: 'rom'"
