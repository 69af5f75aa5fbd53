"""The loop: imitate for a short while, then roll out, give credit, learn, and look at held-out tasks."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from milepost.agents.llm import load_policy
from milepost.envs.registry import get_template
from milepost.training.arena import Arena, Limits
from milepost.training.checkpoint import (
    TrainState,
    restore_optimizer,
    restore_rng,
    save_checkpoint,
)
from milepost.training.config import Config
from milepost.training.credit import credit_batch
from milepost.training.display import Display, SilentDisplay
from milepost.training.evaluation import describe_turns, plan_evaluation, summarize
from milepost.training.imitation import Drill, collect_examples, demonstrators, imitate
from milepost.training.learner import Learner
from milepost.training.metrics import MetricsLog, find_evaluation
from milepost.training.objective import build_objective
from milepost.training.report.report import write_report
from milepost.training.run import Summary, open_run, read_summary, write_summary
from milepost.training.sampler import TaskSampler, plan_groups
from milepost.training.trajectory import Trajectory

CHECKPOINTS_FOLDER = "checkpoints"
REFERENCE_FOLDER = "reference"


class TrainingInterruptedError(RuntimeError):
    """The run was stopped from outside; the message says how to go on."""


class DivergedError(RuntimeError):
    """The loss is no longer a number."""


def train(config: Config, out: Path, *, resume: bool = False, progress: Display | None = None) -> Summary:
    """Train a policy and leave a run folder behind.

    Args:
        config: what to do.
        out: the run's folder.
        resume: continue an interrupted run; a finished one is left as it is.
        progress: shows how it goes; nothing by default.

    Returns:
        What the run came to.

    Raises:
        RunExistsError: the folder is in use and `resume` is not set.
        ConfigError: a resumed run was started with another configuration.
        UnknownTaskError: a task id is not known.
        ModelLoadError: the policy cannot be loaded.
        CheckpointError: a checkpoint cannot be written or read.
        FailureBudgetError: too many episodes failed for reasons that are not the policy's.
        DivergedError: the loss is no longer a number.
        TrainingInterruptedError: Ctrl-C; what was learnt is kept.
    """
    display = progress or SilentDisplay()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    for task_id in config.tasks.ids:
        get_template(task_id)
    found = open_run(out, config, resume=resume)
    torch.set_num_threads(config.run.threads)
    checkpoint, state = found or (None, None)
    model, tokenizer = load_policy(config.policy.model if checkpoint is None else str(checkpoint))
    kept = state.metrics_bytes if state is not None else 0
    trainer = Trainer(config, out, model, tokenizer, display, keep_bytes=kept)
    if checkpoint is not None and state is not None:
        trainer.restore(checkpoint, state)
        done = read_summary(out)
        if done is not None and trainer.reason_to_stop():
            display.say(f"{out} is finished; raise train.iterations or train.max_minutes to train on")
            return done
        display.say(f"resuming {out} after iteration {state.iteration}")
    try:
        return asyncio.run(trainer.run())
    except KeyboardInterrupt:
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
        keep_bytes: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.log = MetricsLog(out, keep_bytes=keep_bytes)
        self._out = out
        self._model = model
        self._tokenizer = tokenizer
        self._display = display
        self._clock = clock
        self._started, self._earlier_s = clock(), 0.0
        self._iteration = 0
        self._saved = -1
        self._validated = -1.0
        self._evaluation_s = 0.0
        self._rng = np.random.default_rng([config.run.seed, 1])
        self._sampler = TaskSampler(
            config.tasks.ids, run_seed=config.run.seed, selection=config.train.selection
        )
        limits = Limits(
            contexts=config.rollout.contexts,
            max_inflight=config.rollout.max_inflight,
            max_tokens=config.policy.max_tokens,
            max_failures=config.rollout.max_failures,
            reward=config.rollout.reward,
        )
        self._arena = Arena(model, tokenizer, limits=limits, run=out, display=display, clock=clock)
        self._learner: Learner | None = None
        self._restored: Path | None = None
        self._snapshot: TrainState | None = None

    @property
    def elapsed_s(self) -> float:
        """Wall time of the run in seconds, earlier sessions included."""
        return self._earlier_s + self._clock() - self._started

    def restore(self, checkpoint: Path, state: TrainState) -> None:
        """Go back to a checkpoint, whose weights the model already has."""
        self._iteration = self._saved = state.iteration
        self._earlier_s, self._started = state.elapsed_s, self._clock()
        self._arena.engine.policy_version = state.policy_version
        self._sampler.restore(state.sampler)
        restore_rng(self._rng, state.rng)
        self._validated = self._find_validated()
        self._restored, self._snapshot = checkpoint, state

    async def run(self) -> Summary:
        """Do everything from the first rollout to the report."""
        self.log.cut(self._snapshot.metrics_bytes if self._snapshot is not None else 0)
        self._validated = self._find_validated()
        async with self._arena:
            if self._restored is None:
                await self._imitate()
            self._prepare_learner()
            if self._restored is None:
                await self._begin()
            reason = self.reason_to_stop()
            while not reason:
                await self._iterate()
                reason = self.reason_to_stop()
            return await self._finish(reason)

    def reason_to_stop(self) -> str:
        """Say why to stop now: `iterations`, `time`, `success`, or nothing."""
        train = self.config.train
        if self._iteration >= train.iterations:
            return "iterations"
        if self.elapsed_s >= train.max_minutes * 60.0:
            return "time"
        return "success" if self._validated >= train.stop_success else ""

    def _find_validated(self) -> float:
        return float(find_evaluation(self._out, "validation").get("success", -1.0))

    def interrupt(self) -> str:
        """Keep what was learnt up to the last whole iteration, and say how to go on."""
        if self._snapshot is None:
            return f"stopped before the first checkpoint; start again with --resume --out {self._out}"
        if self._snapshot.iteration > self._saved:
            self._save()
        return (
            f"stopped after iteration {self._snapshot.iteration}; its checkpoint is kept. "
            f"Continue with --resume --out {self._out}"
        )

    def _take_snapshot(self) -> None:
        """Note where the run stands; weights and optimiser change only inside an iteration."""
        self._snapshot = TrainState(
            iteration=self._iteration,
            policy_version=self._arena.engine.policy_version,
            elapsed_s=self.elapsed_s,
            sampler=self._sampler.state(),
            rng=deepcopy(dict(self._rng.bit_generator.state)),
            metrics_bytes=self.log.size,
            config=self.config.model_dump(mode="json"),
            digest=self.config.digest(),
        )

    def _save(self) -> None:
        assert self._snapshot is not None
        assert self._learner is not None
        save_checkpoint(
            self._out / CHECKPOINTS_FOLDER,
            state=self._snapshot,
            model=self._model,
            tokenizer=self._tokenizer,
            optimizer=self._learner.optimizer,
            keep=self.config.checkpoint.keep,
        )
        self._saved = self._snapshot.iteration

    def _log(self, kind: str, **values: Any) -> None:
        record = {"kind": kind, "iteration": self._iteration, "elapsed_s": self.elapsed_s, **values}
        self.log.append(record)
        self._display.show(record)

    async def _evaluate(self, split: str, phase: str, *, record: bool = False) -> dict[str, Any]:
        section = self.config.eval
        requests = plan_evaluation(
            self.config.tasks.ids,
            split=split,
            episodes=section.test_episodes if split == "test" else section.validation_episodes,
            run_seed=self.config.run.seed,
            phase=phase,
        )
        agents = self._arena.policy_agents(section.temperature)
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
        requests = plan_groups(tasks, size=1, run_seed=self.config.run.seed, phase="imitation")
        agents = demonstrators(self._tokenizer)
        played = await self._arena.play("watching the oracles", requests, agents)
        examples = collect_examples(played.trajectories)
        drill = Drill(
            epochs=section.epochs,
            batch_rows=section.batch_rows,
            learning_rate=section.learning_rate,
            token_budget=self.config.optim.token_budget,
        )
        self._display.begin("imitating", drill.steps(len(examples)))
        start, losses = self._clock(), list[float]()
        for epoch in imitate(
            self._model, examples, drill=drill, rng=self._rng, on_step=self._display.advance
        ):
            losses += epoch
            if section.target < 1.0:
                await self._evaluate("validation", f"imitation-{len(losses):04d}")
                if self._validated >= section.target:
                    break
        self._log(
            "imitation",
            episodes=len(played.trajectories),
            solved=summarize(played.trajectories).mean_success,
            examples=len(examples),
            steps=len(losses),
            loss_first=losses[0] if losses else math.nan,
            loss_last=losses[-1] if losses else math.nan,
            learn_s=self._clock() - start,
            time=played.speed,
        )
        self._arena.engine.policy_version += 1

    def _prepare_learner(self) -> None:
        self._learner = Learner(self._model, build_objective(self.config), reference=self._find_reference())
        if self._restored is not None:
            restore_optimizer(self._restored, self._learner.optimizer)

    def _find_reference(self) -> PreTrainedModel | None:
        """Give the frozen policy of the KL term: the one from before learning from rewards."""
        if not self.config.algorithm.kl_coef:
            return None
        folder = self._out / REFERENCE_FOLDER
        if self._restored is not None:
            return load_policy(str(folder))[0].requires_grad_(False)
        self._model.save_pretrained(folder)
        self._tokenizer.save_pretrained(folder)
        return deepcopy(self._model).requires_grad_(False)

    async def _begin(self) -> None:
        """Measure the policy before it learns from rewards."""
        start = self._clock()
        await self._evaluate("test", "test-start", record=True)
        self._evaluation_s = self._clock() - start
        if self.config.eval.every:
            await self._evaluate("validation", "validation-0000")
        self._take_snapshot()
        self._save()

    async def _iterate(self) -> None:
        config, learner = self.config, self._learner
        assert learner is not None
        number = self._iteration + 1
        tasks = self._sampler.draw(config.train.tasks_per_iteration, self._rng)
        requests = plan_groups(
            tasks, size=config.rollout.group_size, run_seed=config.run.seed, phase=f"train-{number:04d}"
        )
        record = bool(config.rollout.record_every) and number % config.rollout.record_every == 0
        agents = self._arena.policy_agents(config.policy.temperature)
        played = await self._arena.play(f"iteration {number}: rollouts", requests, agents, record=record)
        start = self._clock()
        facts, credit = self._learn(played.trajectories, learner)
        self._iteration = number
        self._arena.engine.policy_version += 1
        learn_s = self._clock() - start
        score = summarize(played.trajectories)
        self._sampler.note({name: task.success.value for name, task in score.tasks.items()})
        self._take_snapshot()
        self._log(
            "iteration",
            iterations=config.train.iterations,
            **score.to_record(),
            credit=credit,
            learner=facts,
            turns_seen=describe_turns(played.trajectories),
            time=played.speed | {"learn_s": learn_s},
            eta_s=self._estimate_rest(played.seconds + learn_s),
        )
        if config.eval.every and number % config.eval.every == 0:
            await self._evaluate("validation", f"validation-{number:04d}")
        self._take_snapshot()
        if number % config.checkpoint.every == 0:
            self._save()

    def _learn(
        self, trajectories: Sequence[Trajectory], learner: Learner
    ) -> tuple[dict[str, float], dict[str, float]]:
        rows, facts = credit_batch(
            trajectories, self.config.algorithm, constant=self.config.policy.max_tokens, rng=self._rng
        )
        self._display.begin(f"iteration {self._iteration + 1}: learning", 1)
        with self._arena.engine.weights:
            update = learner.update(rows, self._rng)
        if not math.isfinite(update["loss"]) or not math.isfinite(update["grad_norm"]):
            raise DivergedError(
                f"iteration {self._iteration + 1}: the loss is {facts['loss']} and the gradient norm "
                f"{facts['grad_norm']}; lower optim.learning_rate (now {self.config.optim.learning_rate}) "
                "and resume from the last checkpoint"
            )
        return update, facts

    def _estimate_rest(self, iteration_s: float) -> float:
        """Estimate the seconds left, the last evaluation included."""
        train = self.config.train
        by_count = (train.iterations - self._iteration) * iteration_s
        return max(0.0, min(by_count, train.max_minutes * 60.0 - self.elapsed_s)) + self._evaluation_s

    async def _finish(self, reason: str) -> Summary:
        if self.config.eval.every and self._iteration % self.config.eval.every:
            await self._evaluate("validation", f"validation-{self._iteration:04d}")
        self._take_snapshot()
        self._save()
        after = await self._evaluate("test", "test-end", record=True)
        summary = Summary(
            run=self._out,
            iterations=self._iteration,
            stopped=reason,
            before=find_evaluation(self._out, "test-start"),
            after=after,
            elapsed_s=self.elapsed_s,
        )
        write_summary(summary)
        write_report(self._out)
        return summary
