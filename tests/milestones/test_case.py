from dataclasses import replace
from fractions import Fraction

import pytest

from milepost.milestones import Detection, Goal, Spec, forbid, judged, milestone, when
from milepost.milestones.case import Case, list_units
from milepost.milestones.router import Routing, Tier, Unit
from milepost.sandbox.events import EpisodeStarted, Event, Failed, Source
from tests.milestones.conftest import appear, click, witness

CLICK = when("clicked", name="Send")
SPEC = Spec(
    milestones=(
        milestone("sent", reward="0.5", component="ui", when=CLICK),
        milestone("fits", reward="1", component="goal", when=CLICK & judged("Is it polite?")),
    ),
    forbidden=(
        forbid("spam", when=when("clicked", name="Spam")),
        forbid("waste", when=when("clicked", name="Waste"), effect="cap", cap="0.75"),
    ),
    goal=Goal(when=CLICK & judged("Is it polite?")),
)
START = EpisodeStarted(task="Demo-v0", seed=0, split="train", goal="Write politely.")
ON = Routing(tiers=frozenset(Tier))


def make_case(*clicked: str, spec: Spec = SPEC) -> Case:
    events = witness(START, *(click(name) for name in clicked))
    return Case(id="e1", spec=spec, events=tuple(events))


def units(case: Case, routing: Routing = ON) -> dict[str, Unit]:
    return {unit.id: unit for unit in list_units(case, routing)}


def test_what_rules_see_is_decided_and_what_they_leave_open_is_not() -> None:
    found = units(make_case("Send"))
    assert {name: (u.detection, u.value, u.coverage, u.decided) for name, u in found.items()} == {
        "e1/sent": (Detection.FIRED, Fraction(1), Fraction(1), True),
        "e1/fits": (Detection.UNINSTRUMENTED, Fraction(0), Fraction(0), False),
        "e1/goal": (Detection.UNINSTRUMENTED, Fraction(0), Fraction(0), False),
    }
    assert found["e1/sent"].evidence == ("E1",)


def test_without_the_rules_part_nothing_is_left_to_ask() -> None:
    found = units(make_case("Other"))
    assert all(unit.detection is Detection.NOT_FIRED and unit.decided for unit in found.values())


def test_a_veto_takes_what_is_open_and_leaves_what_was_paid() -> None:
    found = units(make_case("Send", "Spam"))
    assert [found[f"e1/{name}"].vetoed for name in ("sent", "fits", "goal")] == [False, True, True]
    assert found["e1/sent"].value == 1


def test_a_cap_leaves_what_is_left_of_it() -> None:
    found = units(make_case("Waste", "Send"))
    assert found["e1/fits"].ceiling == Fraction(1, 4)
    assert found["e1/goal"].ceiling == Fraction(1, 2)


def test_with_the_rules_off_there_is_the_goal_alone() -> None:
    [unit] = list_units(make_case("Send"), Routing(tiers=frozenset({Tier.LEARNED})))
    assert (unit.id, unit.detection, unit.decided) == ("e1/goal", Detection.UNINSTRUMENTED, False)


def test_a_log_in_which_the_sandbox_failed_is_broken_for_everyone() -> None:
    events = witness(START, (Source.SESSION, Failed(failure="infrastructure", reason="gone")))
    for routing in (ON, Routing(tiers=frozenset({Tier.LEARNED}))):
        found = list_units(Case(id="e1", spec=SPEC, events=tuple(events)), routing)
        assert {unit.broken for unit in found} == {"infrastructure: gone"}


def test_a_case_knows_its_goal_and_refuses_questions_without_a_rubric() -> None:
    case = make_case("Send")
    assert case.goal == "Write politely."
    assert replace(case, events=tuple(witness(appear("status", "x")))).goal == ""
    with pytest.raises(ValueError, match="episode e1 has no rubric"):
        case.pack()


def test_an_empty_log_is_a_case_too() -> None:
    empty: tuple[Event, ...] = ()
    assert Case(id="e1", spec=SPEC, events=empty).goal == ""
