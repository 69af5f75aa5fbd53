from milepost.envs.apps import words


def lists() -> dict[str, tuple[str, ...]]:
    return {name: value for name, value in vars(words).items() if name.isupper()}


def test_every_word_is_one_plain_capitalised_word() -> None:
    odd = [word for value in lists().values() for word in value if not (word.isalpha() and word.istitle())]
    assert odd == []


def test_no_list_repeats_a_word() -> None:
    assert [name for name, value in lists().items() if len(set(value)) != len(value)] == []


def test_the_vocabulary_is_small() -> None:
    assert len({word for value in lists().values() for word in value}) <= 200
