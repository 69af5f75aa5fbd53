"""The list of algorithms, for programs and as the page `docs/algorithms.md`."""

from collections.abc import Iterable
from dataclasses import asdict, fields
from enum import StrEnum
from typing import Any

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
from milepost.training.preferences.method import METHODS, Reference, Schedule, Terms
from milepost.training.presets import DEFAULT, PRESETS
from milepost.training.sections import AlgorithmSection

_PARTS: tuple[tuple[str, type[StrEnum]], ...] = (
    ("advantage", Estimator),
    ("scale", Scale),
    ("loss", Loss),
    ("ratio", Ratio),
    ("aggregation", Aggregation),
    ("kl", KlKind),
    ("kl_place", KlPlace),
    ("correction", Correction),
    ("step", Step),
    ("flags", Flag),
)
"""Parts of an algorithm that are names; all but `step`, which belongs to the preset, are keys of `[algorithm]`."""

_HEAD = """# Algorithms

This page is written by `milepost algorithms --markdown` from the code; a test fails when it is out of date.

An algorithm is data: an advantage, a loss, where the KL term goes, and a few flags. `[algorithm] preset = "<name>"` takes
a published one, and every other key of `[algorithm]` changes a part of it:

```toml
[algorithm]
preset = "dapo"
advantage = "milestone_loo"  # the rest stays DAPO's
scale = "none"
```

Nothing here is a subclass, so parts combine freely; what does not go together is refused with a message that names both.
What the methods are said to do is shown by tests: [properties.md](properties.md) lists them.

`milepost train CONFIG --dry-run` plays one group, takes one optimiser step, and prints what the whole run comes to: episodes,
rows, tokens, optimiser steps, memory and time. It leaves nothing behind; `--json` is for programs.
"""

_BIAS = """## What is biased, and by how much

Two turns: the first goes on (p = 1/2, a milestone worth 1/4) or stops; the second succeeds (p = 1/2, worth 1) or fails.
The exact gradient is 3/16 for going on and 1/8 for succeeding. Means over all outcomes of a group, by enumeration
(`tests/training/test_assignment.py` asserts them):

- `reinforce`, `rloo`, `return_to_go_loo` and `milestone_loo` give exactly that, because a baseline never knows the own outcome.
- `grpo` without scale gives (G - 1) / G of it: the mean holds the own outcome.
- `grpo_process` and every `scale` divide by something that depends on the own outcome, and `grpo_process` also pays or
  charges for each turn that is left. `gigpo` tilts the two turns against each other.
- `dynamic_sampling` and `overlong_filter` choose episodes by their own outcome: a reweighting, not an estimate of the gradient.
"""


def describe_algorithms() -> list[dict[str, Any]]:
    """Give every preset of both loops with its parts as JSON values."""
    return [*_describe_presets(), *_describe_methods()]


def _describe_presets() -> list[dict[str, Any]]:
    return [
        {
            "name": preset.name,
            "loop": "policy_gradient",
            "key": "algorithm.preset",
            "summary": preset.summary,
            "source": preset.source,
            "default": preset.name == DEFAULT,
            "group_size": preset.group_size or None,
            "parts": {**asdict(preset.algorithm), "flags": list(preset.algorithm.flags)},
        }
        for preset in PRESETS.values()
    ]


def _describe_methods() -> list[dict[str, Any]]:
    return [
        {
            "name": method.name,
            "loop": "preference",
            "key": "preference.method",
            "summary": method.summary,
            "source": method.origin,
            "default": False,
            "group_size": None,
            "parts": {
                "loss": method.form,
                "learns_from": method.source,
                "reference": method.reference,
                "reference_every": method.reference_every,
                "restarts": method.restarts,
                "lagging": method.lagging,
                **asdict(method.terms),
            },
        }
        for method in METHODS.values()
    ]


def differences(preset: Preset) -> dict[str, Any]:
    """Give the parts of a preset that are not the default's."""
    plain = Algorithm()
    return {
        field.name: getattr(preset.algorithm, field.name)
        for field in fields(Algorithm)
        if getattr(preset.algorithm, field.name) != getattr(plain, field.name)
    }


def write_page() -> str:
    """Write `docs/algorithms.md`."""
    return "\n".join(
        [_HEAD, *_write_presets(), "", *_write_methods(), "", _BIAS, *_write_parts(), *_write_numbers()]
    )


def _write_presets() -> Iterable[str]:
    yield "## Presets"
    yield ""
    yield "What is not named is as in the first."
    yield ""
    yield "| preset | what it is | parts | formula |"
    yield "|---|---|---|---|"
    for preset in PRESETS.values():
        parts = ", ".join(f"`{key} = {_show(value)}`" for key, value in differences(preset).items())
        if preset.group_size:
            parts += f", `group_size = {preset.group_size}`"
        yield f"| `{preset.name}` | {preset.summary} | {parts or 'the defaults'} | {preset.source} |"


def _write_methods() -> Iterable[str]:
    yield "## Preference methods"
    yield ""
    yield '`[preference] method = "<name>"` learns from preferences between episodes in place of rewards;'
    yield "[preferences.md](preferences.md) says how, and what the schedules are: "
    yield ", ".join(f"`{schedule}`" for schedule in Schedule) + "."
    yield ""
    yield "| method | what it is | parts | formula |"
    yield "|---|---|---|---|"
    plain = Terms()
    for method in METHODS.values():
        parts = [
            f'`loss = "{method.form}"`',
            f"from {method.source}",
            "no reference" if method.reference is Reference.NONE else f"reference: {method.reference}",
        ]
        changed = {f.name: getattr(method.terms, f.name) for f in fields(Terms)}
        parts += [f"`{k} = {v:g}`" for k, v in changed.items() if v != getattr(plain, k)]
        yield f"| `{method.name}` | {method.summary} | {', '.join(parts)} | {method.origin} |"


def _show(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_show(one) for one in value) + "]"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def _write_parts() -> Iterable[str]:
    yield "## Parts"
    for key, kind in _PARTS:
        yield ""
        yield f"### `{key}`"
        yield ""
        yield from (f"- `{member}`" for member in kind)


def _write_numbers() -> Iterable[str]:
    yield ""
    yield "## Numbers"
    yield ""
    yield "Those with a key can be set in `[algorithm]`; the others belong to the preset."
    yield ""
    yield "| number | default | key |"
    yield "|---|---|---|"
    for field in fields(Algorithm):
        value = getattr(Algorithm(), field.name)
        if isinstance(value, int | float) or (isinstance(value, tuple) and value):
            known = "yes" if field.name in AlgorithmSection.model_fields else "no"
            yield f"| `{field.name}` | {_show(value)} | {known} |"
    yield ""
