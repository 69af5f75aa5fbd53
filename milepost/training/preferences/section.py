"""The section of a configuration that chooses the preference loop."""

import difflib
import re
from dataclasses import replace
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from milepost.training.preferences.method import METHODS, Form, Method, Reference, Schedule, Source
from milepost.training.preferences.pairs import Pairing

SYNC_EVERY = 5
"""Iterations between updates of the copy that plays, where `semi_online` stands alone."""


def read_schedule(text: str) -> tuple[Schedule, int]:
    """Read a schedule and the iterations after which the copy that plays takes the policy's weights.

    Raises:
        ValueError: there is no such schedule, or a number where none belongs.
    """
    name, at, number = text.partition("@")
    is_known = name in list(Schedule) and (not at or name == Schedule.SEMI_ONLINE)
    if not is_known or (at and not re.fullmatch(r"0*[1-9]\d*", number)):
        raise ValueError("expected 'offline', 'online', 'continuous', or 'semi_online@N' with N of 1 or more")
    return Schedule(name), int(number) if at else SYNC_EVERY


def _check_schedule(text: str) -> str:
    read_schedule(text)
    return text


class PreferenceSection(BaseModel):
    """`[preference]`: learning from preferences in place of rewards.

    Of `[algorithm]`, `epochs`, `minibatches` and `entropy_coef` hold here too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True)

    method: str = ""
    """A preference method by name, such as `dpo`; empty is the policy-gradient loop."""
    schedule: Annotated[str, AfterValidator(_check_schedule)] = "online"
    """Whose episodes it learns from: `offline`, `online`, `continuous`, or `semi_online@N`: those of a copy that takes
    the policy's weights every N iterations, 5 if not said."""
    file: str = ""
    """Preferences to learn from in place of episodes (`offline`)."""
    beta: Annotated[float, Field(ge=0)] = 0.0
    """Closeness to the reference; 0 takes the method's own."""
    margin: Annotated[float, Field(ge=0)] = 0.0
    """Smallest difference of returns that makes a pair, not included."""
    pairing: Pairing = Pairing.BEST_WORST
    """Which members of a group are paired."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Refuse what does not go together."""
        if not self.method:
            return self
        if self.method not in METHODS:
            near = difflib.get_close_matches(self.method, METHODS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the methods are {', '.join(METHODS)}"
            raise ValueError(f"there is no preference method {self.method!r}; {hint}")
        method = METHODS[self.method]
        schedule, _ = read_schedule(self.schedule)
        if self.file and schedule is not Schedule.OFFLINE:
            raise ValueError(
                f"file is {self.file!r} and schedule is {self.schedule}: a file is learnt from offline; "
                "set schedule to 'offline', or leave file out"
            )
        if self.file and method.source not in (Source.PAIRS, Source.LABELS, Source.SOLVED):
            raise ValueError(
                f"file is {self.file!r} and method is {self.method!r}: that method picks from episodes it plays"
            )
        if self.file and method.reference is Reference.BEHAVIOUR:
            raise ValueError(
                f"file is {self.file!r} and method is {self.method!r}: its reference is the policy that played "
                "the episodes, which a file does not hold; use 'dpo'"
            )
        if method.lagging and schedule in (Schedule.ONLINE, Schedule.CONTINUOUS):
            raise ValueError(
                f"schedule is {self.schedule} and method is {self.method!r}: it makes the chosen side less likely too, "
                "as is right for trajectories worse than the policy's, so from its own it would unlearn everything; "
                "set schedule to 'offline' or 'semi_online@N', or method to 'apo_zero'"
            )
        if method.restarts and schedule is Schedule.CONTINUOUS:
            raise ValueError(
                f"schedule is continuous and method is {self.method!r}: it begins every iteration at the "
                "starting weights; choose another schedule"
            )
        if method.form is Form.IMITATION and self.beta:
            raise ValueError(
                f"beta is {self.beta:g} and method is {self.method!r}: imitation has no beta; leave it out"
            )
        return self

    def resolve(self) -> Method:
        """Give the whole method: its own parts, and what this section sets otherwise.

        Raises:
            KeyError: no method is chosen.
        """
        method = METHODS[self.method]
        if self.beta:
            method = replace(method, terms=replace(method.terms, beta=self.beta))
        if read_schedule(self.schedule)[0] is Schedule.CONTINUOUS and method.needs_reference:
            method = replace(method, reference=Reference.BEHAVIOUR)
        return method
