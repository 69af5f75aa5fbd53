from milepost.milestones.learned.transition import Transition
from milepost.milestones.learned.view import View, find_fraction

SHOP = (
    '[1] list "Results"\n [2] link "Ada"\n "Ceramic, Black"\n [3] link "Ben"\n "Ceramic, Silver"\n'
    '[4] table "T"\n [5] row "Invoice 7 Ada"\n  [6] link "Invoice 7"'
)


def view(action: str, *, goal: str = 'Open the "Black" one of "Ceramic".') -> View:
    return View(Transition(goal=goal, tree=SHOP, action=action, changes=()))


def test_what_stands_in_the_row_of_an_element() -> None:
    seen = view('click("2")')
    rows = {element.id: row for element, row in seen.list_rows()}
    assert rows["2"].split() == ["ada", "ceramic,", "black"]
    assert rows["6"].split() == ["invoice", "7", "invoice", "7", "ada"]
    assert (seen.fit_row(rows["2"]), seen.fit_row(rows["3"])) == (1.0, 0.5)


def test_target_text_and_peers() -> None:
    seen = view('click("3")')
    assert seen.target is not None
    assert (seen.target.name, seen.text, [e.id for e in seen.peers]) == ("Ben", "", ["2", "3", "6"])
    assert view('answer("Ada")').text == "Ada"
    assert view("").action is None


def test_an_icon_has_the_name_of_what_it_is_in() -> None:
    inbox = '[1] generic "Ada Hi"\n [2] generic\n [3] textbox\n[4] generic'
    seen = View(Transition(goal="", tree=inbox, action='click("2")', changes=(), touched=("7/4/2020",)))
    assert [e.name for e in seen.elements] == ["Ada Hi", "Ada Hi", "", ""]
    assert seen.target is seen.elements[1]
    assert seen.t.touched == ("2020-07-04",)


def test_a_field_has_the_name_of_the_label_before_it() -> None:
    form = '"User name:"\n[1] textbox\n"4 - 8 ="\n[2] textbox\n[3] button "Go"\n[4] textbox\n"Mail"\n[5] textbox "Own"'
    seen = View(Transition(goal="", tree=form, action='fill("1", "ada")', changes=()))
    assert [e.name for e in seen.elements if e.id] == ["User name:", "", "Go", "", "Own"]
    assert seen.list_texts() == ["User name:", "4 - 8 =", "Mail"]


def test_a_text_with_a_colon_belongs_to_what_follows_it() -> None:
    card = '"Phone:"\n[1] generic "12"\n"home"\n"Mail:"\n[2] generic "a@b.test"\n[3] textbox value="$7"'
    seen = View(Transition(goal="", tree=card, action='click("1")', changes=()))
    assert seen.list_labels() == {"1": "Phone:", "2": "Mail:"}
    assert {e.id: row.split() for e, row in seen.list_rows()}["1"] == ["12", "home"]
    assert seen.list_numbers() == [7.0]


def test_elements_of_a_kind_are_called_as_the_goal_calls_them() -> None:
    tree = '[1] radio "rT"\n[2] button "jQ"\n[3] textbox\n"radio"'

    def name(goal: str, page: str = tree) -> list[str]:
        return [e.name for e in View(Transition(goal=goal, tree=page, action="", changes=())).elements]

    assert name('Click on a "radio" widget.') == ["radio", "jQ", "", "radio"]
    assert name('Click on a "text" widget.') == ["rT", "jQ", "text", "radio"]
    assert name("Click on a radio widget.") == ["rT", "jQ", "", "radio"]
    assert name('Click on "radio".', f'{tree}\n[4] link "Radio"') == ["rT", "jQ", "", "radio", "Radio"]


def test_fractions() -> None:
    assert find_fraction([True, False]) == 0.5
    assert find_fraction([]) == 0.0
