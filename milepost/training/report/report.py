"""The report: one HTML file that shows what a run did, made from the run's folder alone."""

import functools
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from milepost.training.display import format_duration
from milepost.training.metrics import read_metrics
from milepost.training.records import EPISODES_FOLDER
from milepost.training.report.charts import (
    Change,
    Line,
    draw_changes,
    draw_lines,
    format_number,
    format_share,
)
from milepost.training.report.episodes import choose_pairs
from milepost.training.run import CONFIG_FILE, REPORT_FILE

WIDE, NARROW = (860, 320), (360, 260)
"""Sizes of the learning curve on a desk and in a hand."""

_HEALTH = (
    ("credit/flat_groups", "groups without a difference", format_share),
    ("learner/entropy", "entropy (nats per token)", format_number),
    ("learner/kl_sampler", "KL to the sampler", format_number),
    ("learner/grad_norm", "gradient norm", format_number),
    ("turns_seen/errors", "turns with an action error", format_share),
    ("turns", "turns per episode", format_number),
)


@functools.cache
def _load_template() -> jinja2.Template:
    """Read the report's template; to compile it takes longer than to fill it."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("milepost.training.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("template.html")


def write_report(run: Path) -> Path:
    """Write a run's `report.html`, whatever is there so far.

    Raises:
        ValueError: the metrics hold something that is not JSON.
        RecordError: a recorded episode cannot be read.
    """
    page = _load_template().render(build_context(run))
    path = run / REPORT_FILE
    path.write_text(page, encoding="utf-8")
    return path


def build_context(run: Path) -> dict[str, Any]:
    """Gather what the template shows."""
    records = read_metrics(run)
    config_text = (run / CONFIG_FILE).read_text(encoding="utf-8") if (run / CONFIG_FILE).is_file() else ""
    config = tomllib.loads(config_text)
    iterations = [r for r in records if r["kind"] == "iteration"]
    evaluations = [r for r in records if r["kind"] == "evaluation"]
    before = _last(evaluations, "test-start")
    after = _last(evaluations, "test-end")
    tasks = sorted({name for r in [*iterations, *evaluations] for name in r["tasks"]})
    colours = {name: index + 1 for index, name in enumerate(tasks)}
    return {
        "name": run.resolve().name,
        "config": config,
        "config_text": config_text,
        "before": before,
        "after": after,
        "iterations": len(iterations),
        "minutes": records[-1]["elapsed_s"] / 60.0 if records else 0.0,
        "tasks": colours,
        "changes_wide": _draw_changes(before, after, WIDE[0]),
        "changes_narrow": _draw_changes(before, after, NARROW[0]),
        "curve_wide": _draw_curve(iterations, evaluations, colours, WIDE),
        "curve_narrow": _draw_curve(iterations, evaluations, colours, NARROW),
        "reach": [(name, *_draw_reach(name, iterations)) for name in tasks],
        "ret": _draw_returns(iterations, colours),
        "routes": _draw_routes(iterations),
        "health": [(title, _draw_fact(iterations, path, title, form)) for path, title, form in _HEALTH],
        "throughput": _measure(records),
        "pairs": choose_pairs(run / EPISODES_FOLDER),
    }


def _last(evaluations: Sequence[Mapping[str, Any]], phase: str) -> Mapping[str, Any] | None:
    found = [r for r in evaluations if r["phase"] == phase]
    return found[-1] if found else None


def _interval(proportion: Mapping[str, Any]) -> tuple[float, float, float]:
    return proportion["value"], proportion["low"], proportion["high"]


def _draw_changes(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, width: int) -> str:
    if before is None or after is None:
        return ""
    changes = [
        Change(
            name=f"all tasks (n={after['proportion']['n']})",
            before=_interval(before["proportion"]),
            after=_interval(after["proportion"]),
            strong=True,
        )
    ]
    for name, task in after["tasks"].items():
        if name in before["tasks"]:
            changes.append(
                Change(
                    name=f"{name} (n={task['proportion']['n']})",
                    before=_interval(before["tasks"][name]["proportion"]),
                    after=_interval(task["proportion"]),
                )
            )
    return draw_changes(
        changes, title="success on held-out test tasks before and after training", width=width
    )


def _draw_curve(
    iterations: Sequence[Mapping[str, Any]],
    evaluations: Sequence[Mapping[str, Any]],
    colours: Mapping[str, int],
    size: tuple[int, int],
) -> str:
    held_out = [r for r in evaluations if r["phase"].startswith("validation")]
    lines = [
        Line(
            name=name,
            colour=colour,
            points=[(r["iteration"], r["tasks"][name]["success"]) for r in held_out if name in r["tasks"]],
        )
        for name, colour in colours.items()
    ]
    lines.append(
        Line(
            name="training",
            faint=True,
            points=smooth([(r["iteration"], r["success"]) for r in iterations]),
        )
    )
    lines.append(
        Line(
            name="validation",
            strong=True,
            points=[(r["iteration"], r["success"]) for r in held_out],
            band=[(r["iteration"], r["proportion"]["low"], r["proportion"]["high"]) for r in held_out],
        )
    )
    title = "success on held-out validation tasks by iteration"
    return draw_lines(
        lines, title=title, width=size[0], height=size[1], y_range=(0.0, 1.0), y_format=format_share
    )


def smooth(points: Sequence[tuple[float, float]], *, memory: float = 0.7) -> list[tuple[float, float]]:
    """Smooth a series with an exponential average that begins at its first value."""
    smoothed: list[tuple[float, float]] = []
    for x, y in points:
        value = y if not smoothed else memory * smoothed[-1][1] + (1.0 - memory) * y
        smoothed.append((x, value))
    return smoothed


def _draw_reach(name: str, iterations: Sequence[Mapping[str, Any]]) -> tuple[str, dict[str, int]]:
    """Draw how often each milestone of a task was reached, and give the milestones' colours."""
    rows = [(r["iteration"], r["tasks"][name]["reach"]) for r in iterations if name in r["tasks"]]
    milestones = list(dict.fromkeys(key for _, reach in reversed(rows) for key in reach))
    milestones.sort(key=lambda key: -sum(reach.get(key, 0.0) for _, reach in rows))
    colours = {milestone: index + 1 for index, milestone in enumerate(milestones)}
    lines = [
        Line(name=key, colour=colour, points=smooth([(x, reach.get(key, 0.0)) for x, reach in rows]))
        for key, colour in colours.items()
    ]
    drawn = draw_lines(
        lines, title=f"milestones reached in {name}", y_range=(0.0, 1.0), y_format=format_share
    )
    return drawn, colours


def _draw_routes(iterations: Sequence[Mapping[str, Any]]) -> tuple[str, dict[str, int]] | None:
    """Draw which tier decided what rules left open, and give the tiers' colours; None when nothing was left."""
    rows = [(r["iteration"], r.get("routes", {})) for r in iterations if r.get("routes")]
    tiers = sorted({tier for _, counts in rows for tier in counts})
    if not tiers:
        return None
    colours = {tier: index + 1 for index, tier in enumerate(tiers)}
    lines = [
        Line(
            name=tier,
            colour=colour,
            points=[(x, counts.get(tier, 0) / sum(counts.values())) for x, counts in rows],
        )
        for tier, colour in colours.items()
    ]
    drawn = draw_lines(
        lines, title="who decided what rules left open", y_range=(0.0, 1.0), y_format=format_share
    )
    return drawn, colours


def _draw_returns(iterations: Sequence[Mapping[str, Any]], colours: Mapping[str, int]) -> str:
    lines = [
        Line(
            name=name,
            colour=colour,
            points=smooth(
                [(r["iteration"], r["tasks"][name]["return"]) for r in iterations if name in r["tasks"]]
            ),
        )
        for name, colour in colours.items()
    ]
    overall = smooth([(r["iteration"], r["return"]) for r in iterations])
    lines.append(Line(name="all tasks", strong=True, points=overall))
    return draw_lines(lines, title="return of training episodes by iteration")


def _draw_fact(iterations: Sequence[Mapping[str, Any]], path: str, title: str, form: Any) -> str:
    points = []
    for record in iterations:
        value: Any = record
        for part in path.split("/"):
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, int | float):
            points.append((float(record["iteration"]), float(value)))
    return draw_lines([Line(name=title, points=smooth(points))], title=title, height=180, y_format=form)


def _measure(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Sum up what was done and how fast."""
    played = [r for r in records if "time" in r]
    training = [r for r in records if r["kind"] == "iteration"]
    rollout_s = sum(r["time"]["rollout_s"] for r in training)
    learn_s = sum(r["time"]["learn_s"] for r in training)
    steps = sum(r["time"]["steps"] for r in training)
    if not training or rollout_s <= 0:
        return []
    tokens = sum(r["time"]["tokens_per_s"] * r["time"]["rollout_s"] for r in training)
    episodes = sum(r["time"]["episodes_per_s"] * r["time"]["rollout_s"] for r in training)
    waited = sum(r["time"]["policy_share"] * r["time"]["rollout_s"] for r in training) / rollout_s
    lost = sum(r["unscored"] for r in played if "unscored" in r)
    return [
        ("training episodes", f"{episodes:,.0f}"),
        ("browser steps in training", f"{steps:,.0f}"),
        ("browser steps per second of rollout", f"{steps / rollout_s:,.1f}"),
        ("sampled tokens per second of rollout", f"{tokens / rollout_s:,.0f}"),
        ("time in rollouts", format_duration(rollout_s)),
        ("time in learning", format_duration(learn_s)),
        ("episodes waiting for the policy, not the browser", f"{waited:.0%}"),
        ("episodes lost to failures of the harness", f"{lost}"),
    ]
