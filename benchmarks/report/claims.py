"""What the runs of `benchmarks.learning` come to: a table, curves, and which claims they show."""

import argparse
import statistics
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

OURS = "milestone_grpo"
OUTCOME = "grpo:outcome"
"""GRPO that sees the goal alone, what milestones are compared with."""
GAIN = 0.3
"""The rise of held-out success that a method is asked for."""


class Claim(StrEnum):
    """What is said of the methods."""

    EPISODES = "episodes"
    """`milestone_grpo` needs at most half the episodes of outcome-only GRPO."""
    GAIN = "gain"
    """Every method rises by `GAIN`."""
    SCHEDULE = "schedule"
    """Online and semi-online DPO beat offline DPO."""


ALL_CLAIMS = tuple(Claim)


def count_episodes(curve: Sequence[Mapping[str, float]], target: float) -> float | None:
    """Count the training episodes before the first validation at or above the target."""
    return next((point["episodes"] for point in curve if point["success"] >= target), None)


def summarize(results: list[dict[str, Any]], target: float) -> Iterator[dict[str, Any]]:
    """Give a row for each method: means over seeds, and by seed the episodes to the target.

    `needed` holds them for each seed, None where the target was not reached, `spent` those that were played in all, and `ends`
    the success at the end.
    """
    for method in dict.fromkeys(result["method"] for result in results):
        own = sorted((one for one in results if one["method"] == method), key=lambda one: int(one["seed"]))
        yield {
            "method": method,
            "seeds": len(own),
            "before": statistics.fmean(r["before"] for r in own),
            "after": statistics.fmean(r["after"] for r in own),
            "ends": {str(r["seed"]): r["after"] for r in own},
            "after_low": min(r["after"] for r in own),
            "after_high": max(r["after"] for r in own),
            "n": own[0]["n"],
            "steps": statistics.fmean(r["steps"] for r in own),
            "episodes": statistics.fmean(r["episodes"] for r in own),
            "needed": {str(r["seed"]): count_episodes(r["curve"], target) for r in own},
            "spent": {str(r["seed"]): r["episodes"] for r in own},
        }


def write_table(rows: list[dict[str, Any]], target: float) -> str:
    """Write the table as Markdown."""
    lines = [
        f"| method | seeds | before | after (lowest to highest) | gain | steps | episodes to {target:g} |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| `{row['method']}` | {row['seeds']} | {row['before']:.2f} | {row['after']:.2f} "
            f"({row['after_low']:.2f} to {row['after_high']:.2f}) | {row['after'] - row['before']:+.2f} | "
            f"{row['steps']:.0f} | {_write_needed(row)} |"
        )
    return "\n".join(lines)


def write_curves(results: list[dict[str, Any]]) -> str:
    """Write how success on validation seeds went, after so many steps, for each run."""
    lines = ["| run | success after steps |", "|---|---|"]
    for result in results:
        points = ", ".join(f"{p['success']:.2f} ({p['steps']:.0f})" for p in result["curve"])
        lines.append(f"| `{result['method']}`, seed {result['seed']} | {points} |")
    return "\n".join(lines)


def judge_claims(
    rows: list[dict[str, Any]], target: float, *, every_method: Sequence[str], claims: Sequence[Claim]
) -> list[str]:
    """Say what the rows show of the claims, and what they do not."""
    by_name = {row["method"]: row for row in rows}
    gains = {row["method"]: row["after"] - row["before"] for row in rows}
    most = max((row["seeds"] for row in rows), default=0)
    fewer = {row["method"]: f" ({row['seeds']} of {most} seeds)" for row in rows if row["seeds"] < most}
    learnt = [f"`{name}`{fewer.get(name, '')}" for name, gain in gains.items() if gain >= GAIN]
    short = [f"`{name}`{fewer.get(name, '')}" for name, gain in gains.items() if gain < GAIN]
    ran = {name.partition("@")[0] for name in by_name}
    missing = [name for name in every_method if not {name, f"{name}:online"} & ran]
    said = {
        Claim.EPISODES: f"`milestone_grpo` reaches {target:g} in at most half the episodes of outcome-only GRPO: "
        f"{_compare_episodes(by_name.get('milestone_grpo'), by_name.get(OUTCOME), target)}.",
        Claim.GAIN: f"A rise of {GAIN:g} or more: {', '.join(learnt) or 'none'}; less: {', '.join(short) or 'none'}; not run: {_join(missing)}.",
        Claim.SCHEDULE: f"Online and semi-online DPO end above offline DPO: {_compare_schedules(by_name)}.",
    }
    return [said[claim] for claim in claims]


def _write_needed(row: Mapping[str, Any]) -> str:
    """Write a method's episodes to the target, seed by seed; what is not within a count is known to be more."""
    return ", ".join(
        f"not within {row['spent'][seed]:.0f}" if count is None else f"{count:.0f}"
        for seed, count in row["needed"].items()
    )


def _compare_episodes(ours: Mapping[str, Any] | None, plain: Mapping[str, Any] | None, target: float) -> str:
    if ours is None or plain is None:
        return "not run"
    seeds = [seed for seed in ours["needed"] if seed in plain["needed"]]
    reached = [seed for seed in seeds if ours["needed"][seed] is not None]
    if not seeds or len(reached) < len(seeds):
        return f"not shown, {len(reached)} of {len(seeds)} runs of `{OURS}` reached {target:g}"
    # A run that has not reached the target needs more than it has had, so what it has had bounds the median from below.
    least = {s: plain["spent"][s] if plain["needed"][s] is None else plain["needed"][s] for s in seeds}
    won = sum(2 * ours["needed"][seed] <= least[seed] for seed in seeds)
    our_median = statistics.median(ours["needed"][seed] for seed in seeds)
    plain_median = statistics.median(least.values())
    bounded = any(plain["needed"][seed] is None for seed in seeds)
    return (
        f"{'shown' if 2 * our_median <= plain_median else 'not shown'}, medians {our_median:.0f} against "
        f"{'at least ' * bounded}{plain_median:.0f}, and it is so for {won} of {len(seeds)} seeds"
    )


def _compare_schedules(by_name: Mapping[str, Mapping[str, Any]]) -> str:
    rows = {
        name.removeprefix("dpo:").partition("@")[0]: row for name, row in by_name.items() if name[:3] == "dpo"
    }
    dpo = {name: rows.get(name) for name in ("online", "semi_online", "offline")}
    dpo["online"] = dpo["online"] or rows.get("dpo")
    means = {name: row["after"] for name, row in dpo.items() if row is not None}
    said = ", ".join(f"{name} {mean:.2f}" for name, mean in means.items())
    if len(means) < len(dpo):
        return f"not run as a whole ({said or 'none of them'})"
    # Runs of one seed meet the same goals in the same order, so they are compared with each other.
    ends = [row["ends"] for row in dpo.values() if row is not None]
    seeds = [seed for seed in ends[0] if all(seed in by_seed for by_seed in ends)]
    won = sum(
        min(online[seed], semi[seed]) > offline[seed] for online, semi, offline in [ends] for seed in seeds
    )
    is_shown = min(means["online"], means["semi_online"]) > means["offline"]
    verdict = "shown" if is_shown else "not shown"
    return f"{verdict}, means {said}, and it is so for {won} of {len(seeds)} seeds"


def _join(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def write_study(
    results: list[dict[str, Any]],
    options: argparse.Namespace,
    *,
    command: str,
    machine: str,
    every_method: Sequence[str],
    claims: Sequence[Claim] = ALL_CLAIMS,
) -> str:
    """Write the section of `docs/benchmarks.md`: command, machine, table, curves, claims.

    Args:
        results: the runs.
        options: what they have in common.
        command: makes them.
        machine: where they were made.
        every_method: what could have been run.
        claims: which are judged.
    """
    rows = list(summarize(results, options.target))
    minutes = sum(result["elapsed_s"] for result in results) / 60.0
    tested, validated = (count * len(options.tasks) for count in (options.test, options.validation))
    end = (
        f", or until a validation was at {options.target:g} (outcome-only GRPO: or after twice the episodes that its seed's "
        f"`{OURS}` needed)"
        if options.until_target
        else ""
    )
    about = (
        f"Held-out success of the greedy policy on {tested} test episodes, before and after {options.steps:,} steps in "
        f"{_join(options.tasks)}{end}, from the same warm start. The last column counts training episodes until success on "
        f"{validated} validation episodes was that high, looked at every {options.every} iterations. One rate of .5 is "
        f"known to within {_half_width(tested):.2f} in a test and {_half_width(validated):.2f} in a validation (95 %)."
    )
    said = judge_claims(rows, options.target, every_method=every_method, claims=claims)
    parts = [
        f"`{command}`",
        f"{machine}; {len(results)} runs, {minutes:.0f} minutes of training.",
        about,
        write_table(rows, options.target),
        write_curves(results),
        "What this shows of what is claimed:",
        "\n".join(f"- {line}" for line in said),
    ]
    return "\n\n".join(parts) + "\n"


def _half_width(count: int) -> float:
    """Give half the width of the 95 % interval of a rate of one half."""
    return float(1.96 * (0.25 / count) ** 0.5)
