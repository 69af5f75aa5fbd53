"""Any action at all, for properties that hold for every one."""

import dataclasses
import typing

from hypothesis import strategies as st

from milepost.sandbox.actions import ACTION_TYPES, Action


@st.composite
def actions(draw: st.DrawFn, texts: st.SearchStrategy[str], ids: tuple[str, ...] = ()) -> Action:
    """Draw an action with these texts in it; half of the time its element is one of the ids, if there are any."""
    several = st.lists(texts, max_size=3).map(tuple)
    values: dict[object, st.SearchStrategy[object]] = {
        str: texts,
        int: st.integers(-10_000, 10_000),
        tuple[str, ...]: several,
        str | tuple[str, ...]: st.one_of(texts, several),
    }
    cls = draw(st.sampled_from(sorted(ACTION_TYPES.values(), key=lambda c: c.__name__)))
    hints = typing.get_type_hints(cls)
    drawn = {f.name: draw(values[hints[f.name]]) for f in dataclasses.fields(cls)}
    if ids and "element" in drawn and draw(st.booleans()):
        drawn["element"] = draw(st.sampled_from(ids))
    return typing.cast(Action, cls(**drawn))
