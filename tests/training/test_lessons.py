"""Lessons: real observations with one right action."""

import dataclasses

import numpy as np
import pytest

from milepost.sandbox.actions import AcceptDialog
from milepost.sandbox.dialect import parse_action, render_action
from milepost.sandbox.observation import parse_tree
from milepost.training.lessons import Difficulty, Lesson, draw_lesson
from milepost.training.wordbook import build_wordbook

BOOK = build_wordbook()


def lessons(difficulty: Difficulty, count: int = 200, seed: int = 0) -> list[Lesson]:
    rng = np.random.default_rng(seed)
    return [draw_lesson(rng, BOOK, difficulty) for _ in range(count)]


HARD = Difficulty(elements=25, steps=5)


def test_a_lesson_follows_from_its_seed() -> None:
    assert lessons(HARD, 20) == lessons(HARD, 20)
    assert lessons(HARD, 20) != lessons(HARD, 20, seed=1)


def test_the_element_of_the_action_is_on_the_page() -> None:
    for lesson in lessons(HARD):
        if isinstance(lesson.action, AcceptDialog):
            assert lesson.observation.dialog is not None
        else:
            ids = [e.id for e in lesson.observation.elements]
            assert ids.count(lesson.action.element) == 1  # type: ignore[union-attr]


def test_no_two_elements_share_an_id_and_ids_are_tokens_of_their_own() -> None:
    for lesson in lessons(HARD):
        ids = [e.id for e in lesson.observation.elements if e.id]
        assert len(set(ids)) == len(ids)
        assert all(1 <= int(i) < 400 for i in ids)


def test_the_page_is_one_a_browser_could_show() -> None:
    for lesson in lessons(HARD):
        assert parse_tree(lesson.observation.tree) == lesson.observation.elements


def test_the_last_action_is_one_the_dialect_knows() -> None:
    taken = [lesson.observation.last_action for lesson in lessons(HARD) if lesson.observation.last_action]
    assert len(taken) > 50
    assert [render_action(parse_action(text)) for text in taken] == taken


@pytest.mark.parametrize("elements", [3, 8, 25])
def test_pages_are_about_as_long_as_asked(elements: int) -> None:
    sizes = [len(x.observation.elements) for x in lessons(Difficulty(elements=elements))]
    assert np.mean(sizes) < elements + 3
    assert max(sizes) >= elements


def test_plain_lessons_have_ids_that_cannot_be_guessed_from_the_place() -> None:
    pages = [x.observation.elements for x in lessons(Difficulty(elements=6, plain=True))]
    in_order = [[e.id for e in page] == [str(1 + i) for i in range(len(page))] for page in pages]
    assert np.mean(in_order) < 0.1


def test_plain_lessons_are_short() -> None:
    for lesson in lessons(Difficulty(elements=3, plain=True), 100):
        assert len(lesson.observation.goal.split()) <= 10
        assert all(len(e.name.split()) <= 2 for e in lesson.observation.elements)


def test_a_lesson_is_a_fact_that_cannot_change() -> None:
    (lesson,) = lessons(HARD, 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        lesson.action = AcceptDialog()  # type: ignore[misc]
