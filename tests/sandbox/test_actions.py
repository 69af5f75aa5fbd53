"""The closed union of actions."""

import dataclasses
import typing

from milepost.sandbox.actions import ACTION_TYPES, Action, DragAndDrop, name_verb


def test_verbs_are_the_names_of_the_classes() -> None:
    assert name_verb(DragAndDrop) == "drag_and_drop"
    assert list(ACTION_TYPES.values()) == list(typing.get_args(Action))


def test_every_action_says_what_it_does() -> None:
    assert all(cls.__doc__ and cls.__doc__.endswith(".") for cls in ACTION_TYPES.values())


def test_optional_arguments_of_mouse_and_tabs_are_keywords() -> None:
    optional = {f.name for cls in ACTION_TYPES.values() for f in dataclasses.fields(cls) if f.kw_only}
    assert optional == {"button", "modifiers", "url"}
