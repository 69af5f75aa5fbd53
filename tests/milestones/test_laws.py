"""Laws that hold for any rules and any log: rules and logs are drawn, not chosen."""

import os
import subprocess
import sys
from fractions import Fraction

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from milepost.milestones import (
    Goal,
    Milestone,
    Predicate,
    RewardMode,
    Spec,
    SpecError,
    advance,
    any_of,
    fold,
    forbid,
    judged,
    milestone,
    potential,
    score,
    start_progress,
    step_reward,
    when,
)
from milepost.milestones.spec_file import parse_spec
from milepost.sandbox.events import ActionTaken, EpisodeEnded, Event, Fact, NavigationCompleted
from tests.milestones.conftest import click, rechain, submit, witness

NAMES = "ABCD"
LEAVES = st.sampled_from([when("clicked", name=name) for name in NAMES] + [when("clicked")])


def combine(parts: st.SearchStrategy[Predicate]) -> st.SearchStrategy[Predicate]:
    pair = st.tuples(parts, parts)
    return st.one_of(
        pair.map(lambda p: p[0] & p[1]),
        pair.map(lambda p: p[0] | p[1]),
        parts.map(lambda p: ~p),
        pair.map(lambda p: p[0].then(p[1])),
        pair.map(lambda p: p[0].until(p[1])),
        pair.map(lambda p: p[0].undone_by(p[1])),
        st.tuples(parts, LEAVES, st.integers(0, 3)).map(lambda p: p[0].then(p[1], within_steps=p[2])),
        st.tuples(LEAVES, st.integers(1, 3)).map(lambda p: p[0].count(p[1])),
        st.tuples(LEAVES, st.integers(1, 3)).map(lambda p: p[0].count(p[1], distinct="name")),
        st.tuples(parts, parts, parts).map(lambda p: any_of(2, *p)),
        parts.map(lambda p: p & judged("Is it good?")),
    )


@st.composite
def predicates(draw: st.DrawFn, depth: int = 2) -> Predicate:
    """Any predicate; combinations that cannot be meant are drawn again."""
    if depth == 0 or draw(st.booleans()):
        return draw(LEAVES)
    try:
        return draw(combine(predicates(depth=depth - 1)))
    except SpecError:
        return draw(LEAVES)


REWARDS = st.sampled_from(["0.1", "0.25", "1/3", "2"])


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """Any rules that can be meant."""
    try:
        milestones: list[Milestone] = []
        for index in range(draw(st.integers(1, 4))):
            extra: dict[str, object] = draw(
                st.sampled_from(
                    [{}, {}, {"within_steps": 3}, {"by_agent": True}, {"holds": True}, {"graded": True}]
                )
            )
            before = [m.name for m in milestones if not m.holds and draw(st.booleans())]
            milestones.append(
                milestone(
                    f"m{index}",
                    reward=draw(REWARDS),
                    when=draw(predicates()),
                    after=before,
                    **extra,  # type: ignore[arg-type]
                )
            )
        violations = [
            forbid(f"f{index}", when=draw(predicates()), effect=effect, cap="0.3" if effect == "cap" else 0)
            for index, effect in enumerate(draw(st.lists(st.sampled_from(["veto", "cap"]), max_size=2)))
        ]
        held = tuple(m.name for m in milestones if draw(st.booleans()))
        goal = Goal(when=draw(predicates()), frame=(when("app_changed"),), holds=held)
        return Spec(milestones=tuple(milestones), forbidden=tuple(violations), goal=goal)
    except SpecError:
        assume(False)
        raise


FACTS: st.SearchStrategy[Fact] = st.one_of(
    st.sampled_from(NAMES).map(click),
    st.sampled_from(["noop(0)", 'click("1")']).map(lambda text: ActionTaken(action=text, error="")),
)
LOGS = st.lists(FACTS, max_size=12)
ENDED = EpisodeEnded(reason="answer")

drawn = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)


@drawn
@given(spec=specs(), facts=LOGS, cut=st.integers(0, 13))
def test_folding_in_two_goes_is_folding_in_one(spec: Spec, facts: list[Fact], cut: int) -> None:
    events = witness(*facts, ENDED)
    first, early = fold(spec, events[:cut])
    second, late = fold(spec, events[cut:], first)
    assert (second, early + late) == fold(spec, events)


@drawn
@given(spec=specs(), facts=LOGS)
def test_no_episode_pays_more_than_the_sum_of_its_rewards(spec: Spec, facts: list[Fact]) -> None:
    progress, hits = fold(spec, witness(*facts, ENDED))
    assert progress.paid == sum(hit.reward for hit in hits) <= spec.total
    assert all(hit.reward >= 0 for hit in hits)
    for declared in spec.milestones:
        own = [hit for hit in hits if hit.name == declared.name]
        assert sum(hit.share for hit in own) <= 1
        assert sum((hit.reward for hit in own), Fraction(0)) <= declared.reward
    limits = [rule.cap for rule in spec.forbidden if rule.name in {v.name for v in progress.violations}]
    assert progress.vetoed or progress.limit == (min(limits) if limits else None)


@drawn
@given(spec=specs(), facts=LOGS, data=st.data())
def test_a_copied_event_never_pays_a_milestone_twice(
    spec: Spec, facts: list[Fact], data: st.DataObject
) -> None:
    events = witness(*facts, ENDED)
    hits = [h for h in fold(spec, events)[1] if h.share == 1 and h.seq < len(facts)]
    if not hits:
        return
    hit = data.draw(st.sampled_from(hits))
    position = data.draw(st.integers(hit.seq + 1, len(facts)))
    copied = rechain([*events[:position], events[hit.seq], *events[position:]])
    again = [h for h in fold(spec, copied)[1] if h.name == hit.name]
    assert [(h.seq, h.reward) for h in again] == [(hit.seq, hit.reward)]


@drawn
@given(spec=specs(), facts=LOGS, position=st.integers(0, 12))
def test_events_that_no_rule_names_change_nothing(spec: Spec, facts: list[Fact], position: int) -> None:
    position = min(position, len(facts))
    stray = NavigationCompleted(tab=0, url="http://a.test/")
    before, _ = fold(spec, witness(*facts[:position]))
    extra = witness(*facts[:position], stray)[-1]
    assert advance(spec, before, extra)[0] is before


@drawn
@given(spec=specs(), facts=LOGS)
def test_progress_never_goes_back(spec: Spec, facts: list[Fact]) -> None:
    progress = start_progress(spec)
    for event in witness(*facts, ENDED):
        after, _ = advance(spec, progress, event)
        assert after.reached >= progress.reached
        assert after.paid >= progress.paid
        assert after.violations[: len(progress.violations)] == progress.violations
        for name, share in progress.shares:
            assert name in after.reached or dict(after.shares)[name] >= share
        progress = after


def pay(spec: Spec, events: list[Event], mode: RewardMode, discount: Fraction) -> tuple[Fraction, Fraction]:
    """The discounted return of an episode with one event a step, and its goal's part of it."""
    before, total, goal, power = start_progress(spec), Fraction(0), Fraction(0), Fraction(1)
    for event in events:
        after, hits = advance(spec, before, event)
        paid = step_reward(
            spec, before, after, hits, mode, discount=discount, over=isinstance(event.fact, EpisodeEnded)
        )
        total += power * sum(paid.values(), Fraction(0))
        goal += power * paid.get("goal", Fraction(0))
        before, power = after, power * discount
    return total, goal


@drawn
@given(spec=specs(), facts=LOGS, discount=st.fractions(0, 1, max_denominator=100))
def test_potentials_telescope_exactly(spec: Spec, facts: list[Fact], discount: Fraction) -> None:
    total, goal = pay(spec, witness(*facts, ENDED), RewardMode.POTENTIAL, discount)
    assert total == goal - potential(spec, start_progress(spec))


@drawn
@given(spec=specs(), facts=LOGS)
def test_an_episode_pays_at_most_one_in_every_mode_that_is_normalised(spec: Spec, facts: list[Fact]) -> None:
    events = witness(*facts, ENDED)
    reached = any(
        advance(spec, fold(spec, events[:n])[0], events[n])[0].goal_reached for n in range(len(events))
    )
    for mode in (RewardMode.NORMALIZED, RewardMode.COMPONENTS, RewardMode.OUTCOME):
        # The goal of a running episode ends it; here it may be lost and found again, which pays twice.
        if not reached or mode is RewardMode.NORMALIZED:
            assert 0 <= pay(spec, events, mode, Fraction(1))[0] <= 1


@drawn
@given(spec=specs(), facts=LOGS)
def test_rules_written_down_and_read_judge_the_same(spec: Spec, facts: list[Fact]) -> None:
    events = witness(*facts, ENDED)
    for read in (Spec.from_bytes(spec.to_bytes()), parse_spec(spec.to_bytes().decode())):
        assert read == spec
        assert read.digest == spec.digest
        assert score(read, events).to_bytes() == score(spec, events).to_bytes()


PROBE = """
from tests.milestones.test_laws import fixed_trace
print(fixed_trace().hex())
"""


def fixed_trace() -> bytes:
    """The trace of fixed rules over a fixed log, for other processes to repeat."""
    a, b, c = (when("clicked", name=name) for name in "ABC")
    spec = Spec(
        milestones=(
            milestone("some", reward="1/3", when=any_of(2, a, b, c)),
            milestone("split", reward="0.7", when=a & b & c, graded=True, after=("some",)),
            milestone("asked", reward=1, when=a & judged("Is it?")),
        ),
        forbidden=(
            forbid("x", when=when("app_changed").count(2, distinct="data.amount"), effect="cap", cap=1),
        ),
        goal=Goal(when=c.undone_by(b), frame=(when("app_changed"),), holds=("some",)),
    )
    facts: list[Fact] = [
        click("A"),
        click("B"),
        submit("1", "x"),
        click("C"),
        submit("2", "x"),
        click("C"),
        ENDED,
    ]
    return score(spec, witness(*facts)).to_bytes()


def test_another_process_with_another_hash_seed_gives_the_same_bytes() -> None:
    for seed in ("0", "random"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, check=True
        )
        assert bytes.fromhex(done.stdout.strip()) == fixed_trace()
