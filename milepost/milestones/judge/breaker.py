"""Keeps a judge that is down from being asked on and on, and a run from spending more than it may."""

from collections import deque
from collections.abc import Callable

CONSECUTIVE = 5
"""Failures in a row that open the breaker."""

WINDOW = 20
"""Calls of which no more than half may fail."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 30.0, 600.0


class Breaker:
    """A circuit breaker: closed, open for a while, then one probe; each failed probe doubles the pause."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Take the clock: monotonic seconds."""
        self._clock = clock
        self._recent: deque[bool] = deque(maxlen=WINDOW)
        self._in_a_row = 0
        self._pause_s = FIRST_PAUSE_S
        self._until: float | None = None
        self._probing = False

    def admit(self) -> bool:
        """Say whether a call may be made now; after a pause, one may."""
        if self._until is None:
            return True
        if self._probing or self._clock() < self._until:
            return False
        self._probing = True
        return True

    def note(self, *, failed: bool) -> None:
        """Take the outcome of a call into account."""
        if self._until is not None:
            self._probing = False
            if failed:
                self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
                self._until = self._clock() + self._pause_s
            else:
                self._until, self._pause_s, self._in_a_row = None, FIRST_PAUSE_S, 0
                self._recent.clear()
            return
        self._recent.append(failed)
        self._in_a_row = self._in_a_row + 1 if failed else 0
        many = len(self._recent) == WINDOW and 2 * sum(self._recent) > WINDOW
        if self._in_a_row >= CONSECUTIVE or many:
            self._until = self._clock() + self._pause_s


class Budget:
    """What a run may spend on judging."""

    def __init__(self, *, calls: int, tokens: int) -> None:
        """Set the limits: calls, and tokens of prompts and replies together."""
        self._calls = calls
        self._tokens = tokens
        self.calls = 0
        """Calls made, retries included."""
        self.tokens = 0
        """Tokens used."""

    @property
    def spent(self) -> str:
        """What has run out, in words; empty while there is some left."""
        if self.calls >= self._calls:
            return f"the budget of {self._calls} calls is spent"
        if self.tokens >= self._tokens:
            return f"the budget of {self._tokens} tokens is spent"
        return ""
