"""What a person sees while a run goes on: a live table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text


class Display(Protocol):
    """Shows how a run goes on."""

    def say(self, text: str) -> None:
        """Show a line that stays."""
        ...

    def begin(self, label: str, total: int) -> None:
        """Start a stage of `total` parts."""
        ...

    def advance(self) -> None:
        """Note that a part of the stage is done."""
        ...

    def show(self, record: Mapping[str, Any]) -> None:
        """Show a record of the metrics."""
        ...

    def close(self) -> None:
        """Stop showing."""
        ...


class SilentDisplay:
    """Shows nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""

    def begin(self, label: str, total: int) -> None:
        """Do nothing."""

    def advance(self) -> None:
        """Do nothing."""

    def show(self, record: Mapping[str, Any]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class PlainDisplay:
    """Writes lines: for logs, pipes and continuous integration."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        """Write a line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def begin(self, label: str, total: int) -> None:
        """Do nothing; the record that follows says it all."""

    def advance(self) -> None:
        """Do nothing."""

    def show(self, record: Mapping[str, Any]) -> None:
        """Write a record as a line, and its alarms."""
        for line in (describe(record), *record.get("drift", ())):
            self.say(line)

    def close(self) -> None:
        """Do nothing."""


def describe(record: Mapping[str, Any]) -> str:
    """Put a record of the metrics into one line."""
    start = f"[{format_duration(record['elapsed_s'])}]"
    if record["kind"] == "imitation":
        loss = f", loss {record['loss_first']:.3f} -> {record['loss_last']:.3f}" if record["steps"] else ""
        return f"{start} imitation: {record['examples']} turns, {record['steps']} steps{loss}"
    if record["kind"] == "study":
        learner = record["learner"]
        return (
            f"{start} iteration {record['iteration']}: {record['lessons']} preferences, "
            f"loss {learner['loss']:.3f} gradient {learner['grad_norm']:.3f}"
        )
    success = f"success {record['success']:.2f} return {record['return']:.2f}"
    tasks = " ".join(
        f"{name.partition('-v')[0]} {task['success']:.2f}" for name, task in record["tasks"].items()
    )
    if record["kind"] == "evaluation":
        low, high = record["proportion"]["low"], record["proportion"]["high"]
        n = record["proportion"]["n"]
        return f"{start} {record['phase']}: {success} (n={n}, 95% {low:.2f}-{high:.2f}) | {tasks}"
    times = record["time"]
    return (
        f"{start} iteration {record['iteration']}/{record['iterations']}: {success} | {tasks} | "
        f"{times['steps_per_s']:.0f} steps/s {times['tokens_per_s']:.0f} tokens/s | {describe_busy(record)} | "
        f"{format_duration(record['eta_s'])} left"
    )


def describe_busy(record: Mapping[str, Any]) -> str:
    """Say what part of the time engine, browsers and learner were at work, and how old the batch was."""
    times, staleness = record["time"], record["staleness"]["max"]
    busy = " ".join(f"{who} {times[f'{who}_busy']:.0%}" for who in ("engine", "browser", "learner"))
    return f"busy: {busy}" + (f", at most {staleness:.0f} behind" if staleness else "")


def format_duration(seconds: float) -> str:
    """Write seconds as `1:02:03` or `2:03`."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{secs:02d}" if hours else f"{minutes}:{secs:02d}"


class LiveDisplay:
    """Keeps a table up to date at the bottom of a terminal."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._label, self._done, self._total, self._since = "starting", 0, 0, clock()
        self._iteration: Mapping[str, Any] | None = None
        self._held_out: Mapping[str, Any] | None = None
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self._render, transient=True)
        self._live.start()

    def say(self, text: str) -> None:
        """Write a line above the table."""
        self._console.print(text, markup=False, highlight=False)

    def begin(self, label: str, total: int) -> None:
        """Start a stage's bar."""
        self._label, self._done, self._total, self._since = label, 0, total, self._clock()

    def advance(self) -> None:
        """Move the bar."""
        self._done += 1

    def show(self, record: Mapping[str, Any]) -> None:
        """Take a record into the table; evaluations also stay as a line."""
        if record["kind"] == "iteration":
            self._iteration = record
            for alarm in record.get("drift", ()):
                self.say(alarm)
            return
        if record["kind"] == "evaluation":
            self._held_out = record
        self.say(describe(record))

    def close(self) -> None:
        """Take the table away."""
        self._live.stop()

    def _render(self) -> RenderableType:
        parts: list[RenderableType] = []
        if self._iteration is not None:
            parts += [self._headline(self._iteration), render_tasks(self._iteration, self._held_out)]
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            Text(self._label, style="bold"),
            ProgressBar(total=max(1, self._total), completed=self._done, width=32),
            Text(f"{self._done}/{self._total}  {format_duration(self._clock() - self._since)}"),
        )
        return Group(*parts, bar)

    def _headline(self, record: Mapping[str, Any]) -> Text:
        times = record["time"]
        line = Text()
        line.append(f"iteration {record['iteration']}/{record['iterations']}", style="bold")
        line.append(f"   success {record['success']:.2f}", style="bold green")
        if self._held_out is not None:
            line.append(f"   held-out {self._held_out['success']:.2f}", style="bold cyan")
        line.append(f"   return {record['return']:.2f}")
        line.append(f"   {times['steps_per_s']:.0f} steps/s   {times['tokens_per_s']:.0f} tokens/s")
        line.append(f"   {describe_busy(record)}")
        line.append(
            f"   {format_duration(record['elapsed_s'])} gone, {format_duration(record['eta_s'])} left"
        )
        return line


def render_tasks(record: Mapping[str, Any], held_out: Mapping[str, Any] | None) -> Table:
    """Lay out a record's tasks: success, return, and how often each milestone was reached."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("task", "success", "held-out", "return", "turns", "milestones reached"):
        table.add_column(column, justify="left" if column in ("task", "milestones reached") else "right")
    for name, task in record["tasks"].items():
        other = held_out["tasks"].get(name) if held_out is not None else None
        reach = sorted(task["reach"].items(), key=lambda item: -item[1])
        table.add_row(
            name,
            f"{task['success']:.2f}",
            f"{other['success']:.2f}" if other else "",
            f"{task['return']:.2f}",
            f"{task['turns']:.1f}",
            "  ".join(f"{milestone} {share:.0%}" for milestone, share in reach),
        )
    return table


def make_display(console: Console) -> Display:
    """Choose the display that the console can show."""
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


def show_score(console: Console, record: Mapping[str, Any]) -> None:
    """Print an evaluation task by task and, where rules left something open, who decided it."""
    routed = bool(record["routes"])
    heads = ("task", "success", "95% interval", "n", "return", "steps", *(["what rules left open"] * routed))
    table = Table(*heads)
    for name, one in record["tasks"].items():
        own = one["proportion"]
        cells = (
            name,
            f"{one['success']:.2f}",
            f"{own['low']:.2f} to {own['high']:.2f}",
            str(own["n"]),
            f"{one['return']:.2f}",
            f"{one['turns']:.1f}",
        )
        table.add_row(*cells, *([_name_routes(one["routes"])] * routed))
    console.print(table)
    if routed:
        console.print(f"what rules left open was decided by: {_name_routes(record['routes'])}")
    console.print(f"mean over tasks {record['success']:.2f}; without a score {record['unscored']}")


def _name_routes(routes: Mapping[str, int]) -> str:
    return ", ".join(f"{tier} {count}" for tier, count in routes.items()) or "-"
