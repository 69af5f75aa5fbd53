"""What is left out is said, what matters most is kept, and the same page is always shortened in the same way."""

import pytest

from milepost.sandbox.elision import count_tokens, shorten_elements, shorten_lines
from milepost.sandbox.observation import Element, parse_tree


def element(number: int, role: str, name: str, *states: str, depth: int = 0) -> Element:
    element_id = "" if role == "text" else str(number)
    return Element(id=element_id, depth=depth, role=role, name=name, states=states)


PAGE = (
    element(1, "heading", "Shop"),
    element(0, "text", "Welcome to the shop, where everything is on sale until the end of the month."),
    *(element(n, "link", f"Article number {n}") for n in range(2, 8)),
    element(8, "textbox", "Coupon", "focused"),
    element(9, "button", "Order"),
    *(element(n, "link", f"Footer link {n}", "offscreen") for n in range(10, 30)),
)


def render(elements: tuple[Element, ...]) -> str:
    return "\n".join(e.line for e in elements)


def test_a_page_within_the_budget_is_shown_whole() -> None:
    assert shorten_elements(PAGE, 10_000) == PAGE


def test_what_can_be_done_and_seen_is_kept_before_what_is_read_or_far() -> None:
    assert render(shorten_elements(PAGE, 84)) == "\n".join(
        [
            '[1] heading "Shop"',
            "(... 1 more: 1 text)",
            *(f'[{n}] link "Article number {n}"' for n in range(2, 8)),
            '[8] textbox "Coupon" focused',
            '[9] button "Order"',
            "(... 20 more: 20 link)",
        ]
    )


@pytest.mark.parametrize("budget", range(64, 400, 16))
def test_the_budget_holds_and_every_line_is_counted(budget: int) -> None:
    shown = shorten_elements(PAGE, budget)
    assert sum(count_tokens(e.line) for e in shown) <= budget
    missing = sum(int(e.name.split()[0]) for e in shown if e.role == "elided")
    assert missing + sum(e.role != "elided" for e in shown) == len(PAGE)
    assert shown == shorten_elements(PAGE, budget)


def test_a_shortened_tree_is_read_back() -> None:
    shown = shorten_elements(PAGE, 80)
    assert parse_tree(render(shown)) == shown


def test_a_page_cannot_write_that_something_is_missing() -> None:
    assert element(0, "text", "(... 3 more: 3 link)").line == '"(... 3 more: 3 link)"'


def test_a_list_is_cut_at_its_end() -> None:
    lines = tuple(f"line {n}" for n in range(40))
    assert shorten_lines(lines, 1000) == lines
    assert shorten_lines(lines, 16) == ("line 0", "line 1", "line 2", "(... 37 more lines)")
