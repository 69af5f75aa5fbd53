"""The commands `milepost preferences ...` and `milepost reward-model ...`; each imports what it needs when it runs."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from milepost.envs.commands import console, fail, print_json

if TYPE_CHECKING:
    from milepost.training.config import Config
    from milepost.training.reward_model.pairs import Pair

preferences = typer.Typer(
    help="Preferences between episodes: play, export, ask people.", no_args_is_help=True
)
reward_model = typer.Typer(
    help="The learned reward model: train, measure and refresh it.", no_args_is_help=True
)

Run = Annotated[Path, typer.Argument(help="A run's folder, with `episodes/` in it.")]


def print_dry_run(config: "Config", *, name: str, json_: bool) -> None:
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
    table = Table("count", "estimate", "how", title=f"{name}: what the whole run comes to")
    for count in estimate.counts:
        table.add_row(count.name.replace("_", " "), count.show(), count.how)
    console.print(table)


@preferences.command()
def collect(
    out: Annotated[Path, typer.Argument(help="Folder in which the episodes are recorded.")],
    task: Annotated[list[str], typer.Option(help="Task id with an oracle; repeat for several.")],
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds of each task.")] = 3,
    first_seed: Annotated[int, typer.Option(min=0, help="The first of them.")] = 0,
    repeats: Annotated[int, typer.Option(min=1, help="Episodes of each seed and kind of play.")] = 1,
    contexts: Annotated[int, typer.Option(min=1, help="Browser contexts at once.")] = 4,
) -> None:
    """Play oracles, oracles with mistakes, and attempts to cheat; the tasks' rules score them all."""
    from milepost.envs.task import NoOracleError, UnknownTaskError
    from milepost.training.reward_model.collection import collect_plays, plan_plays

    try:
        chosen = range(first_seed, first_seed + seeds)
        plan = plan_plays(task, seeds=chosen, split="train", repeats=repeats)
        found = asyncio.run(collect_plays(out, plan, contexts=contexts))
    except (NoOracleError, UnknownTaskError) as wrong:
        fail(str(wrong))
    print_json({"episodes": len(found), "solved": sum(one.success for one in found), "run": str(out)})


@preferences.command()
def export(
    run: Run,
    out: Annotated[Path | None, typer.Option(help="The file; default RUN/pairs.jsonl.")] = None,
    labels: Annotated[Path | None, typer.Option(help="What people said, from `label`; it is added.")] = None,
) -> None:
    """Write the preferences that a run's recorded episodes imply, one pair a line."""
    from milepost.training.reward_model.labels import join_pairs, read_verdicts, settle_pairs
    from milepost.training.reward_model.pairs import (
        PAIRS_FILE,
        Label,
        PreferenceError,
        check_pairs,
        export_pairs,
        write_pairs,
    )

    try:
        pairs = export_pairs(run)
        if labels is not None:
            pairs = join_pairs(pairs, settle_pairs(read_verdicts(labels)))
            check_pairs(pairs)
    except PreferenceError as wrong:
        fail(str(wrong))
    path = out or run / PAIRS_FILE
    write_pairs(pairs, path)
    counts = {label.value: sum(pair.source is label for pair in pairs) for label in Label}
    print_json({"pairs": len(pairs), "file": str(path), "by_source": counts})


@preferences.command()
def label(
    run: Run,
    out: Annotated[Path | None, typer.Option(help="The file; default RUN/labels.jsonl.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Sets the order, and who stands left.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="How many comparisons at most.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the loopback; 0 takes a free one.")] = 0,
) -> None:
    """Serve a local page on which people compare two episodes; they share the address, each enters a name.

    Keys: 1 and 2 for the better episode, t for a tie, s to skip, u to take the last answer back.
    """
    from milepost.training.reward_model.labelling.desk import Desk
    from milepost.training.reward_model.labelling.server import LabelServer
    from milepost.training.reward_model.labels import LABELS_FILE
    from milepost.training.reward_model.pairs import PreferenceError

    path = out or run / LABELS_FILE
    try:
        desk = Desk(run, path, seed=seed, limit=limit)
        with LabelServer(desk, port=port) as server:
            console.print(f"{len(desk.comparisons)} comparisons; verdicts go to {path}", markup=False)
            console.print(f"Open {server.url}   (Ctrl+C ends)", markup=False, soft_wrap=True)
            server.wait()
    except PreferenceError as wrong:
        fail(str(wrong))
    except OSError as taken:
        fail(f"port {port} cannot be used: {taken}; choose another with --port")
    except KeyboardInterrupt:
        console.print(f"The verdicts are in {path}.", markup=False)


@preferences.command()
def agreement(
    labels: Annotated[Path, typer.Argument(help="A file of verdicts, such as RUN/labels.jsonl.")],
) -> None:
    """Say whether annotators agree (share, Cohen's kappa) and whether place, length or a person sways verdicts."""
    from milepost.training.reward_model.agreement import measure_agreement
    from milepost.training.reward_model.labels import read_verdicts
    from milepost.training.reward_model.pairs import PreferenceError

    try:
        print_json(measure_agreement(read_verdicts(labels)))
    except PreferenceError as wrong:
        fail(str(wrong))


class Tier(StrEnum):
    """Sizes of the learned reward."""

    SMALL = "small"
    TEXT = "text"


@reward_model.command()
def train(
    run: Run,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Default runs/reward-model.npz, or the folder runs/reward-model for the text tier."
        ),
    ] = None,
    tier: Annotated[
        Tier, typer.Option(help="small: features, seconds. text: a transformer, minutes.")
    ] = Tier.SMALL,
    seed: Annotated[int, typer.Option(min=0, help="Draws weights, features and the bootstrap.")] = 0,
    anchors: Annotated[
        int,
        typer.Option(min=0, help="Keep one template in so many out, for `refresh` to compare on; 0 none."),
    ] = 0,
    source: Annotated[
        str, typer.Option(help="Text tier: `tiny`, or a Hugging Face encoder or causal model's path or name.")
    ] = "tiny",
) -> None:
    """Train a reward model on RUN/pairs.jsonl; it is calibrated on templates it was not fitted to."""
    from milepost.milestones.learned.ensemble import ModelFormatError
    from milepost.training.reward_model.fitting import Recipe
    from milepost.training.reward_model.material import load_material
    from milepost.training.reward_model.measurement import fit_calibrated, keep_anchors
    from milepost.training.reward_model.pairs import PAIRS_FILE, PreferenceError, read_pairs

    try:
        pairs = keep_anchors(read_pairs(run / PAIRS_FILE), one_in=anchors)
        if tier is Tier.SMALL:
            path = out or Path("runs/reward-model.npz")
            model = fit_calibrated(load_material(run, pairs), Recipe(seed=seed))
            model.save(path)
            about = {"digest": model.digest, "templates": len(model.templates)}
        else:
            path = out or Path("runs/reward-model")
            about = _train_text(run, pairs, path, source=source, seed=seed)
    except (PreferenceError, ModelFormatError) as wrong:
        fail(str(wrong))
    print_json({"file": str(path), **about})


def _train_text(
    run: Path, pairs: "Sequence[Pair]", path: Path, *, source: str, seed: int
) -> dict[str, object]:
    from milepost.training.reward_model.material import load_texts
    from milepost.training.reward_model.text_fitting import TextRecipe, fit_text
    from milepost.training.reward_model.text_tier import TINY

    recipe = TextRecipe(source=source, seed=seed)
    if source != TINY:
        recipe = replace(recipe, learning_rate=2e-5)
    model = fit_text(load_texts(run, pairs), recipe)
    model.save(path)
    return {"digest": model.digest, "templates": len(model.templates)}


@reward_model.command()
def refresh(
    model: Annotated[
        Path,
        typer.Argument(help="The model in use, trained with --anchors: a file, or a text model's folder."),
    ],
    run: Annotated[Path, typer.Argument(help="The run with the new preferences.")],
    old: Annotated[Path, typer.Option(help="The run it was trained on: replayed, and the anchors.")],
    out: Annotated[
        Path | None, typer.Option(help="Where the new model goes; default replaces MODEL.")
    ] = None,
    replay: Annotated[float, typer.Option(min=0, max=0.99, help="Part of the loss that is old.")] = 0.5,
) -> None:
    """Go on training on new preferences, replay old ones, and report the drift; a worse model replaces nothing.

    Ends with 1 when the new model does worse on the anchors, templates that neither model was fitted to.
    """
    from milepost.milestones.learned.ensemble import Ensemble, ModelFormatError, load_ensemble
    from milepost.training.reward_model.material import load_material, load_texts
    from milepost.training.reward_model.pairs import PAIRS_FILE, PreferenceError, read_pairs
    from milepost.training.reward_model.refreshing import refresh as refresh_small
    from milepost.training.reward_model.refreshing import refresh_text
    from milepost.training.reward_model.text_tier import TextModel, load_text_model

    fresh: Ensemble | TextModel
    try:
        pairs = [(folder, read_pairs(folder / PAIRS_FILE)) for folder in (run, old)]
        if model.is_dir():
            steps = [load_texts(*one) for one in pairs]
            fresh, drift = refresh_text(load_text_model(model), *steps, replay=replay)
        else:
            features = [load_material(*one) for one in pairs]
            fresh, drift = refresh_small(load_ensemble(model), *features, replay=replay)
    except (PreferenceError, ModelFormatError) as wrong:
        fail(str(wrong))
    path = out or model
    print_json({"file": None if drift.objections else str(path), "digest": fresh.digest, **drift.as_dict()})
    if drift.objections:
        fail(f"{path} is left as it was: {'; '.join(drift.objections)}", code=1)
    fresh.save(path)


@reward_model.command(name="eval")
def evaluate(
    run: Run, folds: Annotated[int, typer.Option(min=2, help="Parts of the templates.")] = 4
) -> None:
    """Measure what training on RUN/pairs.jsonl gives on templates that were held out, by cross-validation."""
    from milepost.training.reward_model.material import load_material
    from milepost.training.reward_model.measurement import cross_validate, measure
    from milepost.training.reward_model.pairs import PAIRS_FILE, PreferenceError, read_pairs

    try:
        material = load_material(run, read_pairs(run / PAIRS_FILE))
        print_json(measure(list(cross_validate(material, folds=folds))))
    except PreferenceError as wrong:
        fail(str(wrong))


def calibrate_judges(
    judge: Annotated[list[str], typer.Argument(help="One to three judges, each as MODEL@URL.")],
    out: Annotated[Path, typer.Option(help="The file, for `reward.judge_labels`.")] = Path(
        "runs/judges.json"
    ),
    risk: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="Part of the scores that may be wrong.")
    ] = 0.02,
    repeats: Annotated[int, typer.Option(min=0, help="How often each case is asked again.")] = 1,
) -> None:
    """Put the labelled cases of the judged tasks to judges: their confidence, and from where on it may be believed."""
    from milepost.envs.apps.judged.labels import read_labels
    from milepost.milestones.judge.confidence import write_confidence
    from milepost.training.config import build_config
    from milepost.training.judges import measure_judges
    from milepost.training.overrides import ConfigError
    from milepost.training.verifiers import check_judges

    try:
        section = build_config({"reward": {"judge": judge}}).reward
        asyncio.run(check_judges(section))
        found = asyncio.run(measure_judges(section, read_labels(), repeats=repeats))
    except ConfigError as wrong:
        fail(str(wrong))
    figures = found.describe(risk=risk)
    write_confidence(found.confidence, out, figures=figures)
    print_json({"file": str(out), **figures})
