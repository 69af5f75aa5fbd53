from milepost.milestones.learned.consequences import describe_changes
from milepost.milestones.learned.transition import Transition
from milepost.milestones.learned.view import View
from milepost.sandbox.events import ElementAppeared, FileCreated, Source
from milepost.sandbox.log import EventLog


def describe(
    *facts: ElementAppeared | FileCreated, goal: str = "Download the Weekly Sales report."
) -> dict[str, float]:
    log = EventLog()
    for fact in facts:
        log.note(Source.FILES if isinstance(fact, FileCreated) else Source.PAGE, fact)
    log.commit(1)
    changes = tuple(log.events)
    found = describe_changes(View(Transition(goal=goal, tree="", action="noop(0)", changes=changes)))
    return {name: value for name, value in found.items() if value}


def test_what_the_page_says() -> None:
    assert describe(ElementAppeared(tab=1, role="status", name="Settings saved"))["says_done"] == 1.0
    assert describe(ElementAppeared(tab=1, role="alert", name="A name is required"))["says_wrong"] == 1.0
    assert "says_done" not in describe(ElementAppeared(tab=1, role="link", name="Settings saved"))


def test_the_page_that_opened_is_the_goals_or_another() -> None:
    right = describe(ElementAppeared(tab=1, role="heading", name="Weekly Sales"))
    assert (right["heading_in_goal"], "heading_beside" in right) == (1.0, False)
    assert describe(ElementAppeared(tab=1, role="heading", name="Help"))["heading_beside"] == 1.0


def test_a_file_that_the_goal_wants() -> None:
    assert describe()["file_missing"] == 1.0
    made = describe(FileCreated(path="downloads/weekly.csv", size=1, sha256="0" * 64))
    assert made["file_in_goal"] == 1 / 3
    assert made["change_file_created"] == 1.0
    assert "file_missing" not in made
    assert "file_missing" not in describe(goal="Press Save.")
    unasked = describe(FileCreated(path="downloads/x.csv", size=1, sha256="0" * 64), goal="Press Save.")
    assert unasked["file_unasked"] == 1.0
