"""VisitorPass: fill in a form of three steps, look it over, send it and confirm."""

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
from milepost.envs.apps.moves import follow, press, shows_text, take_first
from milepost.envs.task import Difficulty, Oracle, Split, Task, Template, choose, grade
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "request a pass with {values}. Press {submit} and then {confirm}.",
        "request a visitor pass: {values}. Press {submit} and answer {confirm}.",
        "get a pass for a visitor with {values}. Press {submit}, then {confirm}.",
        "make a visitor pass with {values}, press {submit} and then {confirm}.",
        "fill in the form for a pass with {values}. Press {submit} and answer {confirm}.",
    ),
)
"""How the goal is put, by split."""


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    layout = draw_layout(rng, difficulty, draw_events(rng, 4))
    steps = (layout.visitor, layout.visit)
    questions = (*layout.visitor, *layout.visit)
    wanted = {
        "visitor": f"{choose(rng, words.FIRST_NAMES)} {choose(rng, words.SURNAMES)}",
        "company": f"{choose(rng, words.COLORS)} {choose(rng, words.SHOPS)}",
        **{question.key: choose(rng, question.options) for question in layout.visit},
    }
    lines = [f"{question.label}: {wanted[question.key]}" for question in questions]

    def make_oracle(order: Order) -> Oracle:
        def act(view: Observation) -> Action:
            right = all(shows_text(view, line) for line in lines)
            if view.element("dialog"):
                return take_first(press(view, "button", layout.confirm if right else layout.cancel))
            if view.find("status", layout.done):
                return take_first()
            for number, asked in enumerate(steps, start=1):
                if view.find("heading", f"{layout.passes_title}: step {number} of 3"):
                    return take_first(*fill_in(view, order(asked), wanted), press(view, "button", "Next"))
            if view.find("heading", f"{layout.passes_title}: step 3 of 3"):
                send = press(view, "button", layout.submit)
                return take_first(send if right else follow(view, "Start again"))
            return take_first(follow(view, layout.passes_title))

        return act

    goal = choose(rng, WORDINGS[split]).format(
        values=list_values(questions, wanted), submit=f'"{layout.submit}"', confirm=f'"{layout.confirm}"'
    )
    if difficulty.hint:
        goal += f' Begin with "{layout.passes_title}".'
    spec = make_rules(layout, "pass.requested", wanted, questions, native=False)
    return make_task(layout, goal, wanted, spec, make_oracle)


TEMPLATE = Template(
    id="VisitorPass-v0",
    family="form",
    summary="Fill in a form of three steps, look it over, send it and confirm.",
    max_steps=15,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
