"""EventSignup: find an event, fill in its form, send it and accept the browser's question."""

from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.bookings.scene import (
    Order,
    draw_events,
    draw_layout,
    fill_in,
    list_values,
    make_rules,
    make_task,
)
from milepost.envs.apps.moves import follow, press, take_first
from milepost.envs.task import Difficulty, Oracle, Split, Task, Template, choose, grade
from milepost.sandbox.actions import AcceptDialog, Action, DismissDialog
from milepost.sandbox.observation import Observation

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "register for {event} with {values}. Press {submit} and accept.",
        "sign up for {event}: {values}. Press {submit} and accept the question.",
        "register for the event {event} with {values}, press {submit} and accept.",
        "fill in the form of {event} with {values}. Then press {submit} and accept.",
        "open {event} and register with {values}. Press {submit} and accept the question.",
    ),
)
"""How the goal is put, by split."""


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    events = draw_events(rng, 3 + difficulty.distractors)
    layout = draw_layout(rng, difficulty, events)
    questions, event = layout.registration, events[0]
    person = f"{choose(rng, words.FIRST_NAMES)} {choose(rng, words.SURNAMES)}"
    values = {"name": person, "mail": names.make_address(person, choose(rng, names.DOMAINS))}
    values |= {q.key: choose(rng, q.options) for q in questions if q.options}
    wanted = {"event": event, **values}

    def make_oracle(order: Order) -> Oracle:
        def act(view: Observation) -> Action:
            on_form = view.find("heading", event) is not None
            missing = [move for move in fill_in(view, order(questions), wanted) if move is not None]
            if view.dialog is not None:
                return AcceptDialog() if on_form and not missing else DismissDialog()
            if view.find("status", layout.done):
                return take_first()
            if on_form:
                return take_first(*missing, press(view, "button", layout.submit))
            return take_first(follow(view, event, layout.events_title))

        return act

    goal = choose(rng, WORDINGS[split]).format(
        event=f'"{event}"', values=list_values(questions, wanted), submit=f'"{layout.submit}"'
    )
    if difficulty.hint:
        goal += f' It is one of the "{layout.events_title}".'
    spec = make_rules(layout, "event.registered", wanted, questions, native=True)
    return make_task(layout, goal, wanted, spec, make_oracle)


TEMPLATE = Template(
    id="EventSignup-v0",
    family="form",
    summary="Find an event, fill in its form, send it and accept the browser's question.",
    max_steps=14,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
