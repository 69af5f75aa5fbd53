import pytest

from milepost.milestones.spec_error import SpecError, at, suggest


def test_the_nearest_known_word_is_named() -> None:
    assert suggest("clickd", ("clicked", "filled")) == "did you mean 'clicked'?"
    assert suggest("zzz", ("b", "a")) == "known are a, b"


def test_a_mistake_says_where_it_stands() -> None:
    with pytest.raises(SpecError) as refused, at("milestones", 2), at("when"):
        raise SpecError("no", "tests", "name")
    assert refused.value.path == ("milestones", 2, "when", "tests", "name")
    assert str(refused.value) == "no"
