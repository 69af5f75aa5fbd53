"""Commands about rewards and tasks: `audit | explain | rescore | diff | certify | new-task`."""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

if TYPE_CHECKING:
    from milepost.envs.certification import Progress
    from milepost.milestones.rescoring import Rules
    from milepost.sandbox.events import EpisodeStarted

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]


def fail(message: str, code: int = 2) -> NoReturn:
    """Say what is wrong on the error stream and end with a code."""
    errors.print("[bold red]error:[/] ", end="", markup=True)
    errors.print(message, markup=False, soft_wrap=True)
    raise typer.Exit(code)


def print_json(value: object) -> None:
    """Print a value for programs."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def audit(
    run: Annotated[Path, typer.Argument(help="A run directory (runs/NAME), or one episode's folder.")],
    json_: Json = False,
) -> None:
    """Recompute every reward of a run from its event logs and compare byte for byte."""
    from milepost.milestones.audit import audit_run

    if not run.is_dir():
        fail(f"{run} is not a directory; expected a run such as runs/first-light")
    report = audit_run(run)
    if json_:
        print_json(report.as_dict())
    else:
        console.print(report.describe(), markup=False, soft_wrap=True)
    raise typer.Exit(0 if report.clean else 1)


def explain(
    episode: Annotated[Path, typer.Argument(help="An episode's folder (runs/NAME/episodes/ID).")],
    milestone: Annotated[str, typer.Option(help="Only this milestone, or `goal`; default all.")] = "",
    json_: Json = False,
) -> None:
    """Say why each milestone of an episode fired or not: its events, what is missing, what came too early."""
    from milepost.milestones.audit import explain_episode, explain_settlement
    from milepost.milestones.settlement import SettlementError
    from milepost.milestones.spec_error import SpecError
    from milepost.sandbox.log import LogError

    try:
        found = explain_episode(episode, milestone)
        settlement = explain_settlement(episode)
    except (SettlementError, SpecError, LogError, OSError) as error:
        fail(str(error))
    if json_:
        paid = {} if settlement is None else {d.name: d.to_record() for d in settlement.decisions}
        print_json([{**one.as_dict(), "decision": paid.get(one.name)} for one in found])
    else:
        lines = [one.describe() for one in found]
        if settlement is not None:
            lines += ["", "who paid", *settlement.describe(milestone)]
        console.print("\n".join(lines), markup=False, soft_wrap=True)


def rescore(
    run: Annotated[Path, typer.Argument(help="A run directory (runs/NAME), or one episode's folder.")],
    spec: Annotated[
        Path | None,
        typer.Option(help="New rules, YAML or JSON; `$name` in it is a parameter of the episode's task."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="New folder for the new traces, a run that can be audited.")
    ] = None,
    json_: Json = False,
) -> None:
    """Score recorded episodes by new rules, without playing them again; the recording stays as it is.

    Without `--spec` the rules are those that the installed tasks have today.
    """
    from milepost.envs.task import UnknownTaskError
    from milepost.milestones.rescoring import rescore_run
    from milepost.milestones.spec_error import SpecError

    if not run.is_dir():
        fail(f"{run} is not a directory; expected a run such as runs/first-light")
    try:
        report = rescore_run(run, _make_rules(spec), out=out)
    except FileExistsError:
        fail(f"{out} exists already; name a new folder with --out")
    except (SpecError, OSError, UnknownTaskError) as error:
        fail(str(error))
    if json_:
        print_json(report.as_dict())
    else:
        console.print(report.describe(), markup=False, soft_wrap=True)
    raise typer.Exit(0 if report.episodes else 1)


def _make_rules(path: Path | None) -> "Rules":
    """Give the rules of an episode: those of a file, with its task's parameters, or those of its task today."""
    from milepost.envs.registry import get_template
    from milepost.envs.task import Split, Task, UnknownTaskError
    from milepost.milestones.spec_file import compile_spec, read_source

    def draw(started: "EpisodeStarted") -> Task:
        return get_template(started.task).task(started.seed, Split(started.split))

    if path is None:
        return lambda started: draw(started).spec
    text = path.read_text(encoding="utf-8")
    source = read_source(text, str(path))

    def find_params(started: "EpisodeStarted") -> Mapping[str, Any]:
        try:
            return draw(started).params
        except UnknownTaskError:
            return {}

    return lambda started: compile_spec(source, find_params(started) if "$" in text else None)


def diff(
    first: Annotated[Path, typer.Argument(help="A run, an episode's folder, or rules (YAML or JSON).")],
    second: Annotated[Path, typer.Argument(help="What to compare it with, of the same sort.")],
    json_: Json = False,
) -> None:
    """Show in which entries the rewards of two runs, or two sets of rules, differ."""
    from milepost.milestones.rescoring import diff_runs, diff_specs
    from milepost.milestones.spec_error import SpecError
    from milepost.milestones.spec_file import read_spec

    if first.is_dir() is not second.is_dir():
        fail(f"{first} and {second} are not of the same sort; expected two folders or two files of rules")
    try:
        if first.is_dir():
            found = {one.episode: one.detail for one in diff_runs(first, second)}
        else:
            detail = diff_specs(read_spec(first), read_spec(second))
            found = {"rules": detail} if detail else {}
    except (SpecError, OSError) as error:
        fail(str(error))
    if json_:
        print_json(found)
    else:
        lines = [f"{name}: {detail}" for name, detail in found.items()] or ["no difference"]
        console.print("\n".join(lines), markup=False, soft_wrap=True)
    raise typer.Exit(1 if found else 0)


def certify(
    task: Annotated[str, typer.Argument(help="Task id, see `milepost tasks`.")] = "",
    all_: Annotated[bool, typer.Option("--all", help="Certify every task of ours.")] = False,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0.")] = 20,
    solutions: Annotated[
        int, typer.Option(min=0, help="Play the oracle and its alternatives on so many seeds, if more.")
    ] = 0,
    jobs: Annotated[
        int, typer.Option(min=1, help="How many tasks at a time, in processes of their own.")
    ] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave out tasks that are certified on as many seeds already.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Play nothing: say whether the kept certificates are still right.")
    ] = False,
    json_: Json = False,
) -> None:
    """Prove that a task can be solved and not be hacked, and keep the certificate beside the task.

    Plays the oracle, its alternatives and sixteen adversaries on every seed, and tries weaker rules on their logs.
    """
    from milepost.envs.certificate import find_fault
    from milepost.envs.certification import certify_rows
    from milepost.envs.registry import get_template, templates
    from milepost.envs.task import UnknownTaskError
    from milepost.milestones.spec_error import SpecError
    from milepost.sandbox.chromium import BrowserNotFoundError
    from milepost.sandbox.failure import SandboxError

    if bool(task) is all_:
        fail("name one task, such as `milepost certify ReportExport-v0`, or say --all")
    rows = templates()
    try:
        wanted = rows if all_ else [row for row in rows if row.id == get_template(task).id]
        if not wanted:
            fail(f"{task} is of another package; certificates are kept for our own tasks only")
        if check:
            faults = {row.id: find_fault(row, get_template(row.id)) for row in wanted}
            _show_faults(faults, json_)
            raise typer.Exit(1 if any(faults.values()) else 0)
        if resume:
            wanted = [row for row in wanted if find_fault(row, get_template(row.id), seeds, solutions)]
        made = []
        with _show_progress() as progress:
            for certificate in certify_rows(
                wanted, seeds=seeds, solutions=solutions, jobs=jobs, progress=progress
            ):
                made.append(certificate)
                if not json_:
                    console.print(certificate.describe(), markup=False, soft_wrap=True)
    except (BrowserNotFoundError, SandboxError, SpecError, UnknownTaskError) as error:
        fail(str(error))
    if json_:
        print_json([certificate.to_record() for certificate in made])
    raise typer.Exit(0 if all(certificate.passed for certificate in made) else 1)


@contextlib.contextmanager
def _show_progress() -> Iterator["Progress"]:
    """Show a bar for each task that is being certified, on the error stream and if that is a terminal."""
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    bars: dict[str, TaskID] = {}
    with Bars(console=errors, transient=True, disable=not errors.is_terminal) as shown:

        def tell(task: str, done: int, of: int) -> None:
            if task not in bars:
                bars[task] = shown.add_task(f"{task}, seeds", total=of)
            shown.update(bars[task], completed=done, visible=done < of)

        yield tell


def _show_faults(faults: Mapping[str, str], json_: bool) -> None:
    if json_:
        print_json(faults)
        return
    for name, fault in faults.items():
        console.print(fault or f"{name}: the certificate is right", markup=False, soft_wrap=True)


def new_task(
    name: Annotated[str, typer.Argument(help="The task's name in CamelCase, such as NoteArchive.")],
    family: Annotated[str, typer.Option(help="navigation, form, file, email, settings or search.")] = "form",
    summary: Annotated[
        str, typer.Option(help="A line about what the agent does.")
    ] = "Fill in a form, send it and confirm in a dialog.",
    root: Annotated[Path, typer.Option(help="The checkout of milepost to write into.")] = Path(),
) -> None:
    """Begin a new task: an app, rules, an oracle, a row and a test that work as they are, to be changed."""
    from milepost.envs.scaffold import ScaffoldError, begin_task

    try:
        made = begin_task(root, name, family=family, summary=summary)
    except (ScaffoldError, OSError) as error:
        fail(str(error))
    console.print(made.describe(), markup=False, soft_wrap=True)
