import re
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import orjson
import pytest

from milepost.milestones import RewardMode
from milepost.milestones.case import Case, list_units
from milepost.milestones.judge.confidence import Confidence
from milepost.milestones.reward import Pay
from milepost.milestones.router import Opinion, Routing, Standing, Tier, decide
from milepost.milestones.settlement import Settlement, SettlementError, replay_settlement
from tests.milestones.test_case import ON, make_case

LIKES = Opinion(
    standing=Standing.SCORED, value=Fraction(3, 4), confidence=Fraction(9, 10), evidence=("phi:1",)
)
DOWN = Opinion(standing=Standing.FAILED, reason="the endpoint answered 503")


def settle(
    case: Case, opinions: Mapping[Tier, Opinion], routing: Routing = ON, sample: Opinion | None = None
) -> Settlement:
    units = list_units(case, routing)
    return Settlement(
        case=case,
        routing=routing,
        decisions=tuple(decide(routing, unit, {} if unit.decided else opinions) for unit in units),
        sample=sample,
    )


@pytest.mark.parametrize(
    ("mode", "paid"),
    [
        (RewardMode.MILESTONES, {"fits": Fraction(3, 4)}),
        (RewardMode.NORMALIZED, {"fits": Fraction(1, 2)}),
        (RewardMode.OUTCOME, {"goal": Fraction(3, 4)}),
        (RewardMode.POTENTIAL, {"goal": Fraction(3, 4)}),
        (RewardMode.COMPONENTS, {"goal": Fraction("0.3") * Fraction(3, 4)}),
    ],
)
def test_what_was_open_is_paid_in_the_terms_of_every_mode(
    mode: RewardMode, paid: Mapping[str, Fraction]
) -> None:
    assert settle(make_case("Send"), {Tier.LEARNED: LIKES}).pay(Pay(mode=mode)) == paid


@pytest.mark.parametrize("mode", RewardMode)
def test_an_outage_pays_nothing_at_all_and_never_0(mode: RewardMode) -> None:
    settled = settle(make_case("Send"), {Tier.LEARNED: DOWN, Tier.JUDGE: DOWN})
    assert set(settled.pay(Pay(mode=mode)).values()) == {None}
    assert settled.unscored == tuple(
        f"{name}: the rules say uninstrumented; learned failed: the endpoint answered 503; "
        "judge failed: the endpoint answered 503"
        for name in ("fits", "goal")
    )
    assert not settled.success


def test_what_rules_decide_is_0_whatever_others_would_say() -> None:
    settled = settle(make_case("Other"), {Tier.JUDGE: LIKES})
    assert settled.pay(Pay()) == {"fits": Fraction(0)}
    assert (settled.unscored, settled.success) == ((), False)


def test_with_the_rules_off_the_goal_is_paid_as_a_whole() -> None:
    routing = Routing(tiers=frozenset({Tier.LEARNED}))
    settled = settle(make_case("Other"), {Tier.LEARNED: LIKES}, routing)
    assert settled.pay(Pay()) == {"goal": Fraction(3, 4)}
    assert settled.success


def test_a_cap_holds_for_judged_rewards() -> None:
    assert settle(make_case("Waste", "Send"), {Tier.LEARNED: LIKES}).pay(Pay()) == {"fits": Fraction(1, 4)}


@pytest.mark.parametrize("opinions", [{Tier.LEARNED: LIKES}, {Tier.LEARNED: DOWN, Tier.JUDGE: DOWN}, {}])
def test_a_settlement_is_made_again_from_its_record_and_the_log(opinions: Mapping[Tier, Opinion]) -> None:
    case = make_case("Send")
    stored = settle(case, opinions, sample=DOWN).to_bytes()
    assert replay_settlement(stored, case.spec, case.events).to_bytes() == stored


def test_a_settlement_of_the_first_version_is_made_again_to_the_same_bytes() -> None:
    case = make_case("Send")
    now = settle(case, {Tier.LEARNED: LIKES})
    old = replace(now, version=1, confidence=Confidence(constant=Fraction(4, 5))).to_bytes()
    assert (orjson.loads(old)["confidence"], orjson.loads(old)["version"]) == ("4/5", 1)
    assert orjson.loads(now.to_bytes())["confidence"] == {"judges": [], "counts": {}, "constant": "9/10"}
    assert replay_settlement(old, case.spec, case.events).to_bytes() == old


def test_a_reward_that_was_raised_in_the_record_is_not_made_again() -> None:
    case = make_case("Send")
    stored = settle(case, {Tier.LEARNED: LIKES}).to_bytes()
    raised = stored.replace(b'"tier":"learned","unit"', b'"tier":"rule","unit"')
    assert raised != stored
    assert replay_settlement(raised, case.spec, case.events).to_bytes() == stored
    # The log says that nothing was sent, so there is nothing to judge.
    other = replay_settlement(stored, case.spec, make_case("Other").events)
    assert other.pay(Pay()) == {"fits": Fraction(0)}


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (b"{", "not a settlement"),
        (b"[]", "not a settlement"),
        (b'{"version": 3}', "versions 1 and 2 are read, got 3"),
        (b'{"version": 1}', "not a settlement: KeyError 'episode'"),
    ],
)
def test_what_is_no_settlement_is_refused(stored: bytes, message: str) -> None:
    case = make_case("Send")
    with pytest.raises(SettlementError, match=re.escape(message)):
        replay_settlement(stored, case.spec, case.events)


def test_verdicts_without_a_rubric_are_refused() -> None:
    case = make_case("Send")
    record = settle(case, {Tier.LEARNED: LIKES}).to_record()
    kept = dict.fromkeys(("key", "model", "style", "nonce", "reply", "reason"), "x")
    record["verdicts"] = [{**kept, "tokens": 1}]
    with pytest.raises(SettlementError, match="has verdicts but no rubric"):
        replay_settlement(orjson.dumps(record), case.spec, case.events)


def test_it_says_who_paid_and_why() -> None:
    settled = settle(make_case("Send"), {Tier.LEARNED: LIKES}, sample=DOWN)
    assert settled.describe("fits")[:2] == [
        "fits: 3/4 by learned 1: the rules say uninstrumented; learned is sure (9/10)",
        "  learned said 3/4 with confidence 9/10, on phi:1: ",
    ]
    assert settled.describe()[0] == "sent: 1 by rule 1: the rules decide: fired"
    assert settled.describe()[-1] == "of the audit sample: judges said failed 0"
    with pytest.raises(KeyError):
        settled.find("nothing")
