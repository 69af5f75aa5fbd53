"""Certifying, in the browser: a sound task passes, and tasks with a known fault are found out."""

import dataclasses
import re
from fractions import Fraction

import pytest
from numpy.random import Generator

from milepost.envs.adversaries import ADVERSARIES, Adversary, Chance
from milepost.envs.apps.detours import by_enter
from milepost.envs.certify import certify
from milepost.envs.performance import Play
from milepost.envs.registry import get_template
from milepost.envs.task import Split, Task, Template
from milepost.milestones import Goal, Milestone, Spec, milestone, when
from milepost.sandbox.actions import Action, Answer, Noop
from milepost.sandbox.failure import Failure, SandboxError
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool

pytestmark = pytest.mark.browser

SOUND = get_template("CatalogSearch-v0")
QUICK = tuple(a for a in ADVERSARIES if a.name in ("instant answer", "wrong parameter"))


def alter(**changes: object) -> Template:
    """The sound template with another part in each of its tasks."""

    def build(rng: object, split: object) -> Task:
        return dataclasses.replace(SOUND.build(rng, split), **changes)  # type: ignore[arg-type]

    return dataclasses.replace(SOUND, build=build)


async def test_a_sound_task_is_certified(undrawn: Pool) -> None:
    made = await certify(undrawn, SOUND, seeds=2, solutions=3, adversaries=QUICK, repeats=1)
    assert made.describe().startswith(
        "CatalogSearch-v0: certified on 2 seeds; solved on 3 in 1 ways; 2 adversaries, 4 episodes, 0 goals"
    )
    assert made.mutation_score >= Fraction(95, 100)
    assert made.adversaries["instant answer"].most == 0


ANYWHERE = (when("app_changed"),)
OPENED = when("app_changed", change="item.opened")


def pays(*milestones: Milestone) -> Spec:
    return Spec(milestones=milestones, goal=Goal(when=OPENED, frame=ANYWHERE))


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        (
            {"spec": pays(milestone("here", reward=1, when=when("navigation_completed")))},
            "start: the start pays ['here'] before anything is done",
        ),
        ({"oracle": lambda view: Answer("done")}, "solution: oracle: the goal is not reached in 1 steps"),
        (
            {"alternatives": {"lazy": lambda view: Answer("done")}},
            "solution: alternative lazy: the goal is not reached in 1 steps",
        ),
    ],
    ids=["start", "oracle", "alternative"],
)
async def test_a_task_with_a_fault_is_not(undrawn: Pool, changes: dict[str, object], finding: str) -> None:
    made = await certify(undrawn, alter(**changes), seeds=1, adversaries=(), repeats=0)
    assert not made.passed
    shown = [f.describe() for f in made.findings]
    assert any(text.startswith(finding) for text in shown), shown


async def test_another_way_that_is_never_gone_is_found(undrawn: Pool) -> None:
    wiki = get_template("WikiSearch-v0")

    def build(rng: Generator, split: Split) -> Task:
        task = wiki.build(rng, split)
        nowhere = by_enter(task.oracle, "Search", "No such field")
        return dataclasses.replace(task, alternatives={**task.alternatives, "nowhere": nowhere})

    template = dataclasses.replace(wiki, build=build)
    made = await certify(undrawn, template, seeds=1, adversaries=(), repeats=0)
    assert set(made.alternatives) > {"nowhere", "by Enter"}
    found = [f.describe() for f in made.findings if f.check == "solution"]
    assert found == ["solution: alternative nowhere: it only does what the oracle does"]


def lose_count(view: Observation) -> Action:
    raise IndexError("no such row")


async def test_a_task_whose_own_code_raises_is_told_once_and_where(undrawn: Pool) -> None:
    """Nothing else is said about it: all that would be found, on every seed, has this one cause."""
    broken = alter(oracle=lose_count)
    # Its app is this folder: where a template's builder is, if the table of tasks does not have it.
    stray = dataclasses.replace(broken, id="Stray-v0")
    with pytest.raises(SandboxError) as caught:
        await certify(undrawn, stray, seeds=2, adversaries=QUICK, repeats=1)
    assert caught.value.failure is Failure.TASK
    assert re.fullmatch(
        r"IndexError: no such row \(envs/test_certify.py, line \d+, in lose_count\)", caught.value.reason
    )


async def test_an_adversary_that_is_paid_is_found(undrawn: Pool) -> None:
    """The oracle itself stands in for a hack: it does reach the goal."""

    def solve(chance: Chance) -> Play:
        view = chance.view
        while True:
            view = yield chance.task.oracle(view)

    hack = Adversary(name="hack", policy=solve, allowed="part")
    made = await certify(undrawn, SOUND, seeds=1, adversaries=(hack,), repeats=0)
    shown = [f.describe() for f in made.findings]
    assert any(text.startswith("adversary: hack: it reached the goal") for text in shown)
    assert any(text.startswith("adversary: hack: it earned 1 of the reward") for text in shown)


async def test_an_adversary_of_many_steps_begins_anew_until_it_has_taken_them(undrawn: Pool) -> None:
    """Two steps and an answer end its episode, so seven steps take three."""

    def wait(chance: Chance) -> Play:
        drawn.append(int(chance.rng.integers(1 << 30)))
        yield Noop(1)
        yield Noop(1)
        yield Answer("done")

    drawn: list[int] = []
    patient = Adversary(name="patient", policy=wait, allowed="nothing", steps=7)
    made = await certify(undrawn, SOUND, seeds=1, adversaries=(patient,), repeats=0)
    assert (made.adversaries["patient"].episodes, made.passed) == (3, True)
    assert len(set(drawn)) == 3


async def test_a_finding_can_be_waived_with_a_reason(undrawn: Pool) -> None:
    lazy = dataclasses.replace(
        alter(oracle=lambda view: Answer("done")),
        waivers={"solution: oracle": "A test.", "mutants": "No logs."},
    )
    made = await certify(undrawn, lazy, seeds=1, adversaries=(), repeats=0)
    assert made.passed
    assert {f.waived for f in made.findings} <= {"A test.", "No logs."}
    assert made.findings
