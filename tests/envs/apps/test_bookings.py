import json
from fractions import Fraction
from urllib.parse import urlencode

import pytest

from milepost.envs.apps.bookings import registration, room, visitor
from milepost.envs.apps.bookings.server import Question, ask_mail, find_errors, name_event
from milepost.envs.task import Task, Template
from milepost.sandbox.events import AppChanged, Clicked, DialogOpened
from tests.envs.apps.conftest import find_banner, find_wanted, is_worthless, judge, visit

CHANGES = {
    registration.TEMPLATE.id: "event.registered",
    room.TEMPLATE.id: "room.booked",
    visitor.TEMPLATE.id: "pass.requested",
}
TEMPLATES = (registration.TEMPLATE, room.TEMPLATE, visitor.TEMPLATE)
each = pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.id)


def filed(template: Template, task: Task, **different: str) -> AppChanged:
    data = find_wanted(task, CHANGES[template.id]) | different
    return AppChanged(app="bookings", change=CHANGES[template.id], data=data)


@each
def test_filing_the_right_form_reaches_the_goal(template: Template) -> None:
    task = template.task(0)
    assert judge(task, filed(template, task), find_banner(task)) == ({"filed": Fraction(1, 2)}, True)
    assert judge(task, filed(template, task)) == ({}, False)
    assert judge(task, find_banner(task)) == ({}, False)


@each
def test_a_wrong_value_ends_the_matter(template: Template) -> None:
    task = template.task(1)
    for key in find_wanted(task, CHANGES[template.id]):
        wrong = filed(template, task, **{key: "other"})
        assert is_worthless(task, wrong, filed(template, task), find_banner(task)), key


@each
def test_asking_back_pays_only_after_every_field(template: Template) -> None:
    task = template.task(0)
    captions = ("Submit", "Send", "Continue", "Book now")
    questions = ("Is this correct?", "Send this now?", "File this request?")
    clicks = [Clicked(tab=0, role="button", name=caption) for caption in captions]
    asked = [DialogOpened(tab=0, type=t, message=q) for t in ("confirm", "dialog") for q in questions]
    assert judge(task, *clicks, *asked) == ({}, False)


def test_values_are_checked_by_the_server() -> None:
    asked = (ask_mail("Email"), Question(key="ticket", label="Ticket", options=("Guest", "Press")))
    assert find_errors(asked, {"mail": "ada@acme.test", "ticket": "Guest"}) == {}
    assert find_errors(asked, {"mail": "ada", "ticket": "Nobody"}) == {
        "mail": "Enter an address such as ada@acme.test",
        "ticket": "This field is required",
    }


def test_a_registration_with_errors_is_shown_again_and_records_nothing() -> None:
    task = registration.TEMPLATE.task(0)
    site, path = visit(task), f"/events/{name_event(task.params['event'])}"
    assert "Please check the form" in site.post(path, b"name=Ada&mail=nobody").text
    assert site.records == []
    right = {key: value for key, value in task.params.items() if key != "event"}
    assert site.post(path, urlencode(right).encode()).status == 303
    assert site.records == [("event.registered", dict(task.params))]


def test_a_room_takes_no_more_people_than_it_has_seats_and_no_second_booking() -> None:
    task = room.TEMPLATE.task(0)
    site = visit(task)
    path = f"/api/rooms/{task.params['room']}"
    right = {key: value for key, value in task.params.items() if key != "room"}
    assert (
        "seats" in json.loads(site.post(path, json.dumps(right | {"people": "99"}).encode()).text)["people"]
    )
    assert site.post(f"{path}?check=1", json.dumps(right).encode()).status == 200
    assert site.records == []
    assert site.post(path, json.dumps(right).encode()).status == 200
    assert "is taken" in json.loads(site.post(path, json.dumps(right).encode()).text)["time"]
    assert site.records == [("room.booked", dict(task.params))]
    assert site.post("/api/rooms/none", b"{}").status == 404


def test_the_smallest_room_that_is_large_enough_is_meant() -> None:
    for seed in range(20):
        task = room.TEMPLATE.at("hard").task(seed)
        least = int(task.goal.split('at least "')[1].split('"')[0])
        rooms = {r["name"]: r["seats"] for r in json.loads(visit(task).get("/api/rooms").text)}
        fitting = [(seats, name) for name, seats in rooms.items() if seats >= least]
        assert min(fitting)[1] == task.params["room"]


def test_a_pass_goes_through_its_steps_in_order() -> None:
    task = visitor.TEMPLATE.task(0)
    site = visit(task)
    assert site.get("/passes/review").status == 303
    assert site.post("/api/passes", b"").status == 422
    assert "step 1 of 3" in site.post("/passes", b"visitor=Ada").text
    form = urlencode(task.params).encode()
    assert site.post("/passes", form).headers["location"] == "/passes/visit"
    assert "step 2 of 3" in site.post("/passes/visit", b"host=Nobody").text
    assert site.post("/passes/visit", form).headers["location"] == "/passes/review"
    assert all(value in site.get("/passes/review").text for value in task.params.values())
    assert site.post("/api/passes", b"").status == 200
    assert site.records == [("pass.requested", dict(task.params))]
    assert site.post("/api/passes", b"").status == 422
