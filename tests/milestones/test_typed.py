import pytest

from milepost.milestones import date, file_path, money, phone
from milepost.milestones.operators import Test

CASES: list[tuple[Test, object, bool]] = [
    (money("48.20 EUR"), "€48,20", True),
    (money("48.20 EUR"), "48.20", True),
    (money("48.20 EUR"), "$48.20", False),
    (money("48.20"), "$48.20", True),
    (money("48.20"), "48.21", False),
    (money(5), 5, True),
    (money("5"), "five", False),
    (date("2026-01-05"), "Jan 5, 2026", True),
    (date("2026-01-05"), "2026-01-06", False),
    (date("2026-01-05"), "05/01/2026", False),
    (date("2026-01-05", first="day"), "05/01/2026", True),
    (date("2026-01-05", until="2026-01-07"), "7.1.2026", True),
    (date("2026-01-05", until="2026-01-07"), "8.1.2026", False),
    (phone("+49 30 1234567"), "004930 123 4567", True),
    (phone("+49 30 1234567"), "030 1234567", False),
    (phone("+49 30 1234567", country="49"), "030 1234567", True),
    (phone("555 0199"), "555-0199 x2", False),
    (file_path("Downloads/q3.csv"), "./Downloads/q3.csv", True),
    (file_path("Downloads/q3.csv"), "Downloads/../Downloads/q3.csv", False),
    (file_path("Downloads/q3.csv"), "Downloads/Q3.csv", False),
    (file_path("Downloads/q3.csv"), 5, False),
]


@pytest.mark.parametrize(("test", "value", "accepted"), CASES)
def test_a_value_passes_or_not(test: Test, value: object, accepted: bool) -> None:
    assert test.accepts(value) is accepted
