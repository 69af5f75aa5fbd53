"""What every process but the first does: it learns its part of each batch, and nothing else."""

import copy

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
        ConfigError: preferences, rehearsal or a trust region, which one process learns, or sharded weights, which the engine of a run cannot
            serve.
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
    if ranks.sharded:
        raise ConfigError(
            "sharded weights (ACCELERATE_USE_FSDP) cannot be served by the run's own engine: start without FSDP, "
            "or use `milepost.training.learner.Learner` with an engine of your own and `gather_weights`"
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
    order, _ = ranks.listen()
    if order == "begin":  # the run may be over already
        Learner(model, build_objective(config), reference=reference, ranks=ranks).follow()
