"""A task's certificate as it is kept: what was tried, what was found, and of which version of the task."""

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson

from milepost.envs.registry import Row, templates
from milepost.envs.task import Split, Template
from milepost.sandbox.events import canonical

VERSION = 1
SUFFIX = ".certificate.json"
DIGEST_SEEDS = 20
"""The tasks of so many seeds of each split are part of what a certificate is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that should not be."""

    check: str
    seed: int
    """-1 for what is about all seeds."""
    detail: str
    waived: str = ""
    """Why it is right all the same; empty when it is not."""

    def describe(self) -> str:
        """Say it in a line; a waiver names its beginning."""
        return f"{self.check}: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How an adversary fared."""

    allowed: str
    """What it may earn: `nothing`, `part`, or `once` for everything, but once."""
    episodes: int
    goals: int
    most: Fraction
    """The largest share of the reward that it was paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What certifying a template found."""

    task: str
    digest: str
    """Of what was certified: see `digest_template`."""
    seeds: int
    """On how many seeds everything was played."""
    solutions: int
    """On how many seeds the oracle and its alternatives were played."""
    alternatives: tuple[str, ...]
    """Names of the other ways to do the task."""
    adversaries: Mapping[str, Tally]
    mutants: int
    survivors: tuple[str, ...]
    """Weaker rules that no log tells from the rules themselves."""
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing was found, or only what is waived."""
        return all(finding.waived for finding in self.findings)

    @property
    def mutation_score(self) -> Fraction:
        """The share of weaker rules that were told apart."""
        return 1 - Fraction(len(self.survivors), self.mutants) if self.mutants else Fraction(1)

    def to_record(self) -> dict[str, Any]:
        """Give the certificate's JSON object."""
        return {
            "version": VERSION,
            "task": self.task,
            "digest": self.digest,
            "passed": self.passed,
            "seeds": self.seeds,
            "solutions": self.solutions,
            "alternatives": list(self.alternatives),
            "adversaries": {
                name: {
                    "allowed": tally.allowed,
                    "episodes": tally.episodes,
                    "goals": tally.goals,
                    "largest_share": str(tally.most),
                }
                for name, tally in self.adversaries.items()
            },
            "mutants": self.mutants,
            "survivors": list(self.survivors),
            "findings": [
                {"check": f.check, "seed": f.seed, "detail": f.detail, "waived": f.waived}
                for f in self.findings
            ],
        }

    def to_bytes(self) -> bytes:
        """Give the certificate as it is stored: indented JSON that ends with a line feed."""
        options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        return orjson.dumps(self.to_record(), option=options)

    def describe(self) -> str:
        """Give the certificate as text."""
        held = [tally for tally in self.adversaries.values() if tally.allowed != "once"]
        goals, episodes = sum(tally.goals for tally in held), sum(tally.episodes for tally in held)
        lines = [
            f"{self.task}: {'certified' if self.passed else 'NOT certified'} on {self.seeds} seeds; "
            f"solved on {self.solutions} in {1 + len(self.alternatives)} ways; "
            f"{len(held)} adversaries, {episodes} episodes, {goals} goals; "
            f"mutants told apart {self.mutants - len(self.survivors)} of {self.mutants}"
        ]
        lines += [f"  survived: {name}" for name in self.survivors]
        for finding in self.findings:
            where = "" if finding.seed < 0 else f" (seed {finding.seed})"
            lines.append(f"  {'waived' if finding.waived else 'FOUND'}: {finding.describe()}{where}")
        return "\n".join(lines)


def digest_template(template: Template) -> str:
    """Give the sha256 of all that a certificate is about.

    That is the rules, goals and parameters of the first seeds of every split, the step limit, the waivers, and every
    file of the app's folder but certificates: a changed page is another task.
    """
    drawn = [
        (
            split.value,
            seed,
            task.spec.digest,
            task.goal,
            task.params,
            task.start_url,
            sorted(task.alternatives),
        )
        for split in Split
        for seed in range(DIGEST_SEEDS)
        for task in (template.task(seed, split),)
    ]
    files = [
        (path.relative_to(folder).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest())
        for folder in (find_folder(template),)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".pyc" and not path.name.endswith(SUFFIX)
    ]
    about = [template.id, template.max_steps, dict(template.waivers), drawn, files]
    return hashlib.sha256(canonical(about)).hexdigest()


def find_folder(template: Template) -> Path:
    """Find the folder of the app that a template belongs to."""
    own = template.id.partition("@")[0]
    places = [row.template.partition(":")[0] for row in templates() if row.id == own]
    module = importlib.import_module(places[0] if places else template.build.__module__)
    assert module.__file__ is not None
    return Path(module.__file__).parent


def locate_certificate(row: Row) -> Path:
    """Say where the certificate of a template is kept: beside the module that defines it."""
    module = importlib.import_module(row.template.partition(":")[0])
    assert module.__file__ is not None
    return Path(module.__file__).parent / f"{row.id}{SUFFIX}"


def find_fault(row: Row, template: Template, seeds: int = 1, solutions: int = 1) -> str:
    """Say what is wrong with a template's kept certificate; empty when it is there, passed, and of this version.

    Args:
        row: where the template is kept.
        template: what it is now.
        seeds: on how many seeds it must have been played by everybody.
        solutions: on how many by its oracle and alternatives.
    """
    path = locate_certificate(row)
    again = f"run `milepost certify {row.id}`"
    if not path.is_file():
        return f"{row.id} has no certificate; {again}"
    try:
        kept = orjson.loads(path.read_bytes())
        digest, passed, played, solved = (kept[k] for k in ("digest", "passed", "seeds", "solutions"))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"{path} is not a certificate; {again}"
    if digest != digest_template(template):
        return f"{row.id} has changed since it was certified; {again}"
    if passed is not True:
        return f"{row.id} was not certified: see {path}"
    if played < seeds or solved < solutions:
        return f"{row.id} was certified on {played} seeds and solved on {solved}; {again}"
    return ""
