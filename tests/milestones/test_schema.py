import json
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

from milepost.envs.registry import get_template, templates
from milepost.milestones import Spec
from milepost.milestones.field_notation import OPTIONS, READERS
from milepost.milestones.schema import write_schema
from milepost.milestones.spec_file import read_source
from tests.milestones.test_field_notation import TESTS
from tests.milestones.test_spec_file import YAML

PUBLISHED = Path(__file__).parents[2] / "docs/spec.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(write_schema())


def is_valid(record: Any) -> bool:
    return bool(VALIDATOR.is_valid(record))


def test_the_schema_is_one_and_is_published_as_it_is() -> None:
    jsonschema.Draft202012Validator.check_schema(write_schema())
    assert json.loads(PUBLISHED.read_text()) == write_schema()


@pytest.mark.parametrize("row", templates(), ids=lambda row: row.id)
def test_the_rules_of_every_task_fit_the_schema(row: Any) -> None:
    assert is_valid(get_template(row.id).task(0).spec.to_record())


def test_what_is_written_in_yaml_fits_the_schema(expense_spec: Spec) -> None:
    assert is_valid(read_source(YAML).data)
    assert is_valid(expense_spec.to_record())


def test_every_test_of_a_field_is_described() -> None:
    described = {next(iter(form["required"])) for form in write_schema()["$defs"]["test"]["anyOf"]}
    assert described == {*READERS, *OPTIONS}
    for _, record in TESTS:
        assert is_valid({"goal": {"when": {"app_changed": {"data": {"fields": {"x": record}}}}}})


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("goal",), None),
        (("goal", "wen"), {}),
        (("goal", "when"), {"clickd": {}}),
        (("goal", "when"), {"clicked": {"nam": "x"}}),
        (("goal", "when"), {"clicked": {"name": 5}}),
        (("goal", "when"), {"clicked": {"name": {"equals": "x"}}}),
        (("goal", "when"), {"all": [{"clicked": {}}]}),
        (("milestones", 0, "component"), "web"),
        (("milestones", 0, "within_steps"), -1),
        (("milestones", 0, "holds"), "yes"),
        (("forbidden", 0, "effect"), "fine"),
        (("version",), 2),
        (("blind",), ["episode_ended"]),
    ],
)
def test_what_the_reader_refuses_for_its_form_the_schema_refuses_too(
    expense_spec: Spec, where: tuple[Any, ...], value: Any
) -> None:
    record = orjson.loads(expense_spec.to_bytes())
    place = record
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    assert not is_valid(record)
