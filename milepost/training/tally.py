"""Sums over the tokens of a batch, for the means that are reported."""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(slots=True)
class TokenSums:
    """Sums by name, and over how many tokens."""

    tokens: int = 0
    values: dict[str, float] = field(default_factory=dict)

    def add(self, tokens: int, **sums_N: Tensor) -> None:
        """Add a micro-batch: its tokens, and what each of them adds to the named sums."""
        self.tokens += tokens
        self.count(**{name: float(values_N.detach().sum()) for name, values_N in sums_N.items()})

    def count(self, **values: float) -> None:
        """Add what is not of tokens."""
        for name, value in values.items():
            self.values[name] = self.values.get(name, 0.0) + value

    def join(self, other: "TokenSums") -> None:
        """Add what was summed elsewhere."""
        self.tokens += other.tokens
        self.count(**other.values)

    def means(self) -> dict[str, float]:
        """Give the mean of a token for every name."""
        return {name: value / max(1, self.tokens) for name, value in self.values.items()}
