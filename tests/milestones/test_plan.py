from milepost.milestones import Goal, forbid, milestone, when
from milepost.milestones.plan import make_plan
from milepost.sandbox.events import AppChanged, Clicked

A, B, C = (when("clicked", name=name) for name in "abc")


def test_a_plan_gives_each_distinct_leaf_one_bit_under_its_kind() -> None:
    saved = when("app_changed", app="settings")
    plan = make_plan(
        (milestone("m", reward=1, when=A & saved, after=("n",)), milestone("n", reward=1, when=A)),
        (forbid("f", when=B),),
        Goal(when=saved, frame=(saved,)),
    )
    assert plan.bits == {A: 1, saved: 2, B: 4}
    assert {cls: [bit for bit, _ in leaves] for cls, leaves in plan.leaves.items()} == {
        Clicked: [1, 4],
        AppChanged: [2],
    }
    assert [rule.monitor.mask for rule in plan.rules] == [3, 1]
    assert (plan.rules[0].after, plan.goal.mask, plan.frame) == (frozenset({"n"}), 2, 2)


def test_a_plan_knows_what_is_split_kept_and_judged_last() -> None:
    plan = make_plan(
        (
            milestone("split", reward=1, when=A & B, graded=True),
            milestone("kept", reward=1, when=A, by_agent=True),
            milestone("last", reward=1, when=A, holds=True),
        ),
        (),
        Goal(when=C, holds=("kept",)),
        ("clicked",),
    )
    assert [rule.parts for rule in plan.rules] == [2, 0, 0]
    assert [rule.watched for rule in plan.rules] == [False, True, False]
    assert (plan.kept, plan.last, plan.asks_who, plan.goal.unknown) == ((1,), (2,), True, True)
