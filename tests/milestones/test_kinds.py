import pytest

from milepost.milestones import SpecError, eq, file_path, items, money
from milepost.milestones.kinds import FIELD_TYPES, check_distinct, check_field, check_kind, check_test
from milepost.milestones.trust import BOOKKEEPING, TRUST_OF_KIND


def test_every_kind_that_a_rule_may_look_at_has_its_fields() -> None:
    assert set(FIELD_TYPES) == set(TRUST_OF_KIND)
    assert FIELD_TYPES["toggled"] == {"tab": int, "role": str, "name": str, "checked": bool}


@pytest.mark.parametrize("kind", sorted(BOOKKEEPING))
def test_no_rule_can_rest_on_what_happens_anyway(kind: str) -> None:
    with pytest.raises(SpecError, match="happens anyway"):
        check_kind(kind)


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="did you mean 'file_created'"):
        check_kind("file_create")
    with pytest.raises(SpecError, match="did you mean 'sha256'"):
        check_field("file_created", "sha")


def test_a_test_must_fit_its_field() -> None:
    check_test("file_created", "path", file_path("a"))
    check_test("filled", "value", money("5"))
    for test in (file_path("a"), items("a")):
        with pytest.raises(SpecError, match=r"file_created\.size is int"):
            check_test("file_created", "size", test)
    with pytest.raises(SpecError, match="a mapping: use fields"):
        check_test("app_changed", "data", eq("x"))


@pytest.mark.parametrize(("kind", "path"), [("clicked", "name"), ("app_changed", "data.sku")])
def test_distinct_names_a_single_value(kind: str, path: str) -> None:
    check_distinct(kind, path)


@pytest.mark.parametrize(
    ("kind", "path", "message"),
    [
        ("clicked", "nam", "did you mean 'name'"),
        ("clicked", "name.first", "no single value of clicked"),
        ("app_changed", "data", "no single value of app_changed"),
    ],
)
def test_distinct_refuses_the_rest(kind: str, path: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        check_distinct(kind, path)
