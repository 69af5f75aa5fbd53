"""RoomBooking: choose a room, fill in the booking in a dialog, and confirm it in another."""

from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.bookings.scene import (
    TIMES,
    Order,
    draw_events,
    draw_layout,
    fill_in,
    list_values,
    make_rules,
    make_task,
)
from milepost.envs.apps.bookings.server import Room
from milepost.envs.apps.moves import follow, press, shows_text, take_first
from milepost.envs.task import Difficulty, Oracle, Split, Task, Template, choose, grade
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "book {room} with {values}. Press {submit} and then {confirm}.",
        "book {room}: {values}. Press {submit} and answer {confirm}.",
        "get {room} with {values}. Press {submit}, then {confirm}.",
        "make a booking of {room} with {values}, press {submit} and then {confirm}.",
        "fill in a booking of {room} with {values}. Press {submit} and answer {confirm}.",
    ),
)
"""How the goal is put, by split; `room` is a name, or where the difficulty says so, a description."""


def _draw_room(rng: np.random.Generator, rooms: tuple[Room, ...], hint: bool) -> tuple[Room, str]:
    room = choose(rng, rooms)
    if hint:
        return room, f'the room "{room.name}"'
    # The smallest that is large enough: no other has a number of seats between.
    smaller = max((one.seats for one in rooms if one.seats < room.seats), default=room.seats - 1)
    return room, f'the smallest room for at least "{int(rng.integers(smaller + 1, room.seats + 1))}" people'


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    layout = draw_layout(rng, difficulty, draw_events(rng, 4))
    questions = layout.booking
    room, words_for_room = _draw_room(rng, layout.rooms, difficulty.hint)
    free = [(day, time) for day in names.DAYS for time in TIMES if (day, time) not in room.taken]
    day, time = choose(rng, free)
    wanted = {
        "room": room.name,
        "day": day,
        "time": time,
        "people": str(int(rng.integers(1, room.seats + 1))),
    }
    lines = [room.name, *(f"{q.label}: {wanted[q.key]}" for q in questions)]

    def make_oracle(order: Order) -> Oracle:
        def act(view: Observation) -> Action:
            dialog = view.element("dialog")
            if dialog is not None and dialog.name == layout.question:
                right = all(shows_text(view, line) for line in lines)
                return take_first(press(view, "button", layout.confirm if right else layout.cancel))
            if dialog is not None and dialog.name == f"Book {room.name}":
                moves = fill_in(view, order(questions), wanted)
                return take_first(*moves, press(view, "button", layout.submit))
            if dialog is not None:
                return take_first(press(view, "button", "Close"))
            if view.find("status", layout.done):
                return take_first()
            return take_first(press(view, "button", f"Book {room.name}"), follow(view, layout.rooms_title))

        return act

    goal = choose(rng, WORDINGS[split]).format(
        room=words_for_room,
        values=list_values(questions, wanted),
        submit=f'"{layout.submit}"',
        confirm=f'"{layout.confirm}"',
    )
    spec = make_rules(layout, "room.booked", wanted, questions, native=False)
    return make_task(layout, goal, wanted, spec, make_oracle)


TEMPLATE = Template(
    id="RoomBooking-v0",
    family="form",
    summary="Choose a room, fill in the booking in a dialog and confirm it in another.",
    max_steps=14,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
