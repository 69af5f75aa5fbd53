"""Whether annotators agree, and what sways them."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from milepost.training.reward_model.labels import Choice, Verdict

_DECIDED = (Choice.FIRST, Choice.SECOND)


def measure_agreement(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Give agreement, kappa, and the biases of position, length and annotators.

    Skipped comparisons count nowhere but in the annotator's own share of skips.
    """
    said = [verdict for verdict in verdicts if verdict.choice is not Choice.SKIP]
    names = sorted({verdict.annotator for verdict in verdicts})
    return {
        "verdicts": len(said),
        "comparisons": len({verdict.comparison.id for verdict in said}),
        **_agree(said),
        "position": _bias(said, _is_left),
        "length": _bias(said, _is_longer),
        "annotators": {name: _describe([v for v in verdicts if v.annotator == name], said) for name in names},
    }


def find_kappa(pairs: Sequence[tuple[Choice, Choice]]) -> float | None:
    """Give Cohen's kappa, (observed - expected) / (1 - expected) agreement (Cohen 1960).

    Returns:
        None without pairs, or when chance alone would make them all agree.
    """
    if not pairs:
        return None
    observed = sum(one is other for one, other in pairs) / len(pairs)
    ones, others = (Counter(said) for said in zip(*pairs, strict=True))
    expected = sum(ones[choice] * others[choice] for choice in ones) / len(pairs) ** 2
    return (observed - expected) / (1 - expected) if expected < 1 else None


def _agree(said: Sequence[Verdict]) -> dict[str, Any]:
    """Compare each two annotators on what both judged; kappas are averaged by how much that is."""
    by_name: dict[str, dict[str, Choice]] = defaultdict(dict)
    for verdict in said:
        by_name[verdict.annotator][verdict.comparison.id] = verdict.choice
    shared, agreed, kappas = 0, 0, []
    for one, other in itertools.combinations(sorted(by_name), 2):
        both = [(c, by_name[other][key]) for key, c in by_name[one].items() if key in by_name[other]]
        shared += len(both)
        agreed += sum(a is b for a, b in both)
        kappa = find_kappa(both)
        if kappa is not None:
            kappas.append((kappa, len(both)))
    weight = sum(n for _, n in kappas)
    return {
        "judged_twice": shared,
        "agreement": agreed / shared if shared else None,
        "kappa": sum(kappa * n for kappa, n in kappas) / weight if weight else None,
    }


def _is_left(verdict: Verdict) -> bool | None:
    return verdict.choice is verdict.left if verdict.choice in _DECIDED else None


def _is_longer(verdict: Verdict) -> bool | None:
    first, second = verdict.comparison.first.end, verdict.comparison.second.end
    if verdict.choice not in _DECIDED or first == second:
        return None
    return (verdict.choice is Choice.FIRST) == (first > second)


def _bias(said: Sequence[Verdict], ask: Callable[[Verdict], bool | None]) -> dict[str, Any]:
    """Give the share of yes among those that can be asked, and its 95 % interval (Wilson 1927)."""
    answers = [answer for answer in map(ask, said) if answer is not None]
    n = len(answers)
    if not n:
        return {"share": None, "interval": None, "n": 0}
    share, z = sum(answers) / n, 1.96
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return {"share": share, "interval": [max(0.0, middle - half), min(1.0, middle + half)], "n": n}


def _describe(own: Sequence[Verdict], said: Sequence[Verdict]) -> dict[str, Any]:
    """Say how an annotator decides, and how often as most of the others do."""
    others: dict[str, Counter[Choice]] = defaultdict(Counter)
    for verdict in said:
        if verdict.annotator != own[0].annotator:
            others[verdict.comparison.id][verdict.choice] += 1
    given = [verdict for verdict in own if verdict.choice is not Choice.SKIP]
    met = []
    for verdict in given:
        ranked = others[verdict.comparison.id].most_common(2)
        if ranked and (len(ranked) == 1 or ranked[0][1] > ranked[1][1]):
            met.append(verdict.choice is ranked[0][0])
    return {
        "verdicts": len(given),
        "skipped": len(own) - len(given),
        "ties": sum(verdict.choice is Choice.TIE for verdict in given),
        "left": _bias(given, _is_left)["share"],
        "longer": _bias(given, _is_longer)["share"],
        "with_others": sum(met) / len(met) if met else None,
    }
