"""The command line: `milepost tasks | play | train | eval | audit | explain | rescore | diff | ...`."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from milepost.envs import commands
from milepost.envs.commands import Json, console, errors, fail, print_json
from milepost.envs.registry import get_template, imported_templates, templates
from milepost.training.commands import calibrate_judges, preferences, print_dry_run, reward_model

if TYPE_CHECKING:
    from milepost.agents.agent import Agent
    from milepost.envs.task import Template

app = typer.Typer(
    name="milepost",
    help="Train LLM agents to use computers, with rewards that can be recomputed from what happened.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(preferences, name="preferences")
app.add_typer(reward_model, name="reward-model")
Split = Annotated[str, typer.Option(help="Part of the task space: train, validation or test.")]

for command in (commands.audit, commands.explain, commands.rescore, commands.diff, commands.certify):
    app.command()(command)
app.command(name="new-task")(commands.new_task)
app.command(name="calibrate-judges")(calibrate_judges)


@app.command()
def tasks(
    all_: Annotated[
        bool, typer.Option("--all", help="List the tasks of other installed packages too: MiniWoB++.")
    ] = False,
    json_: Json = False,
) -> None:
    """List the tasks: id, family, step limit, and what the agent does."""
    rows = (*templates(), *imported_templates()) if all_ else templates()
    if json_:
        fields = ("id", "family", "summary", "max_steps")
        print_json([{"env": f"milepost/{r.id}", **{f: getattr(r, f) for f in fields}} for r in rows])
        return
    table = Table("task", "family", "steps", "what the agent does")
    for row in rows:
        table.add_row(row.id, row.family, str(row.max_steps), row.summary)
    console.print(table)
    console.print('Use one with gymnasium.make("milepost/<task>") or watch it: milepost play <task>')


@app.command()
def play(
    task: Annotated[str, typer.Argument(help="Task id, see `milepost tasks`.")],
    policy: Annotated[
        str, typer.Option(help="`oracle`, `alternative:NAME`, `random`, `tiny`, or a model's path.")
    ] = "oracle",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the task.")] = 0,
    split: Split = "train",
    headed: Annotated[bool, typer.Option("--headed", help="Show the browser window.")] = False,
    temperature: Annotated[
        float, typer.Option(min=0.0, help="Sampling temperature of a model; 0 is greedy.")
    ] = 0.0,
    json_: Json = False,
) -> None:
    """Play one episode and print every step: observation, action, reward and what fired."""
    from milepost.envs.task import UnknownTaskError
    from milepost.sandbox.browser import BrowserLaunchError
    from milepost.sandbox.chromium import BrowserNotFoundError
    from milepost.sandbox.failure import SandboxError

    try:
        template = get_template(task)
        agent = _make_agent(policy, template, seed, split, temperature)
        success = asyncio.run(_play(template, agent, seed, split, headed, json_))
    except (
        UnknownTaskError,
        BrowserNotFoundError,
        BrowserLaunchError,
        SandboxError,
        ValueError,
    ) as error:
        fail(str(error))
    raise typer.Exit(0 if success else 1)


def _make_agent(policy: str, template: "Template", seed: int, split: str, temperature: float) -> "Agent":
    import numpy as np

    from milepost.agents.scripted import OracleAgent, RandomAgent
    from milepost.envs.task import Split as TaskSplit

    if policy == "oracle" or policy.startswith("alternative:"):
        return OracleAgent(template.task(seed, TaskSplit(split)).find_oracle(policy))
    if policy == "random":
        return RandomAgent(np.random.default_rng(seed))
    from milepost.training.contest import load_agent

    return load_agent(policy, temperature=temperature, seed=seed)


async def _play(
    template: "Template", agent: "Agent", seed: int, split: str, headed: bool, json_: bool
) -> bool:
    from milepost.envs.conditions import Conditions
    from milepost.envs.episode import Episode
    from milepost.envs.task import Split as TaskSplit
    from milepost.sandbox.browser import BrowserOptions
    from milepost.sandbox.pool import Pool

    pool = Pool(contexts=1, options=BrowserOptions(headed=headed))
    say: Callable[[str], None] = (
        (lambda text: None) if json_ else (lambda text: console.print(text, markup=False))
    )
    steps: list[dict[str, Any]] = []
    try:
        await pool.warm_up()
        conditions = Conditions(screenshot=getattr(agent, "sees", False))
        episode, view = await Episode.open(pool, template, seed, TaskSplit(split), conditions=conditions)
        say(f"goal: {view.goal}\n\n{view.url}  {view.title}\n{view.tree}")
        while not episode.over and not episode.faults:
            decision = await agent.act(view)
            outcome = await episode.step(decision.text)
            view = outcome.observation
            fired = {name: str(value) for name, value in outcome.rewards.items()}
            steps.append(
                {"action": view.last_action, "error": view.last_error, "rewards": fired, "tree": view.tree}
            )
            wrong = f"   error: {view.last_error}" if view.last_error else ""
            say(f"\nstep {episode.steps}: {view.last_action}{wrong}")
            for name, value in fired.items():
                say(f"  + {value} {name}")
            say(f"\n{view.url}  {view.title}\n{view.tree}")
        success, faults = episode.success, episode.faults
        await episode.close()
    finally:
        await pool.close()
    say(f"\ngoal {'' if success else 'not '}reached in {len(steps)} steps")
    if json_:
        print_json({"task": template.id, "seed": seed, "split": split, "success": success, "steps": steps})
    if faults:
        fail(f"the task's own site broke: {faults[0]}")
    return success


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="TOML file, such as configs/first-light.toml.")],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Override a setting, e.g. `--set train.iterations=5`."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default runs/CONFIG.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted run from its checkpoint.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Play one group, take one step, and print what the run comes to."),
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the dry run's counts as JSON.")] = False,
) -> None:
    """Train a policy by milestone rewards and write its run folder, checkpoints and report."""
    from milepost.agents.agent import ModelLoadError
    from milepost.agents.engines.engine import EngineError
    from milepost.envs.task import UnknownTaskError
    from milepost.sandbox.browser import BrowserLaunchError
    from milepost.sandbox.chromium import BrowserNotFoundError
    from milepost.training.backends.backend import BackendError
    from milepost.training.checkpoint import CheckpointError
    from milepost.training.config import load_config
    from milepost.training.display import make_display
    from milepost.training.failures import FailureBudgetError
    from milepost.training.follower import follow
    from milepost.training.learner import DivergedError
    from milepost.training.overrides import ConfigError
    from milepost.training.policy import UnsupportedModelError
    from milepost.training.ranks import join_ranks
    from milepost.training.run import RunExistsError
    from milepost.training.trainer import TrainingInterruptedError
    from milepost.training.trainer import train as run_training

    try:
        settings = load_config(config, set_ or ())
        if dry_run:
            print_dry_run(settings, name=config.stem, json_=json_)
            return
        ranks = join_ranks()
        if not ranks.leads:
            follow(settings, ranks)
            return
        folder = out or Path("runs") / config.stem
        summary = run_training(settings, folder, resume=resume, progress=make_display(console), ranks=ranks)
    except TrainingInterruptedError as stopped:
        errors.print(str(stopped), markup=False, soft_wrap=True)
        raise typer.Exit(130) from None
    except (
        BackendError,
        BrowserLaunchError,
        BrowserNotFoundError,
        CheckpointError,
        ConfigError,
        DivergedError,
        EngineError,
        FailureBudgetError,
        ModelLoadError,
        OSError,
        RunExistsError,
        UnknownTaskError,
        UnsupportedModelError,
    ) as error:
        fail(str(error))
    console.print(summary.describe(), markup=False)


@app.command(name="eval")
def evaluate(
    policy: Annotated[
        str,
        typer.Argument(
            help="`oracle`, `random`, `tiny`, the path of a model, checkpoint or run, or `openai:MODEL@URL` "
            "(any chat endpoint; its key in MILEPOST_API_KEY)."
        ),
    ],
    task: Annotated[list[str] | None, typer.Option(help="Task id; repeat for several; default all.")] = None,
    split: Split = "test",
    episodes: Annotated[int, typer.Option(min=1, help="Episodes of each task, one seed each.")] = 32,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first episode.")] = 0,
    temperature: Annotated[float, typer.Option(min=0.0, help="Sampling temperature; 0 is greedy.")] = 0.0,
    contexts: Annotated[int, typer.Option(min=1, help="Browser contexts at once.")] = 8,
    engine: Annotated[
        str, typer.Option(help="What serves a model: `transformers`, `vllm`, or `vllm@URL`.")
    ] = "transformers",
    reward: Annotated[
        Path | None,
        typer.Option(
            help="Configuration or run whose [reward] section says who scores; default rules alone."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder in which the episodes are recorded.")] = None,
    json_: Json = False,
) -> None:
    """Measure a policy's success on held-out tasks, with 95 % intervals."""
    from milepost.agents.agent import ModelLoadError
    from milepost.agents.engines.engine import EngineError
    from milepost.envs.task import UnknownTaskError
    from milepost.sandbox.browser import BrowserLaunchError
    from milepost.sandbox.chromium import BrowserNotFoundError
    from milepost.training.checkpoint import CheckpointError
    from milepost.training.contest import measure_policy, read_reward
    from milepost.training.display import show_score
    from milepost.training.failures import FailureBudgetError
    from milepost.training.overrides import ConfigError

    try:
        ids = task or [row.id for row in templates()]
        section = read_reward(reward, ids) if reward is not None else None
        score = asyncio.run(
            measure_policy(
                policy,
                ids,
                split=split,
                episodes=episodes,
                first_seed=first_seed,
                temperature=temperature,
                contexts=contexts,
                folder=out,
                engine=engine,
                reward=section,
            )
        )
    except (
        BrowserLaunchError,
        BrowserNotFoundError,
        CheckpointError,
        ConfigError,
        EngineError,
        FailureBudgetError,
        ModelLoadError,
        UnknownTaskError,
        ValueError,
    ) as error:
        fail(str(error))
    record = score.to_record()
    if json_:
        print_json(record)
        return
    show_score(console, record)


@app.command(name="verify-determinism")
def verify(
    task: Annotated[str, typer.Argument(help="Task id.")],
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0.")] = 5,
    split: Split = "test",
    json_: Json = False,
) -> None:
    """Play the task's own solution twice on each seed: what is shown, witnessed and paid must be the same."""
    from milepost.envs.determinism import verify_determinism
    from milepost.envs.task import Split as TaskSplit
    from milepost.envs.task import UnknownTaskError
    from milepost.sandbox.failure import SandboxError
    from milepost.sandbox.pool import Pool

    async def run() -> list[dict[str, Any]]:
        pool = Pool(contexts=1)
        try:
            found = await verify_determinism(
                pool, get_template(task), seeds=range(seeds), split=TaskSplit(split)
            )
        finally:
            await pool.close()
        return [{**asdict(one), "text": one.describe()} for one in found]

    try:
        differences = asyncio.run(run())
    except (SandboxError, UnknownTaskError, ValueError) as error:
        fail(str(error))
    if json_:
        print_json({"task": task, "seeds": seeds, "differences": differences})
    else:
        for one in differences:
            console.print(one["text"], markup=False, soft_wrap=True)
        console.print(f"{task}: {seeds - len(differences)} of {seeds} seeds were the same twice")
    raise typer.Exit(1 if differences else 0)


@app.command()
def pretrain(
    out: Annotated[Path, typer.Option(help="Folder for the checkpoint.")] = Path("runs/tiny"),
    seed: Annotated[int, typer.Option(min=0, help="Draws the weights and the lessons.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 2,
) -> None:
    """Make the built-in tiny policy anew, from random weights (about half an hour on two cores)."""
    import torch

    from milepost.training.curriculum import pretrain as run_course

    torch.set_num_threads(threads)
    accuracy = run_course(out, seed=seed, report=lambda line: console.print(line, markup=False))
    for lesson, share in accuracy.items():
        console.print(f"{lesson}: {share:.2f} solved", markup=False)


@app.command()
def algorithms(
    json_: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/algorithms.md.")] = False,
) -> None:
    """List the algorithms of both loops: each with its parts, where its formula stands, and its defaults."""
    from milepost.training.catalogue import describe_algorithms, write_page

    rows = describe_algorithms()
    if markdown:
        sys.stdout.write(write_page())
    elif json_:
        print_json(rows)
    else:
        table = Table("name", "learns from", "loss", "what it is")
        table.columns[0].no_wrap = True
        for row in rows:
            parts = row["parts"]
            taught = parts.get("advantage") or parts["learns_from"]
            table.add_row(row["name"], taught, parts["loss"], row["summary"])
        console.print(table)


@app.command()
def doctor(json_: Json = False) -> None:
    """Check this machine: Python, packages, the browser, loopback ports, disk and cores."""
    from milepost.sandbox.doctor import describe_checks, run_checks

    checks = asyncio.run(run_checks())
    if json_:
        print_json([check.as_dict() for check in checks])
    else:
        console.print(describe_checks(checks), markup=False, soft_wrap=True)
    raise typer.Exit(1 if any(check.status == "fail" for check in checks) else 0)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
