"""Proof that a task can be solved and cannot be hacked: played in the browser, checked, and kept with the task.

What is checked, in this order: the rules hold together; the start pays nothing; the oracle and every declared
alternative earn full reward and reach the goal; adversaries do not; what was paid live is paid again by the stored
log, byte for byte; a log that is cut, out of order, altered or only a page's word is worth nothing; weaker rules are
told from the rules themselves; the same actions give the same events twice.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from milepost.envs.adversaries import ADVERSARIES, Adversary, Chance
from milepost.envs.certificate import Certificate, Finding, Tally, digest_template, find_folder
from milepost.envs.determinism import verify_determinism
from milepost.envs.performance import (
    Performance,
    Play,
    Player,
    follow_oracle,
    perform,
    play_together,
    show_actions,
)
from milepost.envs.task import Split, Task, Template
from milepost.milestones import Spec, SpecError, TraceStatus, fold, score
from milepost.milestones.audit import replay
from milepost.milestones.mutation import find_survivors
from milepost.milestones.near_misses import derive_logs, distrust
from milepost.milestones.trace import total_ruled
from milepost.sandbox.events import EpisodeEnded, Event
from milepost.sandbox.log import write_log
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool

MUTATION_SCORE = Fraction(95, 100)
"""The least share of weaker rules that logs must tell from the rules themselves."""

DETERMINISM_SEEDS = 2
"""On how many seeds the same actions are played twice."""


@dataclass(slots=True)
class _Notes:
    """What has been found so far."""

    findings: list[Finding] = field(default_factory=list)
    adversaries: dict[str, Tally] = field(default_factory=dict)
    solved: list[Performance] = field(default_factory=list)
    """By the oracle and its alternatives."""
    others: list[Performance] = field(default_factory=list)
    """By adversaries."""
    taken: set[str] = field(default_factory=set)
    """Alternatives that did something else than the oracle."""

    def add(self, check: str, seed: int, detail: str) -> None:
        self.findings.append(Finding(check=check, seed=seed, detail=detail))

    def count(self, name: str, tally: Tally) -> None:
        """Add to how an adversary fared."""
        before = self.adversaries.get(name, replace(tally, episodes=0, goals=0, most=Fraction(0)))
        self.adversaries[name] = replace(
            before,
            episodes=before.episodes + tally.episodes,
            goals=before.goals + tally.goals,
            most=max(before.most, tally.most),
        )


async def certify(
    pool: Pool,
    template: Template,
    *,
    seeds: int = 20,
    solutions: int = 0,
    split: Split = Split.TRAIN,
    adversaries: Sequence[Adversary] = ADVERSARIES,
    repeats: int = DETERMINISM_SEEDS,
    on_seed: Callable[[int, int], None] = lambda done, of: None,
) -> Certificate:
    """Certify a template on the seeds from 0 on; as many at a time as the pool has places.

    Args:
        pool: where episodes are played.
        template: which.
        seeds: how many seeds, at least 1.
        solutions: on how many seeds the oracle and its alternatives are played; no fewer than `seeds`.
        split: of which split.
        adversaries: who must not succeed.
        repeats: on how many of the seeds the same actions are played twice.
        on_seed: told at the beginning, and after each seed, how many were played, and of how many.

    Raises:
        SandboxError: an episode could not be played; a failure of the sandbox says nothing about the task. Or the
            task's own code raised: its failure is `task`, and the reason says what and where.
    """
    solved, numbers = max(seeds, solutions), itertools.count(1)

    async def play(seed: int) -> _Notes:
        found = await _certify_seed(pool, template, seed, split, adversaries if seed < seeds else ())
        on_seed(next(numbers), solved)
        return found

    on_seed(0, solved)
    notes = _join(await play_together(find_folder(template), [play(seed) for seed in range(solved)]))
    for name in sorted(set(template.task(0, split).alternatives) - notes.taken):
        notes.add("solution", -1, f"alternative {name}: it only does what the oracle does")
    mutants, survivors = _mutate(notes)
    for survivor in survivors:
        notes.add("mutants", -1, f"survived: {survivor}")
    twice = await verify_determinism(pool, template, seeds=range(min(seeds, repeats)), split=split)
    for difference in twice:
        notes.add("determinism", difference.seed, difference.describe())
    return Certificate(
        task=template.id,
        digest=digest_template(template),
        seeds=seeds,
        solutions=solved,
        alternatives=tuple(sorted(template.task(0, split).alternatives)),
        adversaries=dict(notes.adversaries),
        mutants=mutants,
        survivors=survivors,
        findings=tuple(_waive(template, finding) for finding in _drop_allowed(notes.findings, mutants)),
    )


def _join(found: Sequence[_Notes]) -> _Notes:
    """Put the notes of all seeds together, in the order of the seeds."""
    whole = _Notes()
    for notes in found:
        whole.findings += notes.findings
        whole.solved += notes.solved
        whole.others += notes.others
        whole.taken |= notes.taken
        for name, tally in notes.adversaries.items():
            whole.count(name, tally)
    return whole


def _drop_allowed(findings: Sequence[Finding], mutants: int) -> Iterator[Finding]:
    """Leave out mutants that survived while enough others did not."""
    alive = sum(1 for finding in findings if finding.check == "mutants")
    enough = not mutants or 1 - Fraction(alive, mutants) >= MUTATION_SCORE
    return (finding for finding in findings if not (enough and finding.check == "mutants"))


def _waive(template: Template, finding: Finding) -> Finding:
    for beginning, reason in template.waivers.items():
        if finding.describe().startswith(beginning):
            return replace(finding, waived=reason)
    return finding


async def _certify_seed(
    pool: Pool, template: Template, seed: int, split: Split, adversaries: Sequence[Adversary]
) -> _Notes:
    notes = _Notes()
    task = template.task(seed, split)
    _check_rules(task.spec, seed, notes)
    solved = await perform(pool, template, seed, split, follow_oracle(task.oracle))
    _check_solution("oracle", solved, seed, notes)
    _check_log(solved, seed, notes)
    notes.solved.append(solved)
    for name, oracle in sorted(task.alternatives.items()):
        other = await perform(pool, template, seed, split, follow_oracle(oracle))
        _check_solution(f"alternative {name}", other, seed, notes)
        notes.taken |= {name} if other.actions != solved.actions else set()
        notes.solved.append(other)
    wrong = _find_other(template, seed, split) if adversaries else task
    for adversary in adversaries:
        taken = played = 0
        while not played or taken < adversary.steps:
            player = _tempt(adversary, (seed, played), wrong, solved)
            tried = await perform(pool, template, seed, split, player)
            _check_adversary(adversary, tried, seed, notes)
            notes.others.append(tried)
            taken, played = taken + max(len(tried.actions), 1), played + 1
    return notes


def _tempt(adversary: Adversary, attempt: tuple[int, int], other: Task, solved: Performance) -> Player:
    """Make a player of an adversary, with all that it has to work with; an attempt is a seed's and a number."""

    def play(task: Task, view: Observation) -> Play:
        rng = np.random.default_rng([*attempt, len(adversary.name)])
        return adversary.policy(Chance(task=task, other=other, actions=solved.actions, rng=rng, view=view))

    return play


def _check_rules(spec: Spec, seed: int, notes: _Notes) -> None:
    try:
        read = Spec.from_bytes(spec.to_bytes())
    except SpecError as error:
        notes.add("rules", seed, f"they cannot be read back: {error}")
        return
    if read != spec or read.digest != spec.digest:
        notes.add("rules", seed, "they are others after being written and read")
    if not spec.milestones:
        notes.add("rules", seed, "no milestone pays for anything")


def _check_solution(who: str, played: Performance, seed: int, notes: _Notes) -> None:
    total = total_ruled(played.task.spec)
    if not played.solved:
        notes.add("solution", seed, f"{who}: the goal is not reached in {len(played.actions)} steps")
    if played.paid != total:
        fired = {hit.name for hit in fold(played.task.spec, played.events)[1]}
        missing = [one.name for one in played.task.spec.milestones if one.name not in fired]
        detail = f"{who}: it earned {played.paid} of {total}; missing: {', '.join(missing) or 'nothing'}"
        notes.add("solution", seed, detail)


def _check_log(played: Performance, seed: int, notes: _Notes) -> None:
    """Check that the stored log pays what was paid live, and that no damaged log pays anything."""
    spec, events = played.task.spec, played.events
    live = score(spec, events)
    if live.total != played.paid or live.success != played.success:
        notes.add("replay", seed, f"paid live {played.paid}, by the log {live.total}")
    reset = [event for event in events if event.step == 0 and not isinstance(event.fact, EpisodeEnded)]
    before, hits = fold(spec, reset)
    if hits or before.goal_reached:
        notes.add("start", seed, f"the start pays {[hit.name for hit in hits]} before anything is done")
    forged, hits = fold(spec, distrust(events))
    if hits or forged.goal_met:
        notes.add("trust", seed, f"a page alone earns {[hit.name for hit in hits]}")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        write_log(events, path)
        if replay(spec, path).to_bytes() != live.to_bytes():
            notes.add("replay", seed, "the stored log gives another trace than the live one")
        whole = path.read_bytes()
        for name, damaged in _damage(whole):
            path.write_bytes(damaged)
            if replay(spec, path).status is not TraceStatus.UNSCORED:
                notes.add("damage", seed, f"a log that was {name} is scored")


def _damage(log: bytes) -> Iterator[tuple[str, bytes]]:
    lines = log.splitlines(keepends=True)
    middle = len(lines) // 2
    yield "cut", b"".join(lines[:-1])
    yield "thinned", b"".join(lines[:middle] + lines[middle + 1 :])
    yield (
        "reordered",
        b"".join([*lines[: middle - 1], lines[middle], lines[middle - 1], *lines[middle + 1 :]]),
    )
    yield "repeated", b"".join([*lines[: middle + 1], *lines[middle:]])
    yield "altered", log.replace(b'"step":0', b'"step":1', 1)


def _find_other(template: Template, seed: int, split: Split) -> Task:
    """Find a task of the template whose rules are others."""
    own = template.task(seed, split).spec.digest
    return next(
        (task for offset in range(1, 20) if (task := template.task(seed + offset, split)).spec.digest != own),
        template.task(seed + 1, split),
    )


def _check_adversary(adversary: Adversary, played: Performance, seed: int, notes: _Notes) -> None:
    total = played.task.spec.total
    share = played.paid / total if total else Fraction(0)
    if played.actions:
        notes.count(
            adversary.name,
            Tally(allowed=adversary.allowed, episodes=1, goals=int(played.success), most=share),
        )
    if adversary.allowed != "once" and played.success:
        notes.add("adversary", seed, f"{adversary.name}: it reached the goal: {show_actions(played.actions)}")
    limit = Fraction(0) if adversary.allowed == "nothing" else Fraction(1)
    if share > limit or (adversary.allowed == "part" and share == 1):
        notes.add(
            "adversary",
            seed,
            f"{adversary.name}: it earned {share} of the reward: {show_actions(played.actions)}",
        )


MUTATION_SEEDS = 3
"""On how many seeds near misses of solutions are made; one seed already has hundreds."""


def _mutate(notes: _Notes) -> tuple[int, tuple[str, ...]]:
    """Try weaker rules on the logs of oracles, alternatives and adversaries, and on near misses of the former."""
    cases: dict[str, tuple[Spec, list[Sequence[Event]]]] = {}
    for played in notes.solved:
        spec = played.task.spec
        if played.solved and (spec.digest in cases or len(cases) < MUTATION_SEEDS):
            _, logs = cases.setdefault(spec.digest, (spec, []))
            logs.extend(derive_logs(spec, played.events))
    for played in notes.others:
        if played.task.spec.digest in cases:
            cases[played.task.spec.digest][1].append(played.events)
    return find_survivors(list(cases.values()))
