"""What the tasks of the front desk share: what can be booked, the rules of a form, and moves in it."""

import functools
from collections.abc import Callable, Mapping

import numpy as np

from milepost.envs.apps import names
from milepost.envs.apps.bookings.server import APP, Layout, Question, Room, ask_count, ask_mail, build
from milepost.envs.apps.detours import by_keyboard
from milepost.envs.apps.moves import enter, pick, switch
from milepost.envs.apps.pages import draw_look
from milepost.envs.task import Difficulty, Oracle, Task
from milepost.milestones import Goal, Predicate, Spec, all_of, fields, forbid, milestone, text, when
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import Site

HOST = "desk.acme.test"

TIMES = ("9 am", "10 am", "11 am", "2 pm", "3 pm", "4 pm")
"""When a room can be booked."""

_BRANDS = ("Front desk", "Reception", "Lobby", "Concierge", "Foyer")
_TREES = ("Maple", "Cedar", "Birch", "Willow", "Aspen", "Juniper", "Linden", "Hazel", "Rowan", "Alder")
_FLOORS = ("First floor", "Second floor", "Third floor")
_TICKETS = ("Guest", "Member", "Student", "Speaker", "Press")
_MEALS = ("Vegetarian", "Vegan", "Chicken", "Fish")
_REASONS = ("Meeting", "Interview", "Delivery", "Repair", "Tour")
_EVENT_KINDS = ("workshop", "meetup", "lecture", "lunch")


def _draw_rooms(rng: np.random.Generator, count: int) -> tuple[Room, ...]:
    trees = names.mix(rng, list(_TREES))[:count]
    seats = [int(number) for number in rng.permutation(np.arange(4, 30))[:count]]
    slots = [(day, time) for day in names.DAYS for time in TIMES]
    return tuple(
        Room(
            name=name,
            seats=number,
            floor=names.draw_one(rng, *_FLOORS),
            taken=tuple(slots[int(index)] for index in rng.permutation(len(slots))[:6]),
        )
        for name, number in zip(trees, seats, strict=True)
    )


def draw_events(rng: np.random.Generator, count: int) -> list[str]:
    """Draw events; the first shares a word with each of the next two."""
    topics = names.mix(rng, list(names.TOPICS))
    kinds = names.mix(rng, list(_EVENT_KINDS))
    events = [f"{topics[0]} {kinds[0]}", f"{topics[1]} {kinds[0]}", f"{topics[0]} {kinds[1]}"]
    events += [f"{topics[i]} {kinds[i % 4]}" for i in range(2, count)]
    return events[:count]


def _draw_registration(rng: np.random.Generator, depth: int) -> tuple[Question, ...]:
    tickets = tuple(names.mix(rng, list(_TICKETS))[:3])
    meals = tuple(names.mix(rng, list(_MEALS))[:3])
    asked = [
        Question(key="name", label=names.draw_one(rng, "Full name", "Name", "Participant")),
        ask_mail(names.draw_one(rng, "Email", "Mail address")),
        Question(key="ticket", label=names.draw_one(rng, "Ticket", "Kind of ticket"), options=tickets),
        Question(key="meal", label=names.draw_one(rng, "Lunch", "Meal"), options=meals),
    ]
    return tuple(asked[: 2 + depth])


def draw_layout(rng: np.random.Generator, difficulty: Difficulty, events: list[str]) -> Layout:
    """Draw the site."""
    hosts = tuple(names.draw_people(rng, 3 + difficulty.distractors // 2))
    confirm, cancel = (("Confirm", "Cancel"), ("Yes", "No"), ("Confirm", "Back"))[int(rng.integers(3))]
    return Layout(
        look=draw_look(rng, _BRANDS),
        home=names.draw_one(rng, "Welcome", "Start", "Home"),
        events=tuple(names.mix(rng, events)),
        events_title=names.draw_one(rng, "Events", "Courses", "Calendar"),
        registration=_draw_registration(rng, difficulty.depth),
        rooms=_draw_rooms(rng, 3 + difficulty.distractors),
        rooms_title=names.draw_one(rng, "Rooms", "Meeting rooms"),
        booking=(
            Question(key="day", label=names.draw_one(rng, "Day", "Date"), options=names.DAYS),
            Question(key="time", label=names.draw_one(rng, "Time", "From"), options=TIMES),
            ask_count(names.draw_one(rng, "People", "Guests", "Seats needed"), 99),
        ),
        passes_title=names.draw_one(rng, "Visitors", "Visitor passes"),
        visitor=(
            Question(key="visitor", label=names.draw_one(rng, "Visitor", "Guest", "Visitor name")),
            Question(key="company", label=names.draw_one(rng, "Company", "From company")),
        ),
        visit=(
            Question(key="host", label=names.draw_one(rng, "Host", "Employee"), options=hosts),
            Question(key="date", label=names.draw_one(rng, "Visit day", "Day of visit"), options=names.DAYS),
            *([Question(key="reason", label="Reason", options=_REASONS)] if difficulty.depth > 1 else []),
        ),
        submit=names.draw_one(rng, "Submit", "Send", "Continue", "Book now"),
        question=names.draw_one(rng, "Is this correct?", "Send this now?", "File this request?"),
        confirm=confirm,
        cancel=cancel,
        done=names.draw_one(rng, "All set", "Your request was filed", "Confirmed"),
    )


def was_entered(question: Question, value: str) -> Predicate:
    """Say that a question of a form was answered."""
    if question.key == "ticket":
        return when("toggled", name=value, checked=True)
    return when("selected" if question.options else "filled", name=question.label, value=text(value))


def make_rules(
    layout: Layout, change: str, wanted: Mapping[str, str], questions: tuple[Question, ...], *, native: bool
) -> Spec:
    """Make the rules of a form: filled in, asked back, filed.

    Args:
        layout: the site.
        change: what the server records when the form is filed.
        wanted: what is to be filed.
        questions: what is asked.
        native: whether the browser asks back (`confirm`) or a dialog of the page.
    """
    entered = [was_entered(question, wanted[question.key]) for question in questions]
    pressed = when("clicked", role="button", name=layout.submit)
    asked = pressed & when("dialog_opened", type="confirm" if native else "dialog", message=layout.question)
    any_filed = when("app_changed", app=APP, change=change)
    filed = when(
        "app_changed",
        app=APP,
        change=change,
        data=fields(**{key: text(value) for key, value in wanted.items()}),
    )
    shown = when("element_appeared", role="status", name=layout.done)
    return Spec(
        milestones=(
            milestone("filled", reward="0.2", component="form", when=all_of(*entered)),
            milestone("asked", reward="0.3", component="ui", when=asked, after=("filled",)),
            milestone("filed", reward="0.5", component="goal", when=filed & shown),
        ),
        # What was filed cannot be taken back, so a wrong form ends the matter.
        forbidden=(forbid("wrong form", when=any_filed & ~filed),),
        goal=Goal(when=filed & shown, frame=(filed,)),
    )


def fill_in(
    view: Observation, questions: tuple[Question, ...], wanted: Mapping[str, str]
) -> list[Action | None]:
    """Give the moves that answer what is asked on a page."""
    moves: list[Action | None] = []
    for question in questions:
        value = wanted[question.key]
        if question.key == "ticket":
            moves.append(switch(view, "radio", value, True))
        elif question.options:
            moves.append(pick(view, question.label, value))
        else:
            moves.append(enter(view, question.label, value))
    return moves


Order = Callable[[tuple[Question, ...]], tuple[Question, ...]]
"""In which order the questions of a page are answered."""


def _as_asked(questions: tuple[Question, ...]) -> tuple[Question, ...]:
    return questions


def _from_last(questions: tuple[Question, ...]) -> tuple[Question, ...]:
    return questions[::-1]


def make_task(
    layout: Layout,
    goal: str,
    params: Mapping[str, object],
    spec: Spec,
    make_oracle: Callable[[Order], Oracle],
) -> Task:
    """Make a task on the site; its oracle is made of the order in which to answer the questions of a page."""
    oracle = make_oracle(_as_asked)
    return Task(
        goal=goal,
        params=params,
        start_url=f"http://{HOST}/",
        sites={HOST: Site(app=APP, build=functools.partial(build, layout))},
        spec=spec,
        oracle=oracle,
        alternatives={"by keyboard": by_keyboard(oracle), "last question first": make_oracle(_from_last)},
    )


def list_values(questions: tuple[Question, ...], wanted: Mapping[str, str]) -> str:
    """Put values for a goal: `"Name" "Ada Smith", "Ticket" "Guest"`."""
    return ", ".join(f'"{question.label}" "{wanted[question.key]}"' for question in questions)
