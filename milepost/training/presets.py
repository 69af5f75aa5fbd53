"""Published methods by name, as compositions of the same parts."""

from dataclasses import replace

from milepost.training.advantages import Estimator, Scale
from milepost.training.aggregation import Aggregation
from milepost.training.algorithm import (
    Algorithm,
    Correction,
    Flag,
    KlKind,
    KlPlace,
    Loss,
    Preset,
    Ratio,
    Step,
)

DEFAULT = "milestone_grpo"

_GRPO = Algorithm(
    advantage=Estimator.GRPO,
    scale=Scale.GROUP,
    clip=(0.2, 0.2),
    aggregation=Aggregation.ROW,
    kl_place=KlPlace.CORRECTED_LOSS,
    kl_coef=0.04,
)
_PPO = Algorithm(
    advantage=Estimator.TOKEN_GAE,
    clip=(0.2, 0.2),
    aggregation=Aggregation.TOKEN,
    kl=KlKind.K1,
    kl_place=KlPlace.REWARD,
    kl_coef=0.02,
    flags=(Flag.WHITEN,),
    epochs=4,
)
_FREE = replace(_GRPO, kl_coef=0.0, kl_place=KlPlace.LOSS)

_ROWS = (
    Preset(
        name="milestone_grpo",
        summary="Each turn against the peers that stood at the same milestones; unbiased whatever ends an episode.",
        source="milepost; leave-one-out baselines of Kool et al. 2019, clip-higher of Yu et al. 2025",
        algorithm=Algorithm(),
    ),
    Preset(
        name="reinforce",
        summary="The policy gradient with the mean outcome of other groups for a baseline.",
        source="Williams 1992, equation 11",
        algorithm=Algorithm(
            advantage=Estimator.REINFORCE, loss=Loss.POLICY_GRADIENT, correction=Correction.NONE
        ),
    ),
    Preset(
        name="rloo",
        summary="Outcome against the mean of the others, one ratio for a completion, KL in the reward.",
        source="Ahmadian et al. 2024, equation 8",
        algorithm=Algorithm(
            advantage=Estimator.RLOO,
            ratio=Ratio.TRAJECTORY,
            clip=(0.2, 0.2),
            aggregation=Aggregation.ROW,
            kl=KlKind.K1,
            kl_place=KlPlace.REWARD,
            kl_coef=0.05,
        ),
    ),
    Preset(
        name="ppo",
        summary="Clipped surrogate with a critic over tokens and KL in the reward.",
        source="Schulman et al. 2017, equation 7; Ouyang et al. 2022",
        algorithm=_PPO,
    ),
    Preset(
        name="ppo_turn",
        summary="PPO with a critic over turns: one advantage for a turn, discounted by turns.",
        source="Schulman et al. 2016, equation 16, with a turn for a step",
        algorithm=replace(_PPO, advantage=Estimator.TURN_GAE),
    ),
    Preset(
        name="ppo_bi_level",
        summary="PPO with a critic over turns, and inside a turn over its tokens.",
        source="RAGEN 2025",
        algorithm=replace(_PPO, advantage=Estimator.BI_LEVEL_GAE),
    ),
    Preset(
        name="ppo_penalty",
        summary="PPO without a clip: a KL penalty against the batch's start whose weight adapts.",
        source="Schulman et al. 2017, equation 8",
        # One pass: without a clip, a token whose advantage is above the weight gains more in each further one, and soon the
        # divergence is that of a few tokens. The target is about as far as `ppo` moves, in nats a token; the published
        # ones, up to 0.03, are for an action.
        algorithm=replace(
            _PPO,
            loss=Loss.SURROGATE,
            step_kl=(0.5, 0.05),
            flags=(Flag.WHITEN, Flag.ADAPTIVE_KL),
            epochs=1,
        ),
    ),
    Preset(
        name="ppo_ptx",
        summary="PPO that also keeps the oracles' demonstrations likely, so that nothing is forgotten.",
        source="Ouyang et al. 2022, equation 2",
        algorithm=replace(_PPO, rehearsal_coef=0.1),
    ),
    Preset(
        name="trpo",
        summary="The natural gradient as far as a bound on the divergence lets it go: conjugate gradient, line search.",
        source="Schulman et al. 2015, equations 14 and 17, appendix C",
        algorithm=replace(
            _PPO, loss=Loss.SURROGATE, step=Step.TRUST_REGION, kl_coef=0.0, kl_place=KlPlace.LOSS, epochs=1
        ),
    ),
    Preset(
        name="grpo",
        summary="Outcome standardised in its group, tokens averaged in a completion, KL in the loss.",
        source="Shao et al. 2024, equation 3",
        algorithm=_GRPO,
    ),
    Preset(
        name="grpo_process",
        summary="Milestones of a group standardised together and summed forward. Biased: see `docs/algorithms.md`.",
        source="Shao et al. 2024, section 4.1.3",
        algorithm=replace(_GRPO, advantage=Estimator.GRPO_PROCESS, scale=Scale.NONE),
    ),
    Preset(
        name="grpo_2",
        summary="GRPO with two rollouts: the better one gets 1, the other -1, ties nothing.",
        source="Shao et al. 2024, equation 3, with G = 2 and the population deviation",
        algorithm=replace(_GRPO, scale=Scale.POPULATION),
        group_size=2,
    ),
    Preset(
        name="iterative_grpo",
        summary="GRPO whose reference becomes the current policy every 50 iterations.",
        source="Shao et al. 2024, algorithm 1",
        algorithm=replace(_GRPO, reference_every=50),
    ),
    Preset(
        name="dr_grpo",
        summary="GRPO without its division by deviation and length.",
        source="Liu et al. 2025, Dr. GRPO",
        algorithm=replace(_FREE, scale=Scale.NONE, aggregation=Aggregation.CONSTANT),
    ),
    Preset(
        name="dapo",
        summary="Clip-higher, every token weighs the same, groups that teach nothing are replaced, soft overlong.",
        source="Yu et al. 2025, equations 8 to 13",
        algorithm=replace(
            _FREE,
            clip=(0.2, 0.28),
            aggregation=Aggregation.TOKEN,
            flags=(Flag.DYNAMIC_SAMPLING, Flag.SOFT_OVERLONG),
        ),
    ),
    Preset(
        name="grpo_plus",
        summary="GRPO without KL and entropy, with clip-higher and overlong filtering.",
        source="DeepCoder 2025",
        algorithm=replace(_FREE, clip=(0.2, 0.4), flags=(Flag.OVERLONG_FILTER,)),
    ),
    Preset(
        name="gspo",
        summary="One ratio for a completion: the geometric mean over its tokens. `ratio` has the other gradient form.",
        source="Zheng et al. 2025, equations 5 to 7",
        algorithm=replace(_FREE, ratio=Ratio.SEQUENCE, clip=(3e-4, 4e-4)),
    ),
    Preset(
        name="cispo",
        summary="The bound cuts a token's weight and leaves its gradient.",
        source="MiniMax-M1 2025, equations 4 and 5",
        algorithm=replace(_FREE, loss=Loss.CISPO, clip=(0.2, 5.0), aggregation=Aggregation.TOKEN),
    ),
    Preset(
        name="gdpo",
        summary="Each milestone standardised in its group before they are summed.",
        source="GDPO 2026",
        algorithm=replace(_FREE, advantage=Estimator.GDPO, scale=Scale.NONE),
    ),
    Preset(
        name="gigpo",
        summary="Outcome against the group, plus each turn against those that saw the same observation.",
        source="Feng et al. 2025, equations 3 to 8",
        algorithm=replace(
            _FREE, advantage=Estimator.GIGPO, scale=Scale.NONE, gamma=0.95, aggregation=Aggregation.TOKEN
        ),
    ),
)

PRESETS: dict[str, Preset] = {row.name: row for row in _ROWS}
"""Every preset by name, the default first."""
