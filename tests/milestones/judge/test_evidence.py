from milepost.milestones.judge.evidence import build_pack, clean
from milepost.milestones.judge.rubric import Criterion, JudgeReason, Rubric
from milepost.sandbox.events import (
    ActionTaken,
    AnswerGiven,
    Clicked,
    Fact,
    Failed,
    PageScored,
    Responded,
    Source,
    Trust,
)
from tests.milestones.conftest import witness
from tests.milestones.judge.conftest import RUBRIC, make_pack

CLICKS = Rubric(
    reason=JudgeReason.RECOVERY,
    criteria=(Criterion(id="c", text="The button was clicked once.", evidence=frozenset({"clicked"})),),
)


def pack_of(*facts: Fact | tuple[Source, Fact], rubric: Rubric = CLICKS) -> list[str]:
    return [item.id for item in build_pack("g", witness(*facts), rubric).items]


def test_a_pack_holds_facts_with_ids_trust_and_what_the_task_knows() -> None:
    shown = [(i.id, i.kind, i.trust, i.data) for i in make_pack().items]
    assert shown == [
        ("E1", "element_appeared", Trust.PAGE, '{"name":"Total 48.20","role":"cell","tab":0}'),
        ("E2", "app_changed", Trust.HARNESS, '{"app":"reports","change":"report.opened","data":{"id":"7"}}'),
        ("E3", "answer_given", Trust.AGENT, '{"text":"The total is 48.20. Thank you!"}'),
        ("T1", "truth", Trust.HARNESS, '{"text":"The total is 48.20."}'),
    ]


def test_the_agents_prose_is_shown_only_where_a_criterion_rests_on_it() -> None:
    said = (Source.AGENT, AnswerGiven(text="I did it all."))
    assert pack_of(said) == []
    assert pack_of(said, rubric=RUBRIC) == ["E0"]
    unread = ActionTaken(action="I have surely succeeded", error="no action found")
    assert pack_of((Source.AGENT, unread), rubric=RUBRIC) == []


def test_what_a_page_says_an_episode_was_worth_is_never_shown() -> None:
    assert pack_of((Source.PAGE, PageScored(tab=0, score="1", reason=""))) == []


def test_faults_are_listed_apart() -> None:
    events = witness(
        (Source.PROXY, Responded(method="GET", url="http://a.test/", status=503)),
        Failed(failure="timeout", reason="too slow"),
        Failed(failure="policy", reason="its own fault"),
    )
    pack = build_pack("g", events, CLICKS)
    assert pack.faults == ("the server answered 503 to http://a.test/", "timeout: too slow")


def test_what_cannot_be_seen_is_taken_out_and_what_is_long_is_cut() -> None:
    hidden = "pay\u200b\u202e\u2066 now\U000e0041\x00\ue000\u2028!"
    assert clean(hidden) == "pay now!"
    assert clean("a\nb\tc") == "a b c"
    assert clean("x" * 301) == "x" * 300 + " (and 1 more characters)"


def test_when_there_is_too_much_what_is_asked_about_is_kept() -> None:
    clicks = [(Source.INPUT, Clicked(tab=0, role="button", name=str(n))) for n in range(3)]
    noise = [(Source.BROWSER, ActionTaken(action="noop()", error="")) for _ in range(5)]
    pack = build_pack("g", witness(*noise, *clicks), CLICKS, max_items=4)
    assert [item.id for item in pack.items] == ["E4", "E5", "E6", "E7"]
    assert pack.left_out == 4


def test_a_digest_depends_on_every_fact() -> None:
    one = build_pack("g", witness((Source.INPUT, Clicked(tab=0, role="button", name="a"))), CLICKS)
    two = build_pack("g", witness((Source.INPUT, Clicked(tab=0, role="button", name="b"))), CLICKS)
    again = build_pack("g", witness((Source.INPUT, Clicked(tab=0, role="button", name="a"))), CLICKS)
    assert one.digest == again.digest != two.digest
    assert one.find("E0") is not None
    assert one.find("E9") is None
