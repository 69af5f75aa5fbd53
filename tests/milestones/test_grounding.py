import pytest

from milepost.milestones import Predicate, matches, one_of, when
from milepost.milestones.grounding import grounding
from milepost.sandbox.events import Trust

SHOWN = when("element_appeared", role="status")
CLICK = when("clicked", name="Save")
SAVED = when("app_changed", app="settings")
ANSWER = when("answer_given", text="42")


@pytest.mark.parametrize(
    ("predicate", "trust"),
    [
        (SAVED, Trust.HARNESS),
        (CLICK, Trust.BROWSER),
        (SHOWN, Trust.PAGE),
        (ANSWER, Trust.AGENT),
        (when("action_taken"), Trust.AGENT),
        (when("history_navigated"), Trust.PAGE),
        (CLICK & SHOWN, Trust.BROWSER),
        (CLICK | SHOWN, Trust.PAGE),
        (CLICK | SAVED, Trust.BROWSER),
        ((CLICK | SHOWN) & SAVED, Trust.HARNESS),
        (SHOWN & ~CLICK, Trust.PAGE),
        (CLICK | ~SHOWN, Trust.AGENT),
        (CLICK.then(SHOWN), Trust.BROWSER),
        (SHOWN.then(CLICK), Trust.BROWSER),
        (SHOWN.count(3), Trust.PAGE),
        (when("dialog_opened"), Trust.PAGE),
        (when("dialog_opened", type="dialog"), Trust.PAGE),
        (when("dialog_opened", type="confirm"), Trust.BROWSER),
        (when("dialog_closed", type=one_of("alert", "confirm"), accepted=True), Trust.BROWSER),
        (when("dialog_closed", type=one_of("alert", "dialog")), Trust.PAGE),
        (when("dialog_opened", type=matches(".*")), Trust.PAGE),
    ],
)
def test_a_rule_is_as_good_as_the_best_fact_it_cannot_do_without(predicate: Predicate, trust: Trust) -> None:
    assert grounding(predicate) is trust
