from milepost.envs.apps.moves import enter, follow, pick, press, shows_text, switch, take_first
from milepost.sandbox.actions import Click, Fill, Noop, SelectOption
from milepost.sandbox.observation import Observation, parse_tree

VIEW = Observation(
    goal="",
    url="http://a.test/",
    title="",
    elements=parse_tree(
        '[1] link "Home"\n[2] button "Save" disabled\n[3] textbox "Name" value="Ada"\n'
        '[4] combobox "City" value="Rome"\n[5] checkbox "News" checked\n"Total: 4"'
    ),
)


def test_the_nearest_link_that_is_there_is_followed() -> None:
    assert follow(VIEW, "Settings", "Home") == Click("1")
    assert follow(VIEW, "Settings") is None


def test_what_is_disabled_is_not_pressed() -> None:
    assert press(VIEW, "button", "Save") is None


def test_only_what_is_not_yet_as_wanted_is_changed() -> None:
    assert enter(VIEW, "Name", "Ada") is None
    assert enter(VIEW, "Name", "Grace") == Fill("3", "Grace")
    assert pick(VIEW, "City", "Rome") is None
    assert pick(VIEW, "City", "Bonn") == SelectOption("4", "Bonn")
    assert switch(VIEW, "checkbox", "News", True) is None
    assert switch(VIEW, "checkbox", "News", False) == Click("5")


def test_the_first_move_that_can_be_made_is_taken() -> None:
    assert take_first(None, Click("1"), Click("2")) == Click("1")
    assert take_first(None) == Noop()


def test_a_text_is_shown_only_if_a_line_is_all_of_it() -> None:
    assert shows_text(VIEW, "Total: 4")
    assert not shows_text(VIEW, "Total")
