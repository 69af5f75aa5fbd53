"""The section of a configuration that chooses the preference loop."""

import difflib
from dataclasses import replace
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from milepost.training.preferences.losses import Form
from milepost.training.preferences.method import METHODS, Method, Reference, Schedule, Source
from milepost.training.preferences.pairs import Pairing


class PreferenceSection(BaseModel):
    """`[preference]`: learning from preferences in place of rewards.

    Of `[algorithm]`, `epochs`, `minibatches` and `entropy_coef` hold here too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True)

    method: str = ""
    """A preference method by name, such as `dpo`; empty is the policy-gradient loop."""
    schedule: Schedule = Schedule.ONLINE
    """Whose episodes it learns from: `offline`, `online`, `semi_online` or `continuous`."""
    sync_every: Annotated[int, Field(ge=1)] = 5
    """Iterations between updates of the copy that plays (`semi_online`)."""
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
        if self.file and self.schedule is not Schedule.OFFLINE:
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
        if method.restarts and self.schedule is Schedule.CONTINUOUS:
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
        if self.schedule is Schedule.CONTINUOUS and method.needs_reference:
            method = replace(method, reference=Reference.BEHAVIOUR)
        return method
