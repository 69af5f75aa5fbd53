"""The commands `milepost preferences ...` and `milepost reward-model ...`; each imports what it needs when it runs."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from milepost.envs.commands import console, fail, print_json

if TYPE_CHECKING:
    from milepost.training.config import Config

preferences = typer.Typer(help="Preferences between episodes: play, and export pairs.", no_args_is_help=True)
reward_model = typer.Typer(help="The learned reward model: train it, and measure it.", no_args_is_help=True)

Run = Annotated[Path, typer.Argument(help="A run's folder, with `episodes/` in it.")]


def print_dry_run(config: "Config", *, json_: bool) -> None:
    """Play one group, take one step, and print what the whole run comes to."""
    from milepost.training.display import SilentDisplay, make_display
    from milepost.training.trial import dry_run

    display = SilentDisplay() if json_ else make_display(console)
    try:
        estimate = dry_run(config, progress=display)
    finally:
        display.close()
    if json_:
        print_json(estimate.to_record())
        return
    table = Table("count", "estimate", "how", title=f"{config.run.name}: what the whole run comes to")
    for count in estimate.counts:
        table.add_row(count.name.replace("_", " "), count.show(), count.how)
    console.print(table)


@preferences.command()
def collect(
    out: Annotated[Path, typer.Argument(help="Folder in which the episodes are recorded.")],
    task: Annotated[list[str], typer.Option(help="Task id with an oracle; repeat for several.")],
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds of each task, from 0.")] = 3,
    contexts: Annotated[int, typer.Option(min=1, help="Browser contexts at once.")] = 4,
) -> None:
    """Play oracles, oracles with mistakes, and attempts to cheat; the tasks' rules score them all."""
    from milepost.envs.task import NoOracleError, UnknownTaskError
    from milepost.training.reward_model.collection import collect_plays, plan_plays

    try:
        plan = plan_plays(task, seeds=range(seeds), split="train")
        found = asyncio.run(collect_plays(out, plan, contexts=contexts))
    except (NoOracleError, UnknownTaskError) as wrong:
        fail(str(wrong))
    print_json({"episodes": len(found), "solved": sum(one.success for one in found), "run": str(out)})


@preferences.command()
def export(
    run: Run,
    out: Annotated[Path | None, typer.Option(help="The file; default RUN/pairs.jsonl.")] = None,
) -> None:
    """Write the preferences that a run's recorded episodes imply, one pair a line."""
    from milepost.training.reward_model.pairs import (
        PAIRS_FILE,
        Label,
        PreferenceError,
        export_pairs,
        write_pairs,
    )

    try:
        pairs = export_pairs(run)
    except PreferenceError as wrong:
        fail(str(wrong))
    path = out or run / PAIRS_FILE
    write_pairs(pairs, path)
    counts = {label.value: sum(pair.source is label for pair in pairs) for label in Label}
    print_json({"pairs": len(pairs), "file": str(path), "by_source": counts})


@reward_model.command()
def train(
    run: Run,
    out: Annotated[Path, typer.Option(help="The model's file.")] = Path("runs/reward-model.npz"),
    seed: Annotated[int, typer.Option(min=0, help="Draws weights, features and the bootstrap.")] = 0,
) -> None:
    """Train the small reward model on RUN/pairs.jsonl; a quarter of the templates calibrates it."""
    from milepost.training.reward_model.fitting import Recipe, load_material
    from milepost.training.reward_model.measurement import fit_calibrated
    from milepost.training.reward_model.pairs import PAIRS_FILE, PreferenceError, read_pairs

    try:
        model, held = fit_calibrated(load_material(run, read_pairs(run / PAIRS_FILE)), Recipe(seed=seed))
    except PreferenceError as wrong:
        fail(str(wrong))
    model.save(out)
    print_json({"file": str(out), "digest": model.digest, "calibrated_on": held})


@reward_model.command(name="eval")
def evaluate(
    run: Run, folds: Annotated[int, typer.Option(min=2, help="Parts of the templates.")] = 4
) -> None:
    """Measure what training on RUN/pairs.jsonl gives on templates that were held out, by cross-validation."""
    from milepost.training.reward_model.fitting import load_material
    from milepost.training.reward_model.measurement import cross_validate, measure
    from milepost.training.reward_model.pairs import PAIRS_FILE, PreferenceError, read_pairs

    try:
        material = load_material(run, read_pairs(run / PAIRS_FILE))
        print_json(measure(list(cross_validate(material, folds=folds))))
    except PreferenceError as wrong:
        fail(str(wrong))
