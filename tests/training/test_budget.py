import math

import pytest

from milepost.training.budget import Budget, read_budget


def test_a_budget_is_minutes_or_steps() -> None:
    assert read_budget("13 minutes") == Budget(seconds=780.0, steps=math.inf)
    assert read_budget("0.5minutes") == Budget(seconds=30.0, steps=math.inf)
    assert read_budget(" 20000 steps") == Budget(seconds=math.inf, steps=20_000.0)


@pytest.mark.parametrize(
    "text", ["", "13", "minutes", "0 minutes", "-1 steps", "13 hours", "13 minutes 5 steps"]
)
def test_anything_else_is_no_budget(text: str) -> None:
    with pytest.raises(ValueError, match="such as '13 minutes' or '20000 steps'"):
        read_budget(text)
