import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import orjson
import pytest

from milepost.milestones import Detection, Goal, GoalStatus, Spec, TraceStatus, judged, milestone, score, when
from milepost.milestones.progress import fold
from milepost.milestones.trace import is_left_open, list_open, list_undecided, total_ruled
from milepost.sandbox.events import GENESIS, EpisodeEnded, Failed
from tests.milestones.conftest import ORACLE, click, rechain, submit, witness


def test_the_oracles_trace_says_everything(expense_spec: Spec) -> None:
    events = witness(*ORACLE)
    trace = score(expense_spec, events)
    assert (trace.spec_digest, trace.log_head, trace.events) == (expense_spec.digest, events[-1].hash, 7)
    assert (trace.status, trace.reason, trace.success) == (TraceStatus.SCORED, "", True)
    assert trace.total == 1
    assert trace.milestones == dict.fromkeys(("filled", "asked", "sent"), Detection.FIRED)
    assert trace.goal == GoalStatus(detection=Detection.FIRED, evidence=(5,), broken=None)
    assert orjson.loads(trace.to_bytes())["hits"][0] == {
        "name": "filled",
        "reward": "1/5",
        "component": "form",
        "seq": 1,
        "step": 1,
        "evidence": [0, 1],
    }


def test_a_milestone_that_did_not_fire_is_a_valid_zero(expense_spec: Spec) -> None:
    trace = score(expense_spec, witness(*ORACLE[:2]))
    assert trace.milestones == {
        "filled": Detection.FIRED,
        "asked": Detection.NOT_FIRED,
        "sent": Detection.NOT_FIRED,
    }
    assert (trace.status, trace.total, trace.success) == (TraceStatus.SCORED, Fraction(1, 5), False)
    assert score(expense_spec, []).total == 0
    assert score(expense_spec, []).log_head == GENESIS


def test_violations_are_recorded(expense_spec: Spec) -> None:
    trace = score(expense_spec, witness(submit("1", "A"), submit("1", "A"), click("Help")))
    assert trace.to_record()["violations"] == [
        {"name": "sent twice", "effect": "veto", "seq": 1, "step": 1, "evidence": [0, 1]},
        {"name": "asked for help", "effect": "cap", "seq": 2, "step": 2, "evidence": [2]},
    ]


@pytest.mark.parametrize("damage", ["drop", "swap", "repeat", "behead", "renumber"])
def test_a_log_out_of_order_is_unscored_not_zero(expense_spec: Spec, damage: str) -> None:
    e = witness(*ORACLE)
    broken = {
        "drop": [*e[:2], *e[3:]],
        "swap": [e[1], e[0], *e[2:]],
        "repeat": [*e[:3], e[2], *e[3:]],
        "behead": e[1:],
        "renumber": [*e[:-1], replace(e[-1], seq=9)],
    }[damage]
    trace = score(expense_spec, broken)
    assert (trace.status, trace.total, trace.success, trace.hits) == (TraceStatus.UNSCORED, None, False, ())
    assert set(trace.milestones.values()) == {trace.goal.detection} == {Detection.ERROR}
    assert "the log is broken" in trace.reason
    assert orjson.loads(trace.to_bytes())["total"] is None


def test_an_event_of_another_log_breaks_the_chain(expense_spec: Spec) -> None:
    other = rechain([*witness(click("A")), *witness(*ORACLE)[1:]])
    spliced = [*witness(*ORACLE)[:3], *other[3:]]
    assert score(expense_spec, spliced).status is TraceStatus.UNSCORED


@pytest.mark.parametrize("failure", ["task", "infrastructure", "timeout"])
def test_an_episode_in_which_the_sandbox_failed_is_unscored_but_keeps_its_hits(
    expense_spec: Spec, failure: str
) -> None:
    trace = score(
        expense_spec, witness(*ORACLE, Failed(failure=failure, reason="gone"), EpisodeEnded(reason="failure"))
    )
    assert (trace.status, trace.total, trace.success) == (TraceStatus.UNSCORED, None, False)
    assert trace.reason == f"{failure}: gone"
    assert [hit.name for hit in trace.hits] == ["filled", "asked", "sent"]


def test_a_failure_of_the_policy_is_scored(expense_spec: Spec) -> None:
    assert score(expense_spec, witness(Failed(failure="policy", reason="x"))).total == 0


PROBE = """
import sys
from milepost.milestones import Spec, score
from tests.milestones.conftest import ORACLE, witness
spec = Spec.from_bytes(sys.stdin.buffer.read())
sys.stdout.buffer.write(score(spec, witness(*ORACLE)).to_bytes())
"""


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_another_process_with_other_hashes_gives_the_same_bytes(expense_spec: Spec, hash_seed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        input=expense_spec.to_bytes(),
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        check=True,
    )
    assert done.stdout == score(expense_spec, witness(*ORACLE)).to_bytes()


def test_a_detector_says_that_it_cannot_tell_and_not_that_nothing_happened() -> None:
    a, b = when("clicked", name="A"), when("clicked", name="B")
    spec = Spec(
        milestones=(
            milestone("polite", reward=1, when=a & judged("Is it polite?")),
            milestone("served", reward=1, when=when("app_changed")),
            milestone("after", reward=1, when=a, after=("polite",)),
            milestone("not begun", reward=1, when=b, after=("polite",)),
        ),
        goal=Goal(when=a & judged("Is it done?")),
        blind=("app_changed",),
    )
    trace = score(spec, witness(click("A")))
    assert {name: found.value for name, found in trace.milestones.items()} == {
        "polite": "uninstrumented",
        "served": "uninstrumented",
        "after": "uninstrumented",
        "not begun": "not_fired",
    }
    assert (trace.goal.detection, trace.total, trace.success) == (
        Detection.UNINSTRUMENTED,
        Fraction(0),
        False,
    )


def test_what_had_not_fired_when_the_sandbox_failed_is_an_error() -> None:
    a, b = when("clicked", name="A"), when("clicked", name="B")
    spec = Spec(
        milestones=(milestone("a", reward=1, when=a), milestone("b", reward=1, when=b)), goal=Goal(when=b)
    )
    trace = score(spec, witness(click("A"), Failed(failure="infrastructure", reason="gone")))
    assert trace.milestones == {"a": Detection.FIRED, "b": Detection.ERROR}
    assert (trace.goal.detection, trace.total) == (Detection.ERROR, None)


def test_the_share_of_a_graded_hit_is_in_the_record() -> None:
    a, b = when("clicked", name="A"), when("clicked", name="B")
    spec = Spec(milestones=(milestone("ab", reward=1, when=a & b, graded=True),), goal=Goal(when=a))
    (hit,) = score(spec, witness(click("A"))).to_record()["hits"]
    assert (hit["share"], hit["reward"]) == ("1/2", "1/2")


def test_what_is_left_open_is_fixed_by_the_rules_and_asked_when_their_part_holds() -> None:
    a, polite = when("clicked", name="A"), judged("Is it polite?")
    spec = Spec(
        milestones=(
            milestone("a", reward="0.5", when=a, component="ui"),
            milestone("fits", reward="1", when=a & polite),
        ),
        goal=Goal(when=a & polite),
    )
    assert (list_open(spec), total_ruled(spec)) == (("fits", "goal"), Fraction(1, 2))
    before, _ = fold(spec, witness(click("B")))
    after, _ = fold(spec, witness(click("B"), click("A")))
    assert (list_undecided(spec, before), is_left_open(spec, before)) == ((), False)
    assert (list_undecided(spec, after), is_left_open(spec, after)) == (("fits", "goal"), True)
    # A change outside the frame decides the matter.
    spoiled, _ = fold(spec, witness(click("A"), submit("1", "x")))
    assert (list_undecided(spec, spoiled), is_left_open(spec, spoiled)) == (("fits",), False)
    # A goal that is a question from the first event on ends no episode.
    blank = Spec(goal=Goal(when=polite))
    assert not is_left_open(blank, fold(blank, witness(click("A")))[0])
    ruled = Spec(milestones=(milestone("a", reward="0.5", when=a),), goal=Goal(when=a))
    assert (list_open(ruled), total_ruled(ruled)) == ((), Fraction(1, 2))
