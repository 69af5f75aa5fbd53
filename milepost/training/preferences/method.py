"""A preference method is data: what it learns from, its loss, and the reference it is held to."""

from dataclasses import dataclass
from enum import StrEnum


class Schedule(StrEnum):
    """Whose episodes the policy learns from."""

    OFFLINE = "offline"
    """A file's, or those of the policy as it was at the start."""
    ONLINE = "online"
    """Its own, of this iteration."""
    SEMI_ONLINE = "semi_online"
    """Those of a copy that takes the policy's weights every so many iterations: 1 is online, none offline."""
    CONTINUOUS = "continuous"
    """Two of its own for each task; the policy that played a round is the reference of that round's learning."""


class Reference(StrEnum):
    """The policy that a method's log-ratios are taken against."""

    NONE = "none"
    START = "start"
    """The policy before learning from preferences, frozen."""
    BEHAVIOUR = "behaviour"
    """The policy that played the episodes."""
    STAGE = "stage"
    """The policy at the last of the points that come every `reference_every` iterations."""


class Source(StrEnum):
    """What a method learns from."""

    PAIRS = "pairs"
    """Two trajectories of a group, the better one chosen."""
    LABELS = "labels"
    """Single trajectories, desirable when the goal was reached."""
    SOLVED = "solved"
    """Trajectories that reached the goal, to be imitated."""
    BEST = "best"
    """The best trajectory of each group that has one, to be imitated."""
    RISING = "rising"
    """Trajectories whose return passes a threshold that rises with each pass, to be imitated."""


class Form(StrEnum):
    """The form of a loss."""

    DPO = "dpo"
    DPO_NORM = "dpo_norm"
    IPO = "ipo"
    HINGE = "hinge"
    CDPO = "cdpo"
    ROBUST = "robust"
    APO_ZERO = "apo_zero"
    APO_DOWN = "apo_down"
    SPPO = "sppo"
    BCO = "bco"
    NCA = "nca"
    DISCOPOP = "discopop"
    SIMPO = "simpo"
    CPO = "cpo"
    ORPO = "orpo"
    KTO = "kto"
    """Over labels."""
    IMITATION = "imitation"
    """Over demonstrations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The numbers in a preference loss."""

    beta: float = 0.1
    """How closely the policy stays to the reference; larger is closer. A scale where there is no reference."""
    gamma: float = 0.0
    """Margin that the chosen side must win by (`simpo`)."""
    smoothing: float = 0.0
    """Probability that a label is the wrong way round, below 1/2 (`cdpo`, `robust`)."""
    nll_coef: float = 0.0
    """Weight of the chosen side's negative log-likelihood (`cpo`, `orpo`)."""
    tau: float = 0.05
    """Temperature of the mixture (`discopop`)."""
    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0
    balanced: bool = False
    """Whether the commoner label weighs less, so that both pull as hard (`kto`); see `balance_labels`."""


_PLAIN = Terms()


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """All parts of a preference method."""

    name: str
    summary: str
    """One sentence."""
    origin: str
    """Where its formula stands."""
    form: Form
    terms: Terms = _PLAIN
    source: Source = Source.PAIRS
    reference: Reference = Reference.START
    reference_every: int = 0
    """Iterations of a stage, with a reference of that kind."""
    restarts: bool = False
    """Every iteration learns from the reference's weights on, not from the last ones."""
    lagging: bool = False
    """Its lessons must come from a policy that is worse, which the policy itself is not: neither online nor continuous."""

    @property
    def needs_reference(self) -> bool:
        """Whether a copy of the policy must be kept."""
        return self.reference is not Reference.NONE


def _list_methods() -> tuple[Method, ...]:
    smooth, free = Terms(smoothing=0.1), Reference.NONE
    return (
        Method(
            name="dpo",
            summary="Direct preference optimisation: logistic loss on the gap of log-ratios.",
            origin="Rafailov 2023, eq. 7",
            form=Form.DPO,
        ),
        Method(
            name="dpo_norm",
            summary="DPO with log-ratios per token, so that length gives no reward.",
            origin="Meng 2024, appendix",
            form=Form.DPO_NORM,
            terms=Terms(beta=2.0),
        ),
        Method(
            name="ipo",
            summary="Squared distance of the gap per token to 1/(2 beta): cannot run away on certain labels.",
            origin="Azar 2023, eq. 17",
            form=Form.IPO,
        ),
        Method(
            name="hinge",
            summary="SLiC's hinge on the gap: nothing more to learn once it is wide enough.",
            origin="Zhao 2023; Liu 2023, eq. 10",
            form=Form.HINGE,
        ),
        Method(
            name="cdpo",
            summary="DPO for labels that are wrong with a known probability (0.1), which bounds the gap.",
            origin="Mitchell 2023",
            form=Form.CDPO,
            terms=smooth,
        ),
        Method(
            name="robust",
            summary="DPO for labels that are wrong with a known probability (0.1), unbiased.",
            origin="Chowdhury 2024, eq. 12",
            form=Form.ROBUST,
            terms=smooth,
        ),
        Method(
            name="kto",
            summary="Single trajectories against a shared reference point: success is desirable, failure is not.",
            origin="Ethayarajh 2024, eq. 7",
            form=Form.KTO,
            terms=Terms(balanced=True),
            source=Source.LABELS,
        ),
        Method(
            name="apo_zero",
            summary="Anchored: chosen up, rejected down.",
            origin="D'Oosterlinck 2024, eq. 7",
            form=Form.APO_ZERO,
        ),
        Method(
            name="apo_down",
            summary="Anchored: both down, rejected more; for data worse than the policy.",
            origin="D'Oosterlinck 2024, eq. 8",
            form=Form.APO_DOWN,
            lagging=True,
        ),
        Method(
            name="orpo",
            summary="Imitation of the chosen side and the odds ratio of both; no reference.",
            origin="Hong 2024, eq. 6 and 7",
            form=Form.ORPO,
            terms=Terms(beta=0.1, nll_coef=1.0),
            reference=free,
        ),
        Method(
            name="simpo",
            summary="Log-probabilities per token with a target margin; no reference.",
            origin="Meng 2024, eq. 6",
            form=Form.SIMPO,
            terms=Terms(beta=2.0, gamma=0.5),
            reference=free,
        ),
        Method(
            name="cpo",
            summary="DPO with a uniform reference, and imitation of the chosen side; no reference.",
            origin="Xu 2024, eq. 3",
            form=Form.CPO,
            terms=Terms(beta=0.1, nll_coef=1.0),
            reference=free,
        ),
        Method(
            name="sppo",
            summary="Self-play: each side's log-ratio is driven to plus or minus 1/(2 beta).",
            origin="Wu 2024, eq. 4.7",
            form=Form.SPPO,
        ),
        Method(
            name="bco",
            summary="Each side classified on its own, around the mean implicit reward.",
            origin="Jung 2024, eq. 8",
            form=Form.BCO,
        ),
        Method(
            name="nca",
            summary="Noise contrastive alignment: also keeps the chosen side's likelihood from falling.",
            origin="Chen 2024",
            form=Form.NCA,
        ),
        Method(
            name="discopop",
            summary="A mixture of logistic and exponential loss that a language model found.",
            origin="Lu 2024, eq. 5",
            form=Form.DISCOPOP,
            # With the temperature of the paper, 0.05, the loss falls towards the rejected side at a gap of 0, where a policy
            # that is its own reference stands; above 0.102 it falls towards the chosen side everywhere.
            terms=Terms(tau=0.2),
        ),
        Method(
            name="bpo",
            summary="DPO whose reference is the policy that played the episodes.",
            origin="Xu 2024 (BPO, behaviour policy)",
            form=Form.DPO,
            reference=Reference.BEHAVIOUR,
        ),
        Method(
            name="sdpo",
            summary="DPO in stages of ten iterations; each stage's reference is where the last one ended.",
            origin="Kim 2024",
            form=Form.DPO,
            reference=Reference.STAGE,
            reference_every=10,
        ),
        Method(
            name="sft",
            summary="Imitation of every trajectory that reached the goal.",
            origin="maximum likelihood",
            form=Form.IMITATION,
            source=Source.SOLVED,
            reference=free,
        ),
        Method(
            name="best_of_n",
            summary="Imitation of the best trajectory of each group.",
            origin="Stiennon 2020; Touvron 2023, section 3.2.3",
            form=Form.IMITATION,
            source=Source.BEST,
            reference=free,
        ),
        Method(
            name="rest",
            summary="Imitation over a return threshold that rises with each pass.",
            origin="Gulcehre 2023",
            form=Form.IMITATION,
            source=Source.RISING,
            reference=free,
        ),
        Method(
            name="rest_em",
            summary="Imitation of what reached the goal, from the starting weights on in every iteration.",
            origin="Singh 2024",
            form=Form.IMITATION,
            source=Source.SOLVED,
            restarts=True,
        ),
    )


METHODS: dict[str, Method] = {method.name: method for method in _list_methods()}
"""Every preference method by name."""
