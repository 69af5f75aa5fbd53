"""How much a page makes the browser tell us, and when it is too much.

All episodes of a browser share one connection, on which what one page causes waits before what another page is asked:
ten thousand lines on a console in a second hold everybody up for seconds.
"""

from dataclasses import dataclass

LIMIT = 20_000.0
"""Events that may be ahead of what has faded; a large page that loads causes some thousands at once."""

FADING_PER_S = 3_000.0
"""Events a second that nobody minds for ever."""

BYTES = 2_000
"""So long an event counts for two."""

IDLE = 3
"""What nobody listens for counts so many times: a page is not told what its console costs."""


@dataclass(slots=True)
class Noise:
    """The events of one session, those of long ago less and less."""

    level: float = 0.0
    at_s: float = 0.0
    over: bool = False
    """Whether there were too many once: there is no way back."""

    def add(self, size: int, now_s: float, *, heard: bool) -> bool:
        """Count an event; gives whether there were too many, now or before.

        Args:
            size: its bytes.
            now_s: the time, of any clock that does not go back.
            heard: whether somebody listens for such events.
        """
        faded = (now_s - self.at_s) * FADING_PER_S
        cost = (1 + size / BYTES) * (1 if heard else IDLE)
        self.level = max(self.level - faded, 0.0) + cost
        self.at_s = now_s
        self.over = self.over or self.level > LIMIT
        return self.over
