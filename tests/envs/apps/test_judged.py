"""The judged tasks: what their rules see, and what their labelled cases are worth."""

import json
from collections import Counter
from fractions import Fraction

import pytest

from milepost.envs.apps.drive.server import APP as DRIVE
from milepost.envs.apps.judged import copied, meant, recovery, summary, tone
from milepost.envs.apps.judged.labels import LABELS, Label, read_labels
from milepost.envs.apps.judged.variants import CASES
from milepost.envs.registry import get_template
from milepost.envs.task import Split, Task, Template
from milepost.milestones import Detection, score
from milepost.milestones.judge.confidence import Confidence
from milepost.milestones.judge.consensus import form_opinion
from milepost.milestones.judge.question import Finding, ask
from milepost.milestones.judge.rubric import TRUTH, JudgeReason
from milepost.milestones.judge.scripted import hear, reply_to
from milepost.milestones.judge.verdict import read_reply
from milepost.milestones.trace import list_open, total_ruled
from milepost.sandbox.events import AnswerGiven, AppChanged, ElementAppeared, Fact, NavigationCompleted
from tests.envs.apps.conftest import visit, witness

TEMPLATES = [m.TEMPLATE for m in (summary, copied, meant, recovery, tone)]
each = pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.id)
LETTERS = [copied.TEMPLATE, tone.TEMPLATE]
LABELLED = read_labels()


def detect(task: Task, *facts: Fact) -> Detection:
    return score(task.spec, witness(*facts)).goal.detection


def changed(change: str, app: str, **data: str) -> AppChanged:
    return AppChanged(app=app, change=change, data=data)


def test_there_is_a_task_for_every_reason_to_ask_a_judge() -> None:
    rubrics = [template.task(0).rubric for template in TEMPLATES]
    assert {rubric.reason for rubric in rubrics if rubric is not None} == set(JudgeReason)


@each
def test_rules_pay_half_or_more_and_leave_the_rest_to_a_judge_who_is_told_what_is_right(
    template: Template,
) -> None:
    task = template.task(3)
    assert list_open(task.spec) == ("settled", "goal")
    assert total_ruled(task.spec) >= Fraction(1, 2)
    assert task.rubric is not None
    assert task.truth


def test_a_summary_is_asked_about_after_both_periods_were_looked_at() -> None:
    task = summary.TEMPLATE.task(0)
    page = f"http://insight.acme.test/boards/{task.params['board'].lower().replace(' ', '-')}"
    first, second = (
        NavigationCompleted(tab=0, url=f"{page}?period={period.replace(' ', '%20')}")
        for period in task.params["periods"]
    )
    said = AnswerGiven(text="It rose.")
    assert detect(task, NavigationCompleted(tab=0, url=page), second, said) is Detection.UNINSTRUMENTED
    assert detect(task, first, second, said) is Detection.UNINSTRUMENTED
    assert detect(task, first, said) is Detection.NOT_FIRED
    assert detect(task, second, said) is Detection.NOT_FIRED
    assert detect(task, said, first, second) is Detection.NOT_FIRED


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (("1,200", "900"), "Costs fell from 1,200 last month to 900 this month."),
        (("900", "1,200"), "Costs rose from 900 last month to 1,200 this month."),
        (("900", "900"), "Costs stayed at 900 from last month to this month."),
    ],
)
def test_a_change_is_described_as_it_was(values: tuple[str, str], sentence: str) -> None:
    before, after = zip(("Last month", "This month"), values, strict=True)
    assert summary.describe_change("Costs", before, after) == sentence


def test_an_invoice_of_the_company_must_be_opened_before_the_answer() -> None:
    task = meant.TEMPLATE.task(0)
    own, void = (changed("entry.opened", "finder", id=task.params[k], title="") for k in ("id", "void"))
    other = changed("entry.opened", "finder", id="1", title="")
    said = AnswerGiven(text=task.params["id"])
    assert detect(task, own, said) is Detection.UNINSTRUMENTED
    # Which of them was meant is what the judge is asked.
    assert detect(task, void, said) is Detection.UNINSTRUMENTED
    assert detect(task, other, said) is Detection.NOT_FIRED
    assert detect(task, said) is Detection.NOT_FIRED


@pytest.mark.parametrize("template", LETTERS, ids=lambda template: template.id)
def test_a_letter_is_asked_about_when_it_went_to_the_right_person(template: Template) -> None:
    task = template.task(0)
    kind, message = ("reply", task.params["message"]) if template is tone.TEMPLATE else ("new", "")
    site = visit(task, "mail.acme.test")
    answer = site.get(f"/compose?reply={message}" if message else "/compose")
    subject = (
        task.params.get("subject") or answer.text.split('name="subject"')[1].split('value="')[1].split('"')[0]
    )
    right = {
        "to": task.params["to"],
        "subject": subject,
        "text": "Hello",
        "files": "",
        "kind": kind,
        "message": message,
    }
    banners = [
        ElementAppeared(tab=0, role="status", name=n)
        for n in ("Message sent", "Your mail was sent", "Mail sent")
    ]
    assert detect(task, changed("mail.sent", "mail", **right), *banners) is Detection.UNINSTRUMENTED
    for wrong in ({"to": "eve@acme.test"}, {"subject": "x"}, {"files": "a.csv 00"}):
        assert detect(task, changed("mail.sent", "mail", **right | wrong), *banners) is Detection.NOT_FIRED


def test_the_first_page_of_a_file_opens_a_dialog_once() -> None:
    task = recovery.TEMPLATE.task(0)
    assert task.sites["drive.acme.test"].app == DRIVE
    site = visit(task)
    page = next(
        f"/folders/{task.params['folder']}/files/d{n}"
        for n in range(100, 1000)
        if task.params["file"] in site.get(f"/folders/{task.params['folder']}/files/d{n}").text
    )
    fresh = visit(task)
    opening = f'[data-open="{task.params["way"]}"]\').click()'
    assert opening not in fresh.get("/").text
    first, second = fresh.get(page), fresh.get(page)
    assert (opening in first.text, opening in second.text) == (True, False)
    assert int(first.headers["content-length"]) == len(first.body)


def test_the_cases_are_those_that_were_declared() -> None:
    made = Counter((label.task, label.case, label.made) for label in LABELLED)
    assert made == {(task, v.case, v.made): 3 for task, variants in CASES.items() for v in variants}
    assert {label.made for label in LABELLED} == {"oracle", "corruption", "hand"}
    stored = [json.loads(line) for line in LABELS.read_text().splitlines()]
    assert [json.loads(json.dumps(label.to_record())) for label in LABELLED] == stored


@pytest.mark.parametrize("label", LABELLED, ids=lambda label: f"{label.task}-{label.seed}-{label.case}")
def test_a_labelled_case_is_of_its_task_and_an_honest_judge_can_say_so(label: Label) -> None:
    task = get_template(label.task).task(label.seed, Split(label.split))
    rubric = task.rubric
    assert rubric is not None
    assert label.pack.goal == task.goal
    shown = [json.loads(item.data)["text"] for item in label.pack.items if item.kind == TRUTH]
    assert shown == list(task.truth)
    findings = {c.id: label.findings.get(c.id, Finding.NOT_MET) for c in rubric.criteria}
    assert set(label.findings) <= set(findings)
    question = ask(label.pack, rubric, nonce="n")
    said = {
        c.text: (findings[c.id].value, tuple(i.id for i in label.pack.items if i.kind in c.evidence)[-1:])
        for c in rubric.criteria
    }
    reply = reply_to(hear({"messages": question.messages}), said)
    opinion = form_opinion(rubric, {"a": read_reply(question, reply)}, confidence=Confidence())
    decisive = [findings[c.id] is Finding.MET for c in rubric.criteria if c.decisive]
    assert bool(opinion.value) is all(decisive)
