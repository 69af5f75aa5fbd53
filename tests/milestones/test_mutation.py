from fractions import Fraction

from milepost.milestones import Goal, Spec, any_of, forbid, milestone, when
from milepost.milestones.mutation import ANY_CHANGE, find_survivors, judge, may_tell, weaken
from milepost.milestones.near_misses import derive_logs
from milepost.sandbox.events import EpisodeEnded
from tests.milestones.conftest import ORACLE, click, witness

A, B, C = (when("clicked", name=name) for name in "ABC")
ANY = when("clicked")
SENT = when("app_changed", app="mail", change="sent")


def names(spec: Spec) -> list[str]:
    return [mutant.name for mutant in weaken(spec)]


def test_every_part_of_a_rule_is_left_out_once() -> None:
    spec = Spec(
        milestones=(
            milestone("both", reward=1, when=A & B),
            milestone("then", reward=1, when=A.then(B, within_steps=2), after=("both",), by_agent=True),
        ),
        forbidden=(forbid("never", when=C),),
        goal=Goal(when=SENT, frame=(SENT,), holds=("both",)),
    )
    shown = names(spec)
    assert shown[:4] == [
        "milestone both: when('clicked', name='A')",
        "milestone both: when('clicked', name='B')",
        "milestone both: name of when('clicked', name='A')",
        "milestone both: name of when('clicked', name='B')",
    ]
    assert shown[4:] == [
        "milestone then: the order of when('clicked', name='A').then(when('clicked', name='B'), within_steps=2)",
        "milestone then: within_steps",
        "milestone then: name of when('clicked', name='A')",
        "milestone then: name of when('clicked', name='B')",
        "milestone then: after both",
        "milestone then: by_agent",
        "forbid never",
        "goal: app of when('app_changed', app='mail', change='sent')",
        "goal: change of when('app_changed', app='mail', change='sent')",
        "goal: holds both",
        "goal: frame",
        "goal: frame: app of when('app_changed', app='mail', change='sent')",
        "goal: frame: change of when('app_changed', app='mail', change='sent')",
    ]


def test_every_operation_has_weaker_forms() -> None:
    for predicate, expected in (
        (any_of(2, A, B, C), "one of 2"),
        (ANY.count(2, distinct="name"), "distinct"),
        (ANY.count(2), "one of the count"),
        (A.until(B), "until when('clicked', name='B')"),
        (A.undone_by(B), "undone_by when('clicked', name='B')"),
    ):
        spec = Spec(milestones=(milestone("m", reward=1, when=predicate),), goal=Goal(when=C))
        assert f"milestone m: {expected}" in names(spec)


def test_a_weaker_rule_that_could_not_be_meant_is_not_made() -> None:
    shown = names(
        Spec(milestones=(milestone("m", reward=1, when=A & when("element_appeared")),), goal=Goal(when=C))
    )
    assert "milestone m: when('clicked', name='A')" not in shown
    assert "milestone m: when('element_appeared')" in shown


def test_the_predicate_of_a_goal_is_tried_without_frame_and_vetoes() -> None:
    spec = Spec(goal=Goal(when=SENT, frame=(SENT,)), forbidden=(forbid("never", when=C),))
    first = next(mutant for mutant in weaken(spec) if mutant.name.startswith("goal: app"))
    assert first.against == Spec(goal=Goal(when=SENT, frame=ANY_CHANGE))


def test_near_misses_tell_every_weaker_rule_apart(expense_spec: Spec) -> None:
    logs = list(derive_logs(expense_spec, witness(*ORACLE, EpisodeEnded(reason="goal"))))
    assert find_survivors([(expense_spec, logs)]) == (29, ())


def test_a_log_is_passed_over_only_where_judgements_are_equal(expense_spec: Spec) -> None:
    logs = list(derive_logs(expense_spec, witness(*ORACLE, EpisodeEnded(reason="goal"))))
    passed = 0
    for mutant in weaken(expense_spec):
        over = [log for log in logs if not may_tell(mutant.swap, log)]
        assert all(judge(mutant.spec, log) == judge(mutant.against, log) for log in over), mutant.name
        assert mutant.swap or not over
        passed += len(over)
    assert passed > len(logs) * 10


def test_the_oracle_alone_does_not(expense_spec: Spec) -> None:
    mutants, survivors = find_survivors([(expense_spec, [witness(*ORACLE)])])
    assert mutants == 29
    assert len(survivors) > 20


def test_a_mutant_is_told_apart_by_the_logs_of_any_seed() -> None:
    spec = Spec(milestones=(milestone("m", reward=1, when=A),), goal=Goal(when=C))
    plain, telling = [witness(click("A"))], [witness(click("B"), click("A"))]
    assert find_survivors([(spec, plain)]) == (
        3,
        ("goal: frame", "milestone m: name of when('clicked', name='A')"),
    )
    # With its name left out the goal is reached by any click, here A or B.
    assert find_survivors([(spec, plain), (spec, telling)]) == (3, ("goal: frame",))


def test_a_judgement_is_what_was_paid_and_reached() -> None:
    spec = Spec(milestones=(milestone("m", reward=1, when=A),), goal=Goal(when=A))
    assert judge(spec, witness(click("A"))) == ((("m", Fraction(1), 0),), True, (), False, None)
