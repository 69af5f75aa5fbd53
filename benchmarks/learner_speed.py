"""The learner's step against TRL 1.16's GRPO step, on the rows that computer use gives.

    python -m benchmarks.learner_speed [--model tiny|100m] [--turns 6] [--rounds 3] [--share 0 0.6 1] [--recompute]
    python -m benchmarks.learner_speed --memory [--model tiny|100m]      # what settings do to the peak
    python -m benchmarks.learner_speed --count [--turns 6]               # tokens that both compute, without computing
    python -m benchmarks.learner_speed --recorded runs/first-light       # what the turns of a run share

A group of 8 members plays 6 turns; an observation has 300 to 3,000 tokens, an action 24, every turn is a row. `share`
is the part of the rows whose prompt other members of the group have too, as when they took the same path. Each learner
has a process of its own, and they take their steps in turn, never at once, from the same weights, in float32: forward,
backward, clipping, AdamW. Both losses are the mean over tokens (DAPO), and the norms of their gradients are compared.
`--recompute` is gradient checkpointing on both sides.

Peak memory is the most that was resident during a step, less what was resident before it. `--limit` bounds each
process; a learner that does not fit fails alone, and its ratio is a bound. Linux only.
"""

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.learner_peers import Setting, Took, TooLarge, Worker, load_model, run_peer
from milepost.training.batch import Row, cut_batch

GROUP, ACTION, SHORTEST, LONGEST = 8, 24, 300, 3000
MICRO_ROWS = 8
"""Rows of TRL's micro-batch by default."""
TOKEN_BUDGET = 8192
"""Tokens of ours in this benchmark; `optim.token_budget` is 16,384 where nothing is said."""


def make_rows(rng: np.random.Generator, *, turns: int, share: float, vocabulary: int) -> list[Row]:
    """Draw one group's rows; of each turn's, as many as `share` asks for have the same prompt."""
    rows: list[Row] = []
    wanted = 0.0
    for _ in range(turns):
        wanted += share * GROUP
        common = round(wanted)
        wanted -= common
        prompts = [draw_ids(rng, int(rng.integers(SHORTEST, LONGEST)), vocabulary) for _ in range(GROUP)]
        for member, prompt in enumerate(prompts):
            rows.append(
                Row(
                    prompt_ids=prompts[0] if member < common else prompt,
                    completion_ids=draw_ids(rng, ACTION, vocabulary),
                    sampler_logps=(-1.0,) * ACTION,
                    advantage=float(rng.normal()),
                )
            )
    weight = 1.0 / (len(rows) * ACTION)
    return [replace(rows[i], weight=weight) for i in rng.permutation(len(rows)).tolist()]


def draw_ids(rng: np.random.Generator, count: int, vocabulary: int) -> tuple[int, ...]:
    """Draw tokens, control tokens left out."""
    return tuple(rng.integers(8, vocabulary, size=count).tolist())


def compare(
    workers: dict[str, Worker], share: float, *, turns: int, rounds: int, vocabulary: int, budget: int
) -> Iterator[dict[str, Any]]:
    """Take steps on the same rows in turn, and give the figures after every round."""
    steps: dict[str, list[Took]] = {name: [] for name in workers}
    cut: list[Any] = []
    for number in range(rounds):
        drawn = np.random.default_rng([17, number])
        rows = make_rows(drawn, turns=turns, share=share, vocabulary=vocabulary)
        cut = cut or list(cut_batch(rows, token_budget=budget))
        for name in sorted(workers, reverse=number % 2 == 1):
            answer = workers[name].step(rows)
            if isinstance(answer, TooLarge):
                yield {"share": share, **bound_memory(name, answer, steps)}
                return
            steps[name].append(answer)
        yield describe(steps) | {
            "share": share,
            "rows": turns * GROUP,
            "tokens_of_rows": sum(micro.given for micro in cut),
            "tokens_computed": sum(micro.tokens for micro in cut),
        }


def bound_memory(name: str, too_large: TooLarge, steps: dict[str, list[Took]]) -> dict[str, Any]:
    """Say which learner did not fit, and where that is TRL what ours took of that at most."""
    facts: dict[str, Any] = {"did_not_fit": name, "more_than_mib": too_large.more_than_mib}
    if name == "milepost" or not steps["milepost"]:
        return facts
    peak = max(one.peak_mib for one in steps["milepost"])
    return facts | {"milepost_mib": peak, "memory_ratio_below": peak / too_large.more_than_mib}


def describe(steps: dict[str, list[Took]]) -> dict[str, Any]:
    """Give the ratios of the rounds so far."""
    ours, theirs = steps["milepost"], steps["trl"]
    peaks = {name: max(one.peak_mib for one in own) for name, own in steps.items()}
    ratios = [b.seconds / a.seconds for a, b in zip(ours, theirs, strict=True)]
    return {
        "grad_norms_differ": abs(ours[0].grad_norm - theirs[0].grad_norm) / theirs[0].grad_norm,
        "seconds": {name: statistics.median(one.seconds for one in own) for name, own in steps.items()},
        "ratios": ratios,
        "cpu_ratios": [b.cpu_s / a.cpu_s for a, b in zip(ours, theirs, strict=True)],
        "ratio": statistics.median(ratios),
        "peak_mib": peaks,
        "memory_ratio": peaks["milepost"] / peaks["trl"],
        "steps": {name: [asdict(one) for one in own] for name, own in steps.items()},
    }


def measure_memory(
    settings: Sequence[Setting], *, threads: int, limit_gib: float
) -> Iterator[dict[str, Any]]:
    """Let each learner take a step on its largest micro-batch of one turn's rows, none shared."""
    vocabulary = count_words(settings[0].model)
    rows = make_rows(np.random.default_rng([17, 0]), turns=1, share=0.0, vocabulary=vocabulary)
    for setting in settings:
        with run_peer(setting, threads=threads, limit_gib=limit_gib) as worker:
            answer = worker.step(setting.pick_largest(rows))
        yield {"setting": str(setting), **asdict(answer)}


def count_tokens(
    share: float, *, turns: int, vocabulary: int, budget: int, micro_rows: int
) -> dict[str, Any]:
    """Count what the rows of the first round have, what we compute of them, and what TRL does, padding included."""
    rows = make_rows(np.random.default_rng([17, 0]), turns=turns, share=share, vocabulary=vocabulary)
    parts = [rows[start : start + micro_rows] for start in range(0, len(rows), micro_rows)]
    cut = list(cut_batch(rows, token_budget=budget))
    return {
        "share": share,
        "rows": len(rows),
        "tokens_of_rows": sum(micro.given for micro in cut),
        "milepost": sum(micro.tokens for micro in cut),
        "trl": sum(len(part) * (max(len(row.prompt_ids) for row in part) + ACTION) for part in parts),
    }


def count_words(model: str) -> int:
    """Give the size of a model's vocabulary."""
    return int(load_model(model)[0].config.vocab_size)


def list_settings(model: str) -> list[Setting]:
    """List both sides' defaults and what lowers their peaks; what a learner does by default comes first."""
    ours = [(16_384, False), (8192, False), (4096, False), (16_384, True), (8192, True), (4096, True)]
    theirs = [(8, True), (8, False), (2, True), (2, False)]
    return [
        Setting(learner, size, recompute, model)
        for learner, sizes in (("milepost", ours), ("trl", theirs))
        for size, recompute in sizes
    ]


def measure_recorded(run: Path) -> dict[str, float]:
    """Find how much the turns of recorded episodes share: of `episodes/*/turns.jsonl`, group by group."""
    groups: dict[str, list[tuple[int, ...]]] = {}
    for file in sorted(run.glob("episodes/*/turns.jsonl")):
        group = file.parent.name.rsplit("-", 1)[0]
        for line in file.read_text(encoding="utf-8").splitlines():
            groups.setdefault(group, []).append(tuple(json.loads(line)["prompt_ids"]))
    prompts = [ids for members in groups.values() for ids in members]
    shared = sum(members.count(ids) > 1 for members in groups.values() for ids in members)
    rows = [Row(prompt_ids=ids, completion_ids=(0,), sampler_logps=(0.0,)) for ids in prompts]
    cut = list(cut_batch(rows, token_budget=TOKEN_BUDGET))
    return {
        "turns": float(len(prompts)),
        "shared_prompts": shared / len(prompts),
        "tokens_computed": sum(micro.tokens for micro in cut) / sum(micro.given for micro in cut),
    }


def build_parser() -> argparse.ArgumentParser:
    """Say what may be asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=("tiny", "100m"), default="tiny")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=6, help="turns of the group: rows are 8 times as many")
    parser.add_argument("--share", type=float, nargs="+", default=[0.0, 0.6, 1.0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--recompute", action="store_true", help="gradient checkpointing on both sides")
    parser.add_argument("--micro-rows", type=int, default=MICRO_ROWS, help="rows of TRL's micro-batch")
    parser.add_argument("--token-budget", type=int, default=TOKEN_BUDGET, help="tokens of milepost's")
    parser.add_argument("--limit", type=float, default=14.0, help="GiB of data a learner's process may have")
    parser.add_argument("--memory", action="store_true", help="peaks of several settings, and stop")
    parser.add_argument("--only", default="", help="with --memory: settings whose names hold this")
    parser.add_argument("--count", action="store_true", help="count tokens, and stop")
    parser.add_argument("--recorded", type=Path, help="a run's folder: report what its turns share, and stop")
    parser.add_argument(
        "--keep", type=Path, help="a file to which every result is added as soon as it is there"
    )
    parser.add_argument("--json", action="store_true")
    return parser


def run_steps(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Compare all shares, whose workers are new for each, so that weights are the same."""
    settings = [
        Setting("milepost", options.token_budget, options.recompute, options.model),
        Setting("trl", options.micro_rows, options.recompute, options.model),
    ]
    vocabulary = count_words(options.model)
    for share in options.share:
        with ExitStack() as stack:
            workers = {
                setting.learner: stack.enter_context(
                    run_peer(setting, threads=options.threads, limit_gib=options.limit)
                )
                for setting in settings
            }
            found = compare(
                workers,
                share,
                turns=options.turns,
                rounds=options.rounds,
                vocabulary=vocabulary,
                budget=options.token_budget,
            )
            yield from ({"settings": [str(s) for s in settings], **facts} for facts in found)


def main() -> None:
    """Measure and print."""
    parser = build_parser()
    options = parser.parse_args()
    if options.recorded is not None:
        print(json.dumps(measure_recorded(options.recorded)))
        return
    if options.count:
        words = count_words(options.model)
        for share in options.share:
            sizes = {"budget": options.token_budget, "micro_rows": options.micro_rows}
            print(json.dumps(count_tokens(share, turns=options.turns, vocabulary=words, **sizes)))
        return
    if options.memory:
        settings = [one for one in list_settings(options.model) if options.only in str(one)]
        if not settings:
            names = "; ".join(map(str, list_settings(options.model)))
            parser.error(f"--only {options.only!r} is in no setting's name; there are: {names}")
        found = measure_memory(settings, threads=options.threads, limit_gib=options.limit)
    else:
        found = run_steps(options)
    results = []
    for facts in found:
        results.append(facts)
        if options.keep is not None:
            with options.keep.open("a", encoding="utf-8") as file:
                file.write(json.dumps(facts) + "\n")
        if not options.json:
            print(show_peak(facts) if options.memory else show_step(facts), flush=True)
    if options.json:
        print(json.dumps({"model": options.model, "threads": options.threads, "results": results}, indent=1))


def show_peak(facts: dict[str, Any]) -> str:
    """Give a line of the settings' table."""
    if "more_than_mib" in facts:
        return f"{facts['setting']}: did not fit, more than {facts['more_than_mib']:.0f} MiB"
    return f"{facts['setting']}: {facts['peak_mib']:.0f} MiB over {facts['before_mib']:.0f}, {facts['seconds']:.1f} s"


def show_step(facts: dict[str, Any]) -> str:
    """Give a line of a comparison."""
    if "did_not_fit" in facts:
        line = f"share {facts['share']:.0%}: {facts['did_not_fit']} needs more than {facts['more_than_mib']:.0f} MiB"
        if "milepost_mib" in facts:
            line += f", milepost {facts['milepost_mib']:.0f} (< {facts['memory_ratio_below']:.2f})"
        return line
    return (
        f"share {facts['share']:.0%}: milepost {facts['seconds']['milepost']:.2f} s, trl {facts['seconds']['trl']:.2f} s, "
        f"ratio {facts['ratio']:.2f} (rounds {', '.join(f'{r:.2f}' for r in facts['ratios'])}; of "
        f"processor time {', '.join(f'{r:.2f}' for r in facts['cpu_ratios'])}); tokens computed "
        f"{facts['tokens_computed']} of {facts['tokens_of_rows']}; gradient norms differ by {facts['grad_norms_differ']:.0e}; peak memory "
        f"{facts['peak_mib']['milepost']:.0f} of {facts['peak_mib']['trl']:.0f} MiB ({facts['memory_ratio']:.2f})"
    )


if __name__ == "__main__":
    main()
