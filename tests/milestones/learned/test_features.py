import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from milepost.milestones.learned.features import NAMES, featurize, featurize_all
from milepost.milestones.learned.transition import Transition

FORM = '[1] textbox "Name"\n[2] radio "Aubree"\n[3] radio "Alta"\n[4] button "Submit"'


def features(
    action: str, *, tree: str = FORM, goal: str = "Select Aubree and press Submit.", **about: object
) -> dict[str, float]:
    transition = Transition(goal=goal, tree=tree, action=action, changes=(), **about)  # type: ignore[arg-type]
    return {name: float(v) for name, v in zip(NAMES, featurize(transition), strict=True) if v}


def test_the_right_choice_and_a_wrong_one_differ_where_they_should() -> None:
    right, wrong = features('click("2")'), features('click("3")')
    assert (right["target_best"], wrong["target_best"]) == (1.0, -1.0)
    assert right["target_in_goal"] == 1.0
    assert "target_in_goal" not in wrong
    assert right["covered_gain"] == 1.0
    assert "covered_gain" not in wrong


def test_a_text_of_the_goal_and_another_one_differ() -> None:
    goal = 'Enter "Blue Cab" into the field.'
    right, wrong = features('fill("1", "Blue Cab")', goal=goal), features('fill("1", "Red Cab")', goal=goal)
    assert (right["text_quoted"], right["text_in_goal"], right["covered_after"]) == (1.0, 1.0, 1.0)
    assert wrong["text_share"] == 0.5
    assert not {"text_quoted", "text_in_goal", "covered_after"} & set(wrong)


def test_a_claim_of_success_is_seen_unless_the_goal_asks_for_it() -> None:
    assert features('answer("Goal reached, status: success")')["text_claims"] == 1.0
    assert "text_claims" not in features('answer("success")', goal="Answer with success.")


def test_a_day_is_the_same_day_however_it_is_written() -> None:
    right = features('fill("1", "2011-05-13")', goal="Enter 05/13/2011 as the day.")
    assert (right["text_in_goal"], right["covered_after"]) == (1.0, 1.0)
    assert "text_in_goal" not in features('fill("1", "2011-05-31")', goal="Enter 05/13/2011 as the day.")


def test_what_of_the_goal_can_be_seen_is_counted() -> None:
    found = features("mouse_click(1, 2)", goal='Find "Alta" and "Ada".')
    assert (found["keys_unseen"], found["verb_point"]) == (0.5, 1.0)
    assert "keys_unseen" not in features("mouse_click(1, 2)", goal="Press the button.")
    assert features("mouse_drag_and_drop(1, 2, 3, 4)")["verb_drag"] == 1.0


def test_repeating_and_leaving_again_are_seen() -> None:
    assert features('click("2")', previous=('click("2")',))["repeated"] == 1.0
    assert features("reload()", previous=("reload()",))["leaves_again"] == 1.0
    assert features("")["unreadable"] == 1.0


def test_submitting_an_unfinished_form_differs_from_submitting_a_finished_one() -> None:
    done = FORM.replace('"Aubree"', '"Aubree" checked')
    goal = "Choose Aubree."
    assert features('click("4")', goal=goal)["final_uncovered"] == 1.0
    assert features('click("4")', tree=done, goal=goal)["final_covered"] == 1.0


@settings(max_examples=40, deadline=None)
@given(action=st.text(max_size=30), goal=st.text(max_size=60))
def test_every_feature_is_a_bounded_number_whatever_is_written(action: str, goal: str) -> None:
    tree = f"[1] textbox {json.dumps(goal)}"
    transition = Transition(goal=goal, tree=tree, action=f'fill("1", {json.dumps(action)})', changes=())
    found = featurize(transition)
    assert np.isfinite(found).all()
    assert (np.abs(found) <= 1).all()


def test_an_episode_without_steps_has_no_rows() -> None:
    assert featurize_all([]).shape == (0, len(NAMES))
