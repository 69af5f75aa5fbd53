"""What every process but the first does: it learns its part of each batch, and nothing else."""

import copy
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from milepost.agents.llm import load_policy
from milepost.training.adapters import attach_adapter
from milepost.training.algorithm import Step
from milepost.training.config import Config
from milepost.training.learner import Learner
from milepost.training.objective import build_objective
from milepost.training.overrides import ConfigError
from milepost.training.ranks import Ranks


def check_ranks(config: Config, ranks: Ranks) -> None:
    """Refuse what several processes cannot do in a run.

    Raises:
        ConfigError: preferences, rehearsal or a trust region, which one process learns.
    """
    if ranks.world > 1 and config.preference.method:
        raise ConfigError(
            f"preference.method is {config.preference.method!r} and {ranks.world} processes were started: "
            "preferences are learnt by one process"
        )
    algorithm = config.algorithm.resolve()
    if ranks.world > 1 and (algorithm.rehearsal_coef or algorithm.step is Step.TRUST_REGION):
        raise ConfigError(
            f"{ranks.world} processes were started, and rehearsal (rehearsal_coef {algorithm.rehearsal_coef}) and steps "
            f"inside a trust region (step {algorithm.step.value!r}) are taken by one process alone"
        )


def follow(config: Config, ranks: Ranks) -> None:
    """Follow rank 0 through a run.

    Args:
        config: the run's, as rank 0 has it.
        ranks: with a rank above 0.

    Raises:
        ConfigError: several processes cannot do what the configuration asks for.
        ModelLoadError: the policy cannot be loaded.
    """
    check_ranks(config, ranks)
    torch.set_num_threads(config.run.threads)
    model = load_policy(config.policy.model)[0]
    reference = None
    if config.policy.lora_rank:
        attach_adapter(model, config.policy.lora_rank, seed=config.run.seed)
        reference = model if config.algorithm.kl_coef else None
    elif config.algorithm.kl_coef:
        reference = copy.deepcopy(model).requires_grad_(False)
    with _ended_by_rank_0():
        order, _ = ranks.listen()
        if order == "begin":  # the run may be over already
            Learner(model, build_objective(config), reference=reference, ranks=ranks).follow()


@contextmanager
def _ended_by_rank_0() -> Iterator[None]:
    """Leave Ctrl-C and SIGTERM to rank 0, which gets them too: what it still saves may take all ranks."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {sent: signal.signal(sent, signal.SIG_IGN) for sent in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for sent, handler in before.items():
            signal.signal(sent, handler)
