import numpy as np

from milepost.envs.apps.names import draw_companies, draw_people, make_address, mix


def test_the_first_people_share_a_given_name_and_a_family_name() -> None:
    people = [name.split() for name in draw_people(np.random.default_rng(0), 6)]
    assert people[0][0] == people[1][0]
    assert people[0][1] == people[2][1]
    assert len({" ".join(person) for person in people}) == 6


def test_the_first_companies_share_words() -> None:
    companies = [name.split() for name in draw_companies(np.random.default_rng(0), 14)]
    assert companies[0][0] == companies[1][0]
    assert companies[0][1] == companies[2][1]
    assert len({" ".join(company) for company in companies}) == 14


def test_an_address_is_made_of_a_name() -> None:
    assert make_address("Ada Smith", "acme.test") == "ada.smith@acme.test"


def test_mixing_loses_nothing() -> None:
    assert sorted(mix(np.random.default_rng(0), ["b", "a", "c"])) == ["a", "b", "c"]
