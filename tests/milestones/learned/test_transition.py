from milepost.milestones.learned.transition import change_goal, make_transitions
from milepost.sandbox.events import GENESIS, AppChanged, Clicked, Event, Filled, PageScored, Source, chain
from milepost.sandbox.log import TRUST_OF


def log(*facts: tuple[int, Source, object]) -> list[Event]:
    events: list[Event] = []
    for step, source, fact in facts:
        prev = events[-1].hash if events else GENESIS
        made = chain(
            fact,  # type: ignore[arg-type]
            seq=len(events),
            step=step,
            source=source,
            trust=TRUST_OF[source],
            prev=prev,
        )
        events.append(made)
    return events


EVENTS = log(
    (1, Source.INPUT, Filled(tab=0, role="textbox", name="To", value="Ada")),
    (2, Source.INPUT, Clicked(tab=0, role="button", name="Send")),
    (2, Source.SERVER, AppChanged(app="mail", change="mail.sent", data={})),
    (2, Source.PAGE, PageScored(tab=0, score="1", reason="")),
)
TURNS = [
    {"tree": '[1] textbox "To"', "action": 'fill("1", "Ada")', "error": ""},
    {"tree": '[2] button "Send"', "action": 'click("2")', "error": ""},
]


def test_a_transition_holds_what_could_be_seen_and_no_reward() -> None:
    one, two = make_transitions("Write to Ada.", TURNS, EVENTS)
    assert (one.tree, one.action, one.previous) == ('[1] textbox "To"', 'fill("1", "Ada")', ())
    assert [event.kind for event in one.changes] == ["filled"]
    assert [event.kind for event in two.changes] == ["clicked"]
    assert two.previous == ('fill("1", "Ada")',)


def test_what_the_agent_wrote_instead_of_an_action_is_left_out() -> None:
    prose = {"tree": "", "action": "I am sure that I succeeded.", "error": "no action found"}
    unreadable = {"tree": "", "action": "gibberish", "error": ""}
    found = make_transitions("g", [prose, unreadable], [])
    assert [transition.action for transition in found] == ["", ""]


def test_giving_up_at_the_end_is_no_step_of_its_own() -> None:
    given_up = {"tree": "", "action": 'answer("")', "error": ""}
    assert len(make_transitions("g", [*TURNS, given_up], EVENTS)) == 2
    answered = {"tree": "", "action": 'answer("7")', "error": ""}
    assert len(make_transitions("g", [*TURNS, answered], EVENTS)) == 3
    assert make_transitions("g", [], []) == ()


def test_the_same_steps_under_another_goal() -> None:
    changed = list(change_goal(make_transitions("Write to Ada.", TURNS, EVENTS), "Write to Bob."))
    assert [transition.goal for transition in changed] == ["Write to Bob."] * 2
    assert changed[0].action == 'fill("1", "Ada")'
