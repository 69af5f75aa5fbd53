"""Line charts and before/after charts as inline SVG, coloured by the page's own style sheet."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

COLOURS = 6
"""Series colours the style sheet has: classes `c0` to `c5`."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 10, 38
_MARKED = 60
"""Most points of a line that are drawn as dots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One series."""

    name: str
    points: Sequence[tuple[float, float]]
    """x and y, in the order of x."""
    colour: int = 0
    strong: bool = False
    """Drawn thick and on top."""
    faint: bool = False
    """Drawn thin and pale, without dots."""
    band: Sequence[tuple[float, float, float]] = ()
    """x, low and high of an interval drawn behind the line."""


def format_share(value: float) -> str:
    """Write 0.25 as `25%`."""
    return f"{value:.0%}"


def format_number(value: float) -> str:
    """Write a number with three digits that matter."""
    return f"{value:.3g}"


@dataclass(frozen=True, slots=True)
class _Frame:
    """Maps data to the chart's own units."""

    width: int
    height: int
    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        span = (self.x_high - self.x_low) or 1.0
        return _LEFT + (value - self.x_low) / span * (self.width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        span = (self.y_high - self.y_low) or 1.0
        return self.height - _BOTTOM - (value - self.y_low) / span * (self.height - _TOP - _BOTTOM)


def pick_ticks(low: float, high: float, count: int) -> list[float]:
    """Pick about `count` round numbers from `low` to `high`: steps of 1, 2 or 5 times a power of ten."""
    if high <= low:
        return [low]
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def draw_lines(
    lines: Sequence[Line],
    *,
    title: str,
    width: int = 420,
    height: int = 230,
    x_label: str = "iteration",
    y_range: tuple[float, float] | None = None,
    y_format: Callable[[float], str] = format_number,
) -> Markup:
    """Draw series as lines.

    Args:
        lines: the series; empty ones are left out.
        title: what the chart shows, for screen readers.
        width: in the chart's own units, about pixels.
        height: the same.
        x_label: under the horizontal axis.
        y_range: lowest and highest value; from the data when None.
        y_format: writes a value.
    """
    drawn = [line for line in lines if line.points]
    if not drawn:
        return Markup('<p class="none">no data yet</p>')
    frame = _fit(drawn, width, height, y_range)
    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg">',
        *_draw_axes(frame, x_label, y_format),
        *(_draw_band(frame, line) for line in drawn if line.band),
    ]
    for line in sorted(drawn, key=lambda one: (one.strong, not one.faint)):
        parts += _draw_line(frame, line, y_format)
    parts.append("</svg>")
    return Markup("".join(parts))


def _fit(lines: Sequence[Line], width: int, height: int, y_range: tuple[float, float] | None) -> _Frame:
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    low, high = y_range if y_range is not None else (min(0.0, *ys), max(ys))
    if high <= low:
        high = low + 1.0
    if y_range is None:
        high += 0.05 * (high - low)
    return _Frame(width, height, min(xs), max(xs), low, high)


def _draw_axes(frame: _Frame, x_label: str, y_format: Callable[[float], str]) -> list[str]:
    parts = []
    right, bottom = frame.width - _RIGHT, frame.height - _BOTTOM
    for tick in pick_ticks(frame.y_low, frame.y_high, 5):
        y = frame.y(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(y_format(tick))}</text>'
        )
    for tick in pick_ticks(frame.x_low, frame.x_high, max(3, frame.width // 90)):
        parts.append(
            f'<text class="tick" x="{frame.x(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>'
        )
    parts.append(
        f'<text class="label" x="{(_LEFT + right) / 2:.0f}" y="{frame.height - 5}" text-anchor="middle">'
        f"{escape(x_label)}</text>"
    )
    return parts


def _draw_band(frame: _Frame, line: Line) -> str:
    there = [f"{frame.x(x):.1f},{frame.y(high):.1f}" for x, _, high in line.band]
    back = [f"{frame.x(x):.1f},{frame.y(low):.1f}" for x, low, _ in reversed(line.band)]
    return f'<polygon class="band c{line.colour % COLOURS}" points="{" ".join(there + back)}"/>'


def _draw_line(frame: _Frame, line: Line, y_format: Callable[[float], str]) -> list[str]:
    style = f"c{line.colour % COLOURS}" + " strong" * line.strong + " faint" * line.faint
    path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in line.points)
    parts = [f'<polyline class="line {style}" points="{path}"/>']
    if line.faint or len(line.points) > _MARKED:
        return parts
    radius = 3.5 if line.strong else 2.5
    for x, y in line.points:
        words = f"{line.name}, {x:g}: {y_format(y)}"
        parts.append(
            f'<circle class="dot {style}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="{radius}">'
            f"<title>{escape(words)}</title></circle>"
        )
    return parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A share before and after, each with its interval."""

    name: str
    before: tuple[float, float, float]
    """Value, low, high."""
    after: tuple[float, float, float]
    strong: bool = False


_ROW = 46


def draw_changes(changes: Sequence[Change], *, title: str, width: int = 420) -> Markup:
    """Draw shares before and after, one row each, with their intervals as thin bars."""
    height = _ROW * len(changes) + 30
    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg">'
    ]
    left, right = 10, width - 16

    def place(value: float) -> float:
        return left + value * (right - left)

    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = place(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height - 22}"/>')
        anchor = "start" if tick == 0.0 else "end" if tick == 1.0 else "middle"
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{height - 6}" text-anchor="{anchor}">{tick:.0%}</text>'
        )
    for index, change in enumerate(changes):
        y = _ROW * index + 18
        weight = " strong" if change.strong else ""
        parts.append(f'<text class="name{weight}" x="{left}" y="{y}">{escape(change.name)}</text>')
        words = f"{change.before[0]:.0%} → {change.after[0]:.0%}"
        parts.append(f'<text class="name{weight}" x="{right}" y="{y}" text-anchor="end">{words}</text>')
        parts += _draw_share(place, y + 14, change.before, "before", radius=5)
        parts += _draw_share(place, y + 14, change.after, "after", radius=6)
    parts.append("</svg>")
    return Markup("".join(parts))


def _draw_share(
    place: Callable[[float], float], y: float, share: tuple[float, float, float], style: str, *, radius: float
) -> list[str]:
    value, low, high = share
    words = f"{style}: {value:.1%} (95% {low:.1%} to {high:.1%})"
    return [
        f'<line class="interval {style}" x1="{place(low):.1f}" x2="{place(high):.1f}" y1="{y}" y2="{y}"/>',
        f'<circle class="share {style}" cx="{place(value):.1f}" cy="{y}" r="{radius}">'
        f"<title>{escape(words)}</title></circle>",
    ]
