"""How long a run may take: minutes of wall time, or steps in the training environments."""

import math
import re
from dataclasses import dataclass

_FORM = re.compile(r"(\d+(?:\.\d+)?) ?(minutes|steps)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a run may take; one of the two is infinite."""

    seconds: float = math.inf
    steps: float = math.inf


def read_budget(text: str) -> Budget:
    """Read `13 minutes` or `20000 steps`.

    Raises:
        ValueError: it is neither, or nothing.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None or float(found[1]) == 0.0:
        raise ValueError(
            "expected a number of minutes or steps above 0, such as '13 minutes' or '20000 steps'"
        )
    amount = float(found[1])
    return Budget(seconds=60.0 * amount) if found[2] == "minutes" else Budget(steps=amount)
