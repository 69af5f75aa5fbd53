"""Scenes: what the next thing to do is, and that the goal says it."""

import numpy as np
import pytest

from milepost.sandbox.actions import Click, Fill, SelectOption
from milepost.training.scenes import Page, Step, draw_choice, draw_clicks, draw_form, draw_search
from milepost.training.wordbook import build_wordbook

BOOK = build_wordbook()


def pages(kind: str, count: int = 200) -> list[tuple[str, Page]]:
    rng = np.random.default_rng(1)
    if kind == "form":
        return [draw_form(rng, BOOK, 1 + n % 5) for n in range(count)]
    if kind == "clicks":
        return [draw_clicks(rng, BOOK, 1 + n % 4) for n in range(count)]
    if kind == "choice":
        return [draw_choice(rng, BOOK, 1 + n % 4) for n in range(count)]
    return [draw_search(rng, BOOK) for _ in range(count)]


@pytest.mark.parametrize(
    ("role", "value", "action"),
    [
        ("button", "", Click("3")),
        ("textbox", "x", Fill("3", "x")),
        ("searchbox", "x", Fill("3", "x")),
        ("combobox", "x", SelectOption("3", "x")),
    ],
)
def test_a_step_is_done_by_the_action_for_its_role(role: str, value: str, action: object) -> None:
    assert Step(role=role, name="n", value=value).act("3") == action


@pytest.mark.parametrize("kind", ["form", "clicks", "choice", "search"])
def test_what_is_to_be_done_is_on_the_page_exactly_once(kind: str) -> None:
    for _, page in pages(kind):
        shown = [step for _, step in page.lines if step is page.target]
        assert len(shown) == (1 if page.target is not None else len(page.lines))


def test_a_form_is_filled_in_the_order_of_the_page() -> None:
    for goal, page in pages("form"):
        if page.target is None or not page.target.value:
            continue
        open_fields = [
            step
            for element, step in page.lines
            if step is not None and step.value and element.value != step.value and step.name in goal
        ]
        assert open_fields[0] is page.target
        assert page.target.value in goal


def test_a_forms_button_is_pressed_when_every_field_of_the_goal_is_filled() -> None:
    pressed = 0
    for goal, page in pages("form"):
        if page.modal or page.target is None or page.target.value or page.target.name not in goal:
            continue
        pressed += 1
        for element, step in page.lines:
            if step is not None and step.value and f"{step.name}" in goal and step.value in goal:
                assert element.value == step.value
    assert pressed > 20


def test_a_dialog_shows_the_agreeing_button_as_the_thing_to_press() -> None:
    dialogs = [page for _, page in pages("form", 400) if page.modal]
    assert len(dialogs) > 10
    for page in dialogs:
        assert page.target is not None
        assert page.target.name not in ("Cancel", "No", "Back", "Close", "Dismiss", "Discard", "Later")
        assert page.lines[0][0].role == "dialog"


def test_a_search_is_typed_then_sent_then_its_entry_opened() -> None:
    roles = {page.target.role for _, page in pages("search") if page.target is not None}
    assert roles == {"searchbox", "button", "link"}
    for goal, page in pages("search"):
        assert page.target is not None
        if page.target.role == "link":
            assert page.target.name in goal
            same = [e for e, _ in page.lines if e.role == "link" and e.name == page.target.name]
            assert len(same) == 1


def test_a_click_is_named_by_the_goal() -> None:
    for goal, page in pages("clicks"):
        assert page.target is not None
        assert page.target.said in goal
        assert page.target.name.endswith(page.target.said)


def test_a_choice_is_made_list_by_list_and_then_its_button_is_pressed() -> None:
    pressed = 0
    for goal, page in pages("choice"):
        lists = [
            (element, step) for element, step in page.lines if step is not None and step.role == "combobox"
        ]
        waiting = [step for element, step in lists if element.value != step.value]
        assert page.target is (waiting[0] if waiting else page.lines[-1][1])
        assert all(step.value in goal for _, step in lists)
        pressed += not waiting
    assert pressed > 40


def test_the_option_asked_for_stands_below_its_list() -> None:
    for _, page in pages("choice"):
        if page.target is None or page.target.role != "combobox":
            continue
        place = next(i for i, (_, step) in enumerate(page.lines) if step is page.target)
        below = [element.name for element, step in page.lines[place + 1 :] if step is None]
        assert page.target.value in below
