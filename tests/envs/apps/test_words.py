import numpy as np
import pytest

from milepost.envs.apps import words
from milepost.envs.task import Split


def lists() -> dict[str, tuple[str, ...]]:
    return {name: value for name, value in vars(words).items() if name.isupper()}


def test_every_word_is_one_plain_capitalised_word() -> None:
    odd = [word for value in lists().values() for word in value if not (word.isalpha() and word.istitle())]
    assert odd == []


def test_no_list_repeats_a_word() -> None:
    assert [name for name, value in lists().items() if len(set(value)) != len(value)] == []


def test_the_vocabulary_is_small() -> None:
    assert len({word for value in lists().values() for word in value}) <= 200


WORDINGS = {
    Split.TRAIN: ("Open {room}.",),
    Split.VALIDATION: ("Find {room}.",),
    Split.TEST: ("Go to {rom} now.",),
}


def test_a_goal_has_its_values_in_quotes() -> None:
    wordings = {**WORDINGS, Split.TEST: ("Go to {room} on {day}.",)}
    goal = words.put_goal(np.random.default_rng(0), wordings, Split.TEST, room="Blue {Hall}", day=3)
    assert goal == 'Go to "Blue {Hall}" on "3".'


def test_a_misspelt_name_in_the_wording_of_any_split_is_told_with_the_nearest() -> None:
    message = r"the wording 'Go to \{rom\} now\.' has an unknown name \{rom\}; did you mean \{room\}\?"
    with pytest.raises(words.WordingError, match=message):
        words.put_goal(np.random.default_rng(0), WORDINGS, Split.TRAIN, room="Hall", day="Monday")
    with pytest.raises(words.WordingError, match=r"unknown name \{room\}; known are day, place$"):
        words.put_goal(np.random.default_rng(0), WORDINGS, Split.TRAIN, day="Monday", place="Hall")
