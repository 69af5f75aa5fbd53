from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milepost.milestones import SpecError
from milepost.milestones.router import (
    Decision,
    Opinion,
    RouterMode,
    Routing,
    Standing,
    Tier,
    Unit,
    choose_next,
    count_routes,
    decide,
    find_drift,
    is_audited,
)
from milepost.milestones.trace import Detection

ALL = frozenset(Tier)
CASCADE = Routing(tiers=ALL)
BLEND = Routing(tiers=ALL, mode=RouterMode.BLEND)
BLIND = Unit(id="u", detection=Detection.UNINSTRUMENTED)
PARTIAL = Unit(id="u", detection=Detection.FIRED, value=Fraction(1), coverage=Fraction(1, 2))


def opinion(value: str, confidence: str = "1") -> Opinion:
    return Opinion(standing=Standing.SCORED, value=Fraction(value), confidence=Fraction(confidence))


FAILED = Opinion(standing=Standing.FAILED, reason="the endpoint answered 503")
ABSTAINED = Opinion(standing=Standing.ABSTAINED, reason="judges disagree")


def run(routing: Routing, unit: Unit, answers: Mapping[Tier, Opinion]) -> tuple[Decision, list[Tier]]:
    """Ask the tiers as the router wants them."""
    opinions: dict[Tier, Opinion] = {}
    while (tier := choose_next(routing, unit, opinions)) is not None:
        opinions[tier] = answers[tier]
    return decide(routing, unit, opinions), list(opinions)


@pytest.mark.parametrize("routing", [CASCADE, BLEND])
@pytest.mark.parametrize(
    ("unit", "value"),
    [
        (Unit(id="u", detection=Detection.NOT_FIRED), "0"),
        (Unit(id="u", detection=Detection.NOT_FIRED, value=Fraction(1, 4)), "1/4"),
        (Unit(id="u", detection=Detection.NOT_FIRED, coverage=Fraction(1, 2)), "0"),
        (Unit(id="u", detection=Detection.FIRED, value=Fraction(1)), "1"),
        (Unit(id="u", detection=Detection.FIRED, value=Fraction(1), ceiling=Fraction(2, 5)), "2/5"),
        (Unit(id="u", detection=Detection.FIRED, value=Fraction(1), vetoed=True), "0"),
        (Unit(id="u", detection=Detection.UNINSTRUMENTED, vetoed=True), "0"),
    ],
)
def test_what_the_rules_decide_is_paid_by_them_and_no_one_else_is_asked(
    routing: Routing, unit: Unit, value: str
) -> None:
    decision, asked = run(routing, unit, {})
    assert asked == []
    assert decision.value == Fraction(value)
    assert decision.weights == {Tier.RULE: Fraction(1)}


@pytest.mark.parametrize("routing", [CASCADE, BLEND])
def test_a_judge_cannot_raise_what_the_rules_decided(routing: Routing) -> None:
    unit = Unit(id="u", detection=Detection.NOT_FIRED)
    decision = decide(routing, unit, {Tier.LEARNED: opinion("1"), Tier.JUDGE: opinion("1")})
    assert decision.value == 0
    assert dict(decision.weights) == {Tier.RULE: 1}
    assert decision.opinions[Tier.JUDGE].value == 1


@pytest.mark.parametrize("detection", [Detection.UNINSTRUMENTED, Detection.ERROR])
def test_the_learned_model_pays_where_rules_cannot_see(detection: Detection) -> None:
    decision, asked = run(CASCADE, replace(BLIND, detection=detection), {Tier.LEARNED: opinion("3/4")})
    assert asked == [Tier.LEARNED]
    assert (decision.value, decision.tier) == (Fraction(3, 4), Tier.LEARNED)


def test_the_judge_is_asked_when_the_learned_model_is_unsure_and_pays_alone_in_a_cascade() -> None:
    answers = {Tier.LEARNED: opinion("3/4", "1/2"), Tier.JUDGE: opinion("1")}
    decision, asked = run(CASCADE, BLIND, answers)
    assert asked == [Tier.LEARNED, Tier.JUDGE]
    assert decision.value == 1
    assert decision.weights == {Tier.JUDGE: Fraction(1)}
    assert decision.reason == "the rules say uninstrumented; judge is sure (1)"


def test_the_threshold_itself_is_sure() -> None:
    decision, asked = run(CASCADE, BLIND, {Tier.LEARNED: opinion("1/3", "9/10")})
    assert (asked, decision.value) == ([Tier.LEARNED], Fraction(1, 3))


@pytest.mark.parametrize("failure", [FAILED, ABSTAINED, opinion("1", "1/3")])
@pytest.mark.parametrize("routing", [CASCADE, BLEND])
def test_a_unit_that_nobody_can_score_has_no_reward(routing: Routing, failure: Opinion) -> None:
    decision, _ = run(routing, BLIND, {Tier.LEARNED: opinion("1/2", "0"), Tier.JUDGE: failure})
    assert decision.value is None
    assert not decision.scored
    assert (dict(decision.weights), decision.tier) == ({}, None)


def test_why_nobody_could_score_is_said() -> None:
    decision, _ = run(CASCADE, BLIND, {Tier.LEARNED: opinion("1/2", "1/8"), Tier.JUDGE: FAILED})
    assert decision.reason == (
        "the rules say uninstrumented; learned unsure: confidence 1/8; judge failed: the endpoint answered 503"
    )


def test_a_broken_log_is_scored_by_nobody() -> None:
    unit = replace(PARTIAL, broken="timeout: the browser hung")
    decision, asked = run(CASCADE, unit, {})
    assert (asked, decision.value, decision.reason) == ([], None, "timeout: the browser hung")


def test_a_blend_shares_among_all_three() -> None:
    answers = {Tier.LEARNED: opinion("1/2", "1/2"), Tier.JUDGE: opinion("0")}
    decision, asked = run(BLEND, PARTIAL, answers)
    assert asked == [Tier.LEARNED, Tier.JUDGE]
    assert decision.value == Fraction(6, 10) + Fraction(3, 10) / 2
    assert decision.tier is Tier.RULE


def test_a_blend_weighs_the_tiers_that_scored_and_no_others() -> None:
    rule_and_learned, _ = run(BLEND, PARTIAL, {Tier.LEARNED: opinion("1/2")})
    assert dict(rule_and_learned.weights) == {Tier.RULE: Fraction(2, 3), Tier.LEARNED: Fraction(1, 3)}
    assert rule_and_learned.value == Fraction(5, 6)
    learned_and_judge, _ = run(BLEND, BLIND, {Tier.LEARNED: opinion("1", "1/2"), Tier.JUDGE: opinion("0")})
    assert dict(learned_and_judge.weights) == {Tier.LEARNED: Fraction(3, 4), Tier.JUDGE: Fraction(1, 4)}
    rule_and_judge, _ = run(BLEND, PARTIAL, {Tier.LEARNED: ABSTAINED, Tier.JUDGE: opinion("0")})
    assert dict(rule_and_judge.weights) == {Tier.RULE: Fraction(6, 7), Tier.JUDGE: Fraction(1, 7)}


def test_no_tier_pays_more_than_a_cap_allows() -> None:
    unit = replace(PARTIAL, ceiling=Fraction(2, 5))
    decision, _ = run(CASCADE, unit, {Tier.LEARNED: opinion("1")})
    assert (decision.value, decision.reason.endswith("capped at 2/5")) == (Fraction(2, 5), True)


def test_without_rules_the_learned_model_is_asked_about_everything() -> None:
    routing = Routing(tiers=frozenset({Tier.LEARNED}))
    unit = Unit(id="u", detection=Detection.NOT_FIRED)
    decision, asked = run(routing, unit, {Tier.LEARNED: opinion("3/4")})
    assert (asked, decision.value) == ([Tier.LEARNED], Fraction(3, 4))
    assert decision.reason == "rules are off; learned is sure (1)"


def test_rules_alone_leave_what_they_cannot_see_unscored() -> None:
    decision, asked = run(Routing(), BLIND, {})
    assert (asked, decision.value) == ([], None)
    assert decision.reason == "the rules say uninstrumented; learned is off; judge is off"


SHARES = st.fractions(0, 1, max_denominator=20)
OPINIONS = st.builds(
    Opinion, standing=st.sampled_from(Standing), value=SHARES, confidence=SHARES, reason=st.just("said")
)
UNITS = st.builds(
    Unit,
    id=st.just("u"),
    detection=st.sampled_from(Detection),
    value=SHARES,
    coverage=SHARES,
    ceiling=SHARES,
    vetoed=st.booleans(),
    broken=st.sampled_from(["", "broken"]),
)


@given(
    unit=UNITS,
    opinions=st.dictionaries(st.sampled_from([Tier.LEARNED, Tier.JUDGE]), OPINIONS),
    mode=st.sampled_from(RouterMode),
    tiers=st.sets(st.sampled_from(Tier), min_size=1),
)
def test_every_decision_is_a_convex_sum_of_scores_or_nothing(
    unit: Unit, opinions: dict[Tier, Opinion], mode: RouterMode, tiers: set[Tier]
) -> None:
    decision = decide(Routing(mode=mode, tiers=frozenset(tiers)), unit, opinions)
    if decision.value is None:
        assert dict(decision.weights) == {}
    else:
        assert sum(decision.weights.values()) == 1
        assert set(decision.weights) <= tiers
        assert 0 <= decision.value <= (unit.ceiling if Tier.RULE in tiers else 1)
        paying = [opinions[t] for t in decision.weights if t is not Tier.RULE]
        assert all(o.standing is Standing.SCORED for o in paying)
    if unit.decided and Tier.RULE in tiers and not unit.broken:
        assert set(decision.weights) == {Tier.RULE}


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"weights": {Tier.RULE: Fraction(1)}}, "a weight in"),
        ({"weights": dict.fromkeys(Tier, Fraction(1, 2))}, "must sum to 1"),
        ({"tiers": frozenset()}, "no tier is on"),
        ({"thresholds": {Tier.JUDGE: Fraction(2)}}, "thresholds of confidence"),
        (
            {
                "mode": RouterMode.BLEND,
                "tiers": ALL,
                "weights": {Tier.RULE: Fraction(1), Tier.LEARNED: Fraction(0), Tier.JUDGE: Fraction(0)},
            },
            "weighs 0 in the blend",
        ),
    ],
)
def test_a_routing_that_cannot_work_is_refused(given_: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Routing(**given_)  # type: ignore[arg-type]


def test_an_opinion_outside_the_scale_is_refused() -> None:
    with pytest.raises(ValueError, match=r"value is in \[0, 1\], got 2"):
        opinion("2")


def test_a_decision_is_recorded_with_tier_weights_confidence_and_evidence() -> None:
    unit = replace(PARTIAL, evidence=("E4",))
    decision, _ = run(BLEND, unit, {Tier.LEARNED: replace(opinion("1/2"), evidence=("phi:1",))})
    assert decision.to_record() == {
        "unit": {
            "id": "u",
            "detection": "fired",
            "value": "1",
            "coverage": "1/2",
            "ceiling": "1",
            "vetoed": False,
            "broken": "",
            "evidence": ["E4"],
        },
        "mode": "blend",
        "value": "5/6",
        "tier": "rule",
        "weights": {"rule": "2/3", "learned": "1/3"},
        "opinions": {
            "learned": {
                "standing": "scored",
                "value": "1/2",
                "confidence": "1",
                "evidence": ["phi:1"],
                "reason": "",
            }
        },
        "reason": "the rules hold but see only 1/2 of it; learned is sure (1)",
    }


def test_the_audit_sample_is_its_share_and_depends_on_the_name_alone() -> None:
    chosen = [i for i in range(20_000) if is_audited(f"unit-{i}")]
    assert 340 <= len(chosen) <= 460
    assert all(is_audited(f"unit-{i}") for i in chosen)
    assert chosen != [i for i in range(20_000) if is_audited(f"unit-{i}", salt="other")]
    assert not any(is_audited(f"unit-{i}", share=Fraction(0)) for i in range(100))
    assert all(is_audited(f"unit-{i}", share=Fraction(1)) for i in range(100))


def test_a_shift_of_routes_is_named() -> None:
    before = {"rule": 900, "learned": 90, "judge": 10, "unscored": 0}
    assert find_drift(before, {"rule": 89, "learned": 10, "judge": 1, "unscored": 0}) == []
    assert find_drift(before, {"rule": 60, "learned": 10, "judge": 30, "unscored": 0}) == [
        "route judge went from 0.010 (n=1000) to 0.300 (n=100)",
        "route rule went from 0.900 (n=1000) to 0.600 (n=100)",
    ]
    assert find_drift({}, before) == []


def test_routes_are_counted() -> None:
    decided, _ = run(CASCADE, Unit(id="a", detection=Detection.NOT_FIRED), {})
    lost, _ = run(Routing(), BLIND, {})
    assert count_routes([decided, decided, lost]) == {"rule": 2, "learned": 0, "judge": 0, "unscored": 1}


def test_an_opinion_is_read_back_from_its_record_and_a_decision_knows_its_name() -> None:
    said = Opinion(
        standing=Standing.SCORED,
        value=Fraction(1, 3),
        confidence=Fraction(1, 2),
        evidence=("E1",),
        reason="so",
    )
    assert Opinion.from_record(said.to_record()) == said
    decision = decide(Routing(), Unit(id="e1/to a/b", detection=Detection.FIRED, value=Fraction(1)), {})
    assert decision.name == "to a/b"
