"""What is wrong with a rule, where it stands, and the word that was probably meant."""

import contextlib
import difflib
from collections.abc import Collection, Iterator


class SpecError(ValueError):
    """A rule that cannot be meant: unknown names, ungrounded rewards, a goal nothing can reach."""

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.path: tuple[str | int, ...] = path
        """Keys and indexes that lead from the spec's record to what is wrong; empty when it was written in Python."""


@contextlib.contextmanager
def at(*path: str | int) -> Iterator[None]:
    """Say of every rule refused inside where in its record it stands."""
    try:
        yield
    except SpecError as error:
        error.path = (*path, *error.path)
        raise


def suggest(word: object, known: Collection[str]) -> str:
    """Name the known word nearest to an unknown one, or all of them, for a message."""
    near = difflib.get_close_matches(str(word), known, n=1, cutoff=0.4)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
