"""The loop: imitate for a short while, then roll out, give credit, learn, and look at held-out tasks."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from milepost.agents.agent import ModelLoadError
from milepost.agents.engines.choice import check_installed
from milepost.agents.sight import find_sight
from milepost.agents.template import check_template
from milepost.envs.registry import get_template
from milepost.training.adapters import check_adapter
from milepost.training.arena import build_arena
from milepost.training.batch import Row
from milepost.training.checkpoint import TrainState, restore_optimizer
from milepost.training.config import Config, count_engine_threads
from milepost.training.display import Display, SilentDisplay
from milepost.training.evaluation import describe_turns, plan_evaluation, summarize
from milepost.training.follower import check_ranks
from milepost.training.horizon import find_limits
from milepost.training.imitation import (
    build_drill,
    collect_examples,
    demonstrators,
    follow_oracles,
    plan_rehearsal,
)
from milepost.training.keeper import Keeper
from milepost.training.learner import Learner
from milepost.training.memory import check_memory, estimate_memory, find_memory
from milepost.training.metrics import MetricsLog, count_steps, find_evaluation, watch_routes
from milepost.training.pipeline import Pipeline, measure_staleness
from milepost.training.preference_learner import PreferenceLearner
from milepost.training.ranks import Ranks
from milepost.training.report.report import write_report
from milepost.training.run import (
    Summary,
    abandon_run,
    find_reference,
    hold_run,
    load_start,
    open_run,
    read_summary,
    run_until_told,
    write_summary,
)
from milepost.training.sampler import TaskSampler, find_selection, plan_groups
from milepost.training.study import check_study, draw_lessons, load_lessons
from milepost.training.teaching import build_learner, teach
from milepost.training.trajectory import Trajectory
from milepost.training.verifiers import check_reward


class TrainingInterruptedError(RuntimeError):
    """The run was stopped from outside; the message says how to go on."""


def train(
    config: Config,
    out: Path,
    *,
    resume: bool = False,
    progress: Display | None = None,
    ranks: Ranks | None = None,
) -> Summary:
    """Train a policy and leave a run folder behind.

    Args:
        config: what to do.
        out: the run's folder.
        resume: continue an interrupted run; a finished one is left as it is.
        progress: shows how it goes; nothing by default.
        ranks: the processes that learn together, of which this one leads; it is alone by default.

    Returns:
        What the run came to.

    Raises:
        RunExistsError: the folder is in use and `resume` is not set, or another process trains it.
        ConfigError: a resumed run had another configuration, options do not go together, a judge is not there.
        PreferenceFileError: the preference file is not as it should be.
        UnknownTaskError: a task id is not known.
        ModelLoadError: the policy cannot be loaded.
        CheckpointError: a checkpoint cannot be written or read.
        FailureBudgetError: too many episodes failed for reasons that are not the policy's.
        DivergedError: the loss is no longer a number.
        EngineError: the engine cannot start, fails, or serves other weights than the policy's.
        TrainingInterruptedError: Ctrl-C or SIGTERM; what was learnt is kept.
    """
    display = progress or SilentDisplay()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    for task_id in config.tasks.ids:
        get_template(task_id)
    check_study(config)
    check_adapter(config)
    ranks = ranks or Ranks()
    check_ranks(config, ranks)
    check_reward(config)
    check_installed(config.policy.engine)
    parts = ranks.world if ranks.sharded else 1
    check_memory(config, find_memory(), needed=estimate_memory(config, parts=parts))
    with hold_run(out):
        return _train_held(config, out, resume=resume, display=display, ranks=ranks)


def _train_held(config: Config, out: Path, *, resume: bool, display: Display, ranks: Ranks) -> Summary:
    found = open_run(out, config, resume=resume)
    torch.set_num_threads(count_engine_threads(config))
    checkpoint, state = found or (None, None)
    try:
        model, tokenizer = load_start(config, checkpoint)
    except ModelLoadError:
        abandon_run(out)
        raise
    trainer = Trainer(config, out, model, tokenizer, display, ranks=ranks)
    if checkpoint is not None and state is not None:
        trainer.restore(checkpoint, state)
        done = read_summary(out)
        if done is not None and trainer.reason_to_stop():
            display.say(f"{out} is finished; raise train.iterations or train.budget to train on")
            ranks.tell("stop")
            return done
        display.say(f"resuming {out} after iteration {state.iteration}")
    try:
        summary = asyncio.run(run_until_told(trainer.run()))
        ranks.tell("stop")
        return summary
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise TrainingInterruptedError(trainer.interrupt()) from None
    finally:
        trainer.log.close()
        display.close()


class Trainer:
    """Owns the parts of a run. `train` is the way in."""

    def __init__(
        self,
        config: Config,
        out: Path,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        display: Display,
        *,
        ranks: Ranks,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self._ranks = ranks
        self.log = MetricsLog(out)
        self._out = out
        self._model = model
        self._tokenizer = tokenizer
        self._display = display
        self._clock = clock
        self._iteration = 0
        self._validated = -1.0
        self._evaluation_s = 0.0
        self._rng = np.random.default_rng([config.run.seed, 1])
        self._sampler = TaskSampler(
            config.tasks.ids, run_seed=config.run.seed, selection=find_selection(config.algorithm.flags)
        )
        self._arena = build_arena(config, model, tokenizer, out, display, clock=clock)
        self._pipeline = Pipeline(self._arena, config, self._sampler, self._rng, display)
        self._keeper = Keeper(
            out,
            config,
            model=model,
            tokenizer=tokenizer,
            sampler=self._pipeline,
            rng=self._rng,
            log=self.log,
            clock=clock,
        )
        self._lessons = load_lessons(config, model)
        self._demonstrations: list[Row] = []
        self._learner: Learner | PreferenceLearner | None = None
        self._restored: Path | None = None

    def restore(self, checkpoint: Path, state: TrainState) -> None:
        """Go back to a checkpoint, whose weights the model already has."""
        self._iteration = state.iteration
        self._arena.first_version = state.policy_version
        self._keeper.restore(state)
        self._validated = self._find_validated()
        self._restored = checkpoint

    async def run(self) -> Summary:
        """Do everything from the first rollout to the report."""
        self._keeper.begin()
        self._validated = self._find_validated()
        async with self._arena:
            if self._restored is None:
                self._display.say(self._describe_prompts())
                await self._imitate()
            await self._prepare_learner()
            if self._restored is None:
                await self._begin()
            try:
                while not (reason := self.reason_to_stop()):
                    await self._iterate()
            finally:
                await self._pipeline.stop()
            return await self._finish(reason)

    def _describe_prompts(self) -> str:
        if find_sight(self._model) is not None:
            return "the policy sees: every prompt holds a screenshot, and every turn is learnt as a sequence of its own"
        return str(check_template(self._tokenizer))

    def reason_to_stop(self) -> str:
        """Say why to stop now: `iterations`, `steps`, `time`, `success`, or nothing."""
        return self._keeper.reason_to_stop(self._iteration, self._validated, count_steps(self._out))

    def _find_validated(self) -> float:
        return float(find_evaluation(self._out, "validation").get("success", -1.0))

    def interrupt(self) -> str:
        """Keep what was learnt up to the last whole iteration, let the other ranks go, and say how to go on."""
        said = self._keeper.interrupt(self._learner)
        self._ranks.tell("stop")
        return said

    def _note(self) -> None:
        self._keeper.note(self._iteration, self._arena.engine.policy_version)

    def _save(self) -> None:
        assert self._learner is not None
        self._keeper.save(self._learner)

    def _log(self, kind: str, **values: Any) -> None:
        record = {"kind": kind, "iteration": self._iteration, "elapsed_s": self._keeper.elapsed_s, **values}
        self.log.append(record)
        self._display.show(record)

    async def _evaluate(self, split: str, phase: str, *, record: bool = False) -> dict[str, Any]:
        evaluation = self.config.eval
        requests = plan_evaluation(
            self.config.tasks.ids,
            split=split,
            episodes=evaluation.episodes[split == "test"],
            run_seed=self.config.run.seed,
            phase=phase,
            first_seed=evaluation.first_seed if split == "test" else 0,
        )
        agents = self._arena.policy_agents(evaluation.temperature)
        played = await self._arena.play(phase, requests, agents, record=record)
        score = summarize(played.trajectories).to_record()
        if split == "validation":
            self._validated = score["success"]
        self._log("evaluation", phase=phase, **score, time=played.speed)
        return score

    async def _imitate(self) -> None:
        section = self.config.imitation
        if section.episodes == 0:
            return
        tasks = self._sampler.draw(section.episodes * len(self.config.tasks.ids), self._rng)
        facts = await follow_oracles(
            self._arena,
            self._model,
            self._tokenizer,
            plan_groups(tasks, size=1, run_seed=self.config.run.seed, phase="imitation"),
            drill=build_drill(self.config),
            rng=self._rng,
            display=self._display,
        )
        self._log("imitation", **facts)
        await self._arena.publish()

    async def _prepare_learner(self) -> None:
        begun = self._restored is not None
        reference = find_reference(self.config, self._out, self._model, self._tokenizer, begun=begun)
        self._learner = build_learner(self.config, self._model, reference, self._ranks)
        if isinstance(self._learner, Learner) and self._learner.objective.rehearsal_coef:
            oracles = demonstrators(self._tokenizer, find_sight(self._model))
            played = await self._arena.play("watching the oracles", plan_rehearsal(self.config), oracles)
            self._demonstrations = collect_examples(played.trajectories)
        if self._restored is not None:
            restore_optimizer(self._restored, self._learner)

    async def _begin(self) -> None:
        """Measure the policy before it learns from rewards."""
        start = self._clock()
        await self._evaluate("test", "test-start", record=True)
        self._evaluation_s = self._clock() - start
        if self.config.eval.episodes[0]:
            await self._evaluate("validation", "validation-0000")
        self._note()
        self._save()

    async def _iterate(self) -> None:
        config, learner = self.config, self._learner
        assert learner is not None
        number = self._iteration + 1
        if isinstance(learner, PreferenceLearner):
            learner.begin(number)
            if self._lessons:
                await self._study_file(learner)
                await self._look(number)
                return
        begun = self._clock()
        with learner.playing() if isinstance(learner, PreferenceLearner) else nullcontext():
            played = await self._pipeline.take(number)
        staleness = measure_staleness(played.trajectories, self._arena.engine.policy_version)
        start = self._clock()
        if self._pipeline.overlaps:
            facts, credit = await asyncio.to_thread(self._learn, played.trajectories, learner)
        else:
            async with self._arena.at_rest():
                facts, credit = self._learn(played.trajectories, learner)
        self._iteration = number
        await self._arena.publish()
        every = config.algorithm.reference_every
        if every and number % every == 0 and isinstance(learner, Learner):
            learner.refresh_reference()
        learn_s = self._clock() - start
        iteration_s = self._clock() - begun
        score = summarize(played.trajectories)
        self._sampler.observe(played.trajectories)
        self._log(
            "iteration",
            iterations=config.train.iterations,
            **score.to_record(),
            credit=credit,
            learner=facts,
            staleness=staleness,
            turns_seen=describe_turns(played.trajectories),
            **({"horizon": limits} if (limits := find_limits(config, number)) else {}),
            drift=watch_routes(self._out, score.routes),
            time=played.speed | {"learn_s": learn_s, "learner_busy": learn_s / max(1e-9, iteration_s)},
            eta_s=self._keeper.estimate_rest(number, iteration_s) + self._evaluation_s,
        )
        await self._look(number)

    async def _look(self, number: int) -> None:
        """Note where the run stands after an iteration, validate and save when it is time."""
        config = self.config
        self._note()
        if number % config.eval.every:
            return
        if config.eval.episodes[0]:
            await self._evaluate("validation", f"validation-{number:04d}")
            self._note()
        self._save()

    async def _study_file(self, learner: PreferenceLearner) -> None:
        """Learn an iteration's share of the preference file."""
        start = self._clock()
        lessons = draw_lessons(self._lessons, self.config.train.tasks_per_iteration, self._rng)
        async with self._arena.at_rest():
            with self._changing():
                facts = learner.update([lessons] * self.config.algorithm.epochs, self._rng)
        self._iteration += 1
        await self._arena.publish()
        self._log("study", lessons=len(lessons), learner=facts, learn_s=self._clock() - start)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Take the learner's threads while the policy changes."""
        self._display.begin(f"iteration {self._iteration + 1}: learning", 1)
        self._keeper.change()
        torch.set_num_threads(self.config.run.threads)
        try:
            yield
        finally:
            torch.set_num_threads(count_engine_threads(self.config))

    def _learn(
        self, trajectories: Sequence[Trajectory], learner: Learner | PreferenceLearner
    ) -> tuple[dict[str, float], dict[str, float]]:
        with self._changing():
            return teach(learner, trajectories, self.config, self._rng, demonstrations=self._demonstrations)

    async def _finish(self, reason: str) -> Summary:
        if self.config.eval.episodes[0] and self._iteration % self.config.eval.every:
            await self._evaluate("validation", f"validation-{self._iteration:04d}")
        self._note()
        self._save()
        after = await self._evaluate("test", "test-end", record=True)
        summary = Summary(
            run=self._out,
            iterations=self._iteration,
            stopped=reason,
            before=find_evaluation(self._out, "test-start"),
            after=after,
            elapsed_s=self._keeper.elapsed_s,
        )
        write_summary(summary)
        write_report(self._out)
        return summary
