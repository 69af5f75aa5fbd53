import json
from collections.abc import Mapping
from fractions import Fraction

import pytest

from milepost.envs.apps.mail import compose, forward, reply, sheet
from milepost.envs.apps.mail.server import digest
from milepost.envs.task import Task, Template
from milepost.sandbox.events import AppChanged, Fact, FileCreated, FileMoved, Filled
from tests.envs.apps.conftest import Visit, find_banner, find_wanted, is_worthless, judge, visit

TEMPLATES = (compose.TEMPLATE, reply.TEMPLATE, forward.TEMPLATE, sheet.TEMPLATE)
each = pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.id)


def letter(task: Task) -> dict[str, str]:
    """The record of the right message; where its text is left open, the total of the sheet."""
    return {"text": task.params.get("total", ""), **find_wanted(task, "mail.sent")}


def changed(change: str, **data: str) -> AppChanged:
    return AppChanged(app="mail", change=change, data=data)


def sent(task: Task, **different: str) -> tuple[Fact, ...]:
    return changed("mail.sent", **letter(task) | different), find_banner(task)


@each
def test_the_right_message_reaches_the_goal(template: Template) -> None:
    task = template.task(0)
    assert judge(task, *sent(task)) == ({"sent": Fraction(1)}, True)


@each
@pytest.mark.parametrize(
    "different",
    [{"to": "eve@acme.test"}, {"subject": "Hello"}, {"files": ""}, {"files": "a.csv 00, b.csv 11"}],
    ids=lambda different: next(iter(different)),
)
def test_a_wrong_message_ends_the_matter(template: Template, different: Mapping[str, str]) -> None:
    task = template.task(1)
    assert is_worthless(task, *sent(task, **different))
    assert is_worthless(task, *sent(task, **different), *sent(task))


@each
def test_sending_twice_pays_once(template: Template) -> None:
    task = template.task(2)
    assert judge(task, *sent(task), *sent(task))[0] == {"sent": Fraction(1)}


def test_the_total_alone_is_written_and_not_every_number() -> None:
    task = sheet.TEMPLATE.task(0)
    total = task.params["total"]
    for text in (f"Total: {total}", total.replace(",", ""), f"It is ${total}."):
        assert judge(task, *sent(task, text=text))[1]
    for text in ("", f"{total} or 12", f"1{total}"):
        assert not judge(task, *sent(task, text=text))[1]


def test_attaching_the_right_file_pays_and_another_of_its_name_does_not() -> None:
    task = compose.TEMPLATE.task(0)
    name, sha256 = letter(task)["files"].split()
    assert judge(task, changed("file.attached", name=name, sha256="0" * 64)) == ({}, False)
    right = changed("file.attached", name=name, sha256=sha256)
    assert judge(task, right, right) == ({"attached": Fraction(1, 2)}, False)


def test_an_editor_pays_when_it_is_open_and_addressed() -> None:
    task = compose.TEMPLATE.task(0)
    opened = changed("draft.opened", kind="new", message="")
    fields = [
        Filled(tab=0, role="textbox", name=label, value=value)
        for value in (task.params["to"], task.params["subject"])
        for label in ("To", "Recipient", "Subject", "About")
    ]
    assert judge(task, *fields) == ({}, False)
    assert judge(task, opened, *fields[:4]) == ({}, False)
    assert judge(task, opened, *fields) == ({"addressed": Fraction(1, 4)}, False)


@each
def test_touching_the_files_misses_the_goal(template: Template) -> None:
    task = template.task(0)
    moved = FileMoved(path="b.csv", previous="a.csv", sha256="0")
    made = FileCreated(path="made.csv", size=3, sha256="0")
    assert not judge(task, moved, *sent(task))[1]
    assert not judge(task, made, *sent(task))[1]


def post(site: Visit, path: str, **values: str) -> int:
    return site.post(path, json.dumps(values).encode()).status


def test_a_new_message_is_checked_and_sent_with_its_files() -> None:
    site = visit(compose.TEMPLATE.task(0))
    site.get("/compose")
    assert json.loads(site.post("/drafts/0/files?name=a.csv", b"1").text) == ["a.csv"]
    assert json.loads(site.post("/drafts/0/files?name=b.csv", b"2").text) == ["a.csv", "b.csv"]
    assert json.loads(site.post("/drafts/0/removed?name=b.csv", b"").text) == ["a.csv"]
    assert post(site, "/drafts/0/send", to="nobody", subject="x") == 422
    assert post(site, "/drafts/0/send", to="ada@acme.test", subject="") == 422
    assert post(site, "/drafts/0/send", to="ada@acme.test", subject="x", text=" Hi ") == 200
    assert site.records[-1] == (
        "mail.sent",
        {
            "to": "ada@acme.test",
            "subject": "x",
            "text": "Hi",
            "files": f"a.csv {digest(b'1')}",
            "kind": "new",
            "message": "",
        },
    )
    assert "ada@acme.test" in site.get("/sent").text


def test_a_forwarded_file_is_the_one_that_came() -> None:
    task = forward.TEMPLATE.task(0)
    site, message = visit(task), task.params["message"]
    assert f"Add {task.params['file']}" in site.get(f"/compose?forward={message}").text
    site.post("/drafts/0/forwarded", b"")
    assert site.records[-1][1]["name"] == task.params["file"]
    assert f"{task.params['file']} {site.records[-1][1]['sha256']}" == letter(task)["files"]


def test_what_there_is_not_is_not_found() -> None:
    site = visit(reply.TEMPLATE.task(0))
    for path in ("/messages/0", "/compose?reply=0"):
        assert site.get(path).status == 404
    for path in (
        "/drafts/7/send",
        "/drafts/7/files?name=a",
        "/drafts/7/removed?name=a",
        "/drafts/7/forwarded",
    ):
        assert site.post(path, b"x").status == 404
