"""Documents that live in the episode's time and draw the episode's chance (decision record 0011)."""

from pathlib import Path

_SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")


def write_steady(seed: int, instant_ms: int | None, *, page_time: bool = False) -> str:
    """Write the script that runs first in every document.

    Args:
        seed: what chance is drawn from.
        instant_ms: when documents begin, in milliseconds since 1970; None leaves them their own time and chance,
            and there is no script.
        page_time: whether documents live in page time, see `clock`: frames are then drawn by its timers, for the
            screen keeps the real time.
    """
    if instant_ms is None:
        return ""
    constants = f"SEED = {seed & 0xFFFFFFFF}, INSTANT = {instant_ms}, PAGE_TIME = {str(page_time).lower()}"
    return _SCRIPT.replace("SEED = 0, INSTANT = 0, PAGE_TIME = false", constants)
