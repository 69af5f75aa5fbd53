from milepost.sandbox.differences import compare_readings
from milepost.sandbox.events import (
    DialogClosed,
    DialogOpened,
    ElementAppeared,
    ElementChanged,
    ElementDisappeared,
    Source,
    TitleChanged,
)
from milepost.sandbox.observation import parse_tree
from milepost.sandbox.settle import Reading


def read(tree: str, title: str = "A") -> Reading:
    return Reading(url="http://a.test/", title=title, elements=parse_tree(tree), settled=True)


def test_equal_readings_give_nothing() -> None:
    assert list(compare_readings(0, read('[1] button "Go"'), read('[2] button "Go"'))) == []


def test_a_piece_of_text_is_no_element() -> None:
    assert list(compare_readings(0, read(""), read('"Hello"'))) == []


def test_what_is_gone_comes_before_what_appeared() -> None:
    found = list(compare_readings(0, read('[1] button "Go"'), read('[2] link "Home"', title="B")))
    assert found == [
        (Source.BROWSER, TitleChanged(tab=0, title="B")),
        (Source.PAGE, ElementDisappeared(tab=0, role="button", name="Go")),
        (Source.PAGE, ElementAppeared(tab=0, role="link", name="Home")),
    ]


def test_a_dialog_of_the_page_opens_and_closes() -> None:
    empty, dialog = read(""), read('[1] dialog "Sure?"')
    assert [fact for _, fact in compare_readings(0, empty, dialog)] == [
        ElementAppeared(tab=0, role="dialog", name="Sure?"),
        DialogOpened(tab=0, type="dialog", message="Sure?"),
    ]
    assert [fact for _, fact in compare_readings(0, dialog, empty)] == [
        ElementDisappeared(tab=0, role="dialog", name="Sure?"),
        DialogClosed(tab=0, type="dialog", message="Sure?", accepted=False),
    ]


def test_an_element_that_stays_tells_its_new_value_and_states() -> None:
    before = read('[1] textbox "Amount" value="5"\n[2] button "Filters" collapsed\n[3] link "Home"')
    after = read(
        '[1] textbox "Amount" value="7" focused\n[2] button "Filters" expanded\n[3] link "Home" focused'
    )
    assert list(compare_readings(0, before, after)) == [
        (Source.PAGE, ElementChanged(tab=0, role="textbox", name="Amount", value="7", states="")),
        (Source.PAGE, ElementChanged(tab=0, role="button", name="Filters", value="", states="expanded")),
    ]
    renamed = read('[1] textbox "Amount" value="7"\n[2] switch "Filters" checked\n[3] link "Home" offscreen')
    assert list(compare_readings(0, after, renamed)) == [
        (Source.PAGE, ElementDisappeared(tab=0, role="button", name="Filters")),
        (Source.PAGE, ElementAppeared(tab=0, role="switch", name="Filters")),
    ]
