"""The JSON Schema of specs, made from the tables that the reader uses, for editors and for other programs.

It describes the form: what entries there are and of which type. What a rule means (grounding, order, goals that
can be reached) only the reader checks.
"""

from typing import Any

from milepost.milestones.field_notation import OPTIONS
from milepost.milestones.kinds import FIELD_TYPES
from milepost.milestones.milestone import Component, Effect
from milepost.milestones.notation import FLAGS
from milepost.milestones.spec import VERSION

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_EXACT = {"$ref": "#/$defs/exact"}
_TEXT = {"type": "string"}
_TEST = {"$ref": "#/$defs/test"}
_PREDICATE = {"$ref": "#/$defs/predicate"}
_STEPS = {"type": "integer", "minimum": 0}
_JSON_TYPES = {str: "string", int: "integer", bool: "boolean"}


def write_schema() -> dict[str, Any]:
    """Give the JSON Schema of a spec."""
    return {
        "$schema": DIALECT,
        "title": "milepost spec",
        "description": "Milestones, forbidden things and the goal of a task.",
        **_object(
            {
                "version": {"const": VERSION},
                "milestones": {"type": "array", "items": {"$ref": "#/$defs/milestone"}},
                "forbidden": {"type": "array", "items": {"$ref": "#/$defs/forbidden"}},
                "goal": {"$ref": "#/$defs/goal"},
                "blind": {"type": "array", "items": {"enum": sorted(FIELD_TYPES)}},
            },
            "goal",
        ),
        "$defs": {
            "milestone": _milestone(),
            "forbidden": _forbidden(),
            "goal": _goal(),
            "predicate": _predicate(),
            "test": _test(),
            **{kind: _tests(kind) for kind in sorted(FIELD_TYPES)},
            "exact": {
                "description": "An exact number: an integer, or a decimal or a fraction as text.",
                "anyOf": [
                    {"type": "integer"},
                    {"type": "string"},
                    {"type": "number", "description": "YAML and JSON files only; its text counts."},
                ],
            },
        },
    }


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _milestone() -> dict[str, Any]:
    return _object(
        {
            "name": {"type": "string", "minLength": 1},
            "reward": _EXACT,
            "component": {"enum": [component.value for component in Component]},
            "when": _PREDICATE,
            "after": {"type": "array", "items": _TEXT},
            "within_steps": _STEPS,
            **{flag: {"type": "boolean"} for flag in FLAGS},
        },
        *("name", "reward", "when"),
    )


def _forbidden() -> dict[str, Any]:
    return _object(
        {
            "name": {"type": "string", "minLength": 1},
            "when": _PREDICATE,
            "until": _PREDICATE,
            "effect": {"enum": [effect.value for effect in Effect]},
            "cap": _EXACT,
        },
        *("name", "when"),
    )


def _goal() -> dict[str, Any]:
    return _object(
        {
            "when": _PREDICATE,
            "frame": {"type": "array", "items": _PREDICATE},
            "holds": {"type": "array", "items": _TEXT},
        },
        "when",
    )


def _predicate() -> dict[str, Any]:
    several = {"type": "array", "items": _PREDICATE, "minItems": 2}
    two = {**several, "maxItems": 2}
    long_forms = [
        _object({"when": {"const": kind}, "tests": {"$ref": f"#/$defs/{kind}"}}, "when")
        for kind in sorted(FIELD_TYPES)
    ]
    short_forms = [_object({kind: {"$ref": f"#/$defs/{kind}"}}, kind) for kind in sorted(FIELD_TYPES)]
    return {
        "anyOf": [
            *long_forms,
            *short_forms,
            _object({"all": several}, "all"),
            _object({"any": several, "least": {"type": "integer", "minimum": 1}}, "any"),
            _object({"not": _PREDICATE}, "not"),
            _object({"then": two, "within_steps": _STEPS}, "then"),
            _object(
                {"count": _PREDICATE, "times": {"type": "integer", "minimum": 1}, "distinct": _TEXT},
                *("count", "times"),
            ),
            _object({"until": two}, "until"),
            _object({"undone_by": two}, "undone_by"),
            _object({"judged": {"type": "string", "minLength": 1}}, "judged"),
        ]
    }


def _tests(kind: str) -> dict[str, Any]:
    """Describe the tests of a kind's fields; a plain value must have the field's own type."""
    properties = {}
    for name, hint in FIELD_TYPES[kind].items():
        plain = [{"type": _JSON_TYPES[hint]}] if hint in _JSON_TYPES else []
        properties[name] = {"anyOf": [*plain, _TEST]}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _test() -> dict[str, Any]:
    scalar = {"type": ["string", "integer", "boolean"]}
    entry = {"anyOf": [scalar, _TEST]}
    one_word: dict[str, Any] = {
        "eq": scalar,
        "one_of": {"type": "array", "items": scalar, "minItems": 1},
        "matches": {"type": "string", "format": "regex"},
        "text": {"type": "string", "minLength": 1},
        "number": _EXACT,
        "at_least": _EXACT,
        "at_most": _EXACT,
        "between": {"type": "array", "items": _EXACT, "minItems": 2, "maxItems": 2},
        "money": _EXACT,
        "file_path": _TEXT,
        "fields": {"type": "object", "additionalProperties": entry, "minProperties": 1},
        "items": {"type": "array", "items": entry, "minItems": 1},
    }
    options = [
        _object({word: _TEXT, **{name: {"type": _JSON_TYPES[t]} for name, t in taken.items()}}, word)
        for word, (_, taken) in OPTIONS.items()
    ]
    return {"anyOf": [*(_object({word: value}, word) for word, value in one_word.items()), *options]}
