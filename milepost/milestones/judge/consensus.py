"""From several judges' verdicts to one opinion: positive needs all, negative most, and doubt is no score."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from milepost.milestones.judge.confidence import Confidence, name_agreement
from milepost.milestones.judge.question import Finding
from milepost.milestones.judge.rubric import Rubric
from milepost.milestones.judge.verdict import Verdict
from milepost.milestones.router import Opinion, Standing


def agree(findings: Sequence[Finding]) -> Finding:
    """Give what judges say together about one criterion.

    `met` needs all of them, `not_met` more than half; anything else cannot be determined.
    """
    if findings and all(finding is Finding.MET for finding in findings):
        return Finding.MET
    against = sum(finding is Finding.NOT_MET for finding in findings)
    return Finding.NOT_MET if 2 * against > len(findings) else Finding.CANNOT_DETERMINE


def form_opinion(
    rubric: Rubric, verdicts: Mapping[str, Verdict], *, confidence: Confidence, keys: Sequence[str] = ()
) -> Opinion:
    """Make one opinion of the verdicts of several judges.

    A decisive criterion that is not met makes the whole worth 0. Otherwise every criterion must be decided, and
    the value is the weight of those that are met. A suspected injection, or a fault that kept the task from being
    done, leaves the unit without a score.

    Args:
        rubric: the criteria.
        verdicts: by judge, at least one.
        confidence: how often which agreement is right, measured on labelled cases.
        keys: addresses of the verdicts, kept as evidence.
    """

    def abstain(reason: str) -> Opinion:
        return Opinion(standing=Standing.ABSTAINED, evidence=tuple(keys), reason=reason)

    for name, verdict in verdicts.items():
        if verdict.suspected_injection:
            return abstain(f"judge {name} suspects that the evidence speaks to it")
        if verdict.uncontrollable:
            return abstain(f"judge {name} says that a fault kept the task from being done")
    together = {c.id: agree([v.findings[c.id] for v in verdicts.values()]) for c in rubric.criteria}
    cited = sorted({item for v in verdicts.values() for items in v.cited.values() for item in items})
    evidence = (*cited, *keys)
    rate = confidence.rate(name_agreement([v.findings for v in verdicts.values()]))
    failed = [c.id for c in rubric.criteria if c.decisive and together[c.id] is Finding.NOT_MET]
    if failed:
        return Opinion(
            standing=Standing.SCORED,
            value=Fraction(0),
            confidence=rate,
            evidence=evidence,
            reason=f"not met: {', '.join(failed)}",
        )
    open_ = [name for name, finding in together.items() if finding is Finding.CANNOT_DETERMINE]
    if open_:
        return abstain(f"judges could not determine or do not agree on {', '.join(open_)}")
    whole = sum((c.weight for c in rubric.criteria), Fraction(0))
    met = sum((c.weight for c in rubric.criteria if together[c.id] is Finding.MET), Fraction(0))
    said = ", ".join(f"{name} {finding}" for name, finding in together.items())
    return Opinion(
        standing=Standing.SCORED, value=met / whole, confidence=rate, evidence=evidence, reason=said
    )
