import json
from fractions import Fraction
from urllib.parse import urlencode

import pytest

from milepost.envs.apps.preferences import channels, notifications, profile, security
from milepost.envs.apps.preferences.scene import HOST
from milepost.envs.task import Task, Template
from milepost.sandbox.actions import Click
from milepost.sandbox.events import AppChanged, NavigationCompleted, TitleChanged, Toggled
from milepost.sandbox.observation import Observation, parse_tree
from tests.envs.apps.conftest import find_banner, find_wanted, judge, visit

TEMPLATES = (notifications.TEMPLATE, channels.TEMPLATE, profile.TEMPLATE, security.TEMPLATE)
each = pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.id)


def wanted(task: Task) -> dict[str, str]:
    return find_wanted(task, "settings.saved")


def saved(**state: str) -> AppChanged:
    return AppChanged(app="preferences", change="settings.saved", data=state)


@each
def test_the_right_state_with_its_banner_reaches_the_goal(template: Template) -> None:
    task = template.task(0)
    assert judge(task, saved(**wanted(task)), find_banner(task)) == ({"saved": Fraction(1, 2)}, True)


@each
def test_a_banner_or_a_state_alone_is_worth_nothing(template: Template) -> None:
    task = template.task(1)
    assert judge(task, find_banner(task)) == ({}, False)
    assert judge(task, saved(**wanted(task))) == ({}, False)


@each
def test_a_wrong_state_is_made_good_and_another_panel_is_not(template: Template) -> None:
    task = template.task(2)
    right = wanted(task)
    assert judge(task, saved(**right | {"on": "x"}), saved(**right), find_banner(task))[1]
    assert not judge(task, saved(panel="privacy", on=""), saved(**right), find_banner(task))[1]


def test_opening_the_panel_takes_its_page_and_its_title() -> None:
    task = notifications.TEMPLATE.task(0)
    loaded = NavigationCompleted(tab=0, url=f"http://{HOST}/settings/notifications")
    brands = ("Account", "My profile", "Harbor", "Relay", "Beacon")
    titles = [TitleChanged(tab=0, title=f"{task.params['panel']} - {brand}") for brand in brands]
    assert judge(task, loaded) == ({}, False)
    assert judge(task, *titles) == ({}, False)
    assert judge(task, loaded, *titles) == ({"opened": Fraction(1, 4)}, False)


def test_every_wanted_switch_must_be_turned_the_right_way() -> None:
    task = next(t for t in map(notifications.TEMPLATE.task, range(20)) if len(t.params["turned"]) == 2)
    turns = [Toggled(tab=0, role="switch", name=k, checked=v) for k, v in task.params["turned"].items()]
    wrong = [Toggled(tab=0, role="switch", name=t.name, checked=not t.checked) for t in turns]
    assert judge(task, *turns[:1], *wrong) == ({}, False)
    assert judge(task, *turns) == ({"switched": Fraction(1, 4)}, False)


@each
def test_the_site_records_what_was_saved(template: Template) -> None:
    task = template.task(3)
    right = wanted(task)
    site = visit(task)
    form = {label: "on" for label in right["on"].split(", ") if label}
    form |= {key: value for key, value in right.items() if key not in ("panel", "on")}
    assert site.post(f"/settings/{right['panel']}", urlencode(form).encode()).status == 303
    assert site.records == [("settings.saved", right)]
    if template is channels.TEMPLATE:
        assert sorted(json.loads(site.get("/api/settings/channels").text)["on"]) == sorted(form)


def test_an_empty_field_is_refused_and_saves_nothing() -> None:
    site = visit(profile.TEMPLATE.task(0))
    answer = site.post("/settings/profile", b"name=&city=")
    assert "This field is required" in answer.text
    assert site.records == []


def test_a_panel_that_there_is_not_is_not_found() -> None:
    site = visit(profile.TEMPLATE.task(0))
    assert [site.get(f"/{path}/none").status for path in ("settings", "sections", "api/settings")] == [
        404
    ] * 3


def test_the_oracle_cancels_a_question_about_a_switch_that_stays() -> None:
    task = security.TEMPLATE.task(0)
    (turned,) = task.params["turned"].items()
    word = "on" if turned[1] else "off"

    def ask(question: str) -> Observation:
        tree = f'[1] dialog "{question}"\n [2] button "Cancel"\n [3] button "Confirm"'
        return Observation(goal="", url="", title="", elements=parse_tree(tree))

    assert task.oracle(ask("Turn on something else?")) == Click("2")
    assert task.oracle(ask(f"Turn {word} {turned[0].lower()}?")) == Click("3")
