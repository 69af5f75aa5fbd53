"""Which page has which oracle."""

from collections.abc import Mapping

from milepost.envs.miniwob.oracles.choices import (
    check_boxes,
    choose_and_click,
    choose_and_enter,
    choose_entry,
    choose_radio,
    select_entries,
)
from milepost.envs.miniwob.oracles.clicks import (
    buy_stock,
    buy_ticket,
    click_any_button,
    click_in_dialog,
    click_in_sequence,
    click_named_button,
    click_quoted_button,
    click_widget,
    focus_field,
    generate_number,
    mark_parity,
    open_section,
    switch_tab,
)
from milepost.envs.miniwob.oracles.controls import (
    enter_color,
    scroll_text,
    set_slider_and_check,
    set_sliders,
    set_spinner,
)
from milepost.envs.miniwob.oracles.drags import (
    drag_in_grid,
    drag_in_list,
    drag_shape,
    sort_by_dragging,
)
from milepost.envs.miniwob.oracles.editor import style_text
from milepost.envs.miniwob.oracles.entries import (
    complete_item,
    compute,
    copy_text,
    enter_cell,
    enter_cells,
    enter_counted_word,
    enter_last_word,
    enter_letters,
    enter_password,
    enter_quoted,
    guess_number,
    log_in,
    solve_for_x,
)
from milepost.envs.miniwob.oracles.forms import (
    delete_file,
    draw_digit,
    enter_date,
    enter_time,
    search_films,
)
from milepost.envs.miniwob.oracles.links import click_word, find_word
from milepost.envs.miniwob.oracles.mail import use_inbox
from milepost.envs.miniwob.oracles.menus import choose_from_menu
from milepost.envs.miniwob.oracles.orders import order_dishes
from milepost.envs.miniwob.oracles.places import (
    click_contact,
    click_coordinate,
    highlight_paragraph,
    open_entry,
    turn_greatest,
)
from milepost.envs.miniwob.oracles.searches import book_flight, choose_date, open_result
from milepost.envs.task import NoOracleError, Oracle
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation

ORACLES: Mapping[str, Oracle] = {
    "book-flight": book_flight,
    "book-flight-nodelay": book_flight,
    "buy-ticket": buy_ticket,
    "choose-date": choose_date,
    "choose-date-easy": choose_date,
    "choose-date-medium": choose_date,
    "choose-date-nodelay": choose_date,
    "choose-list": choose_entry,
    "click-button": click_quoted_button,
    "click-button-sequence": click_in_sequence,
    "click-checkboxes": check_boxes,
    "click-checkboxes-large": check_boxes,
    "click-checkboxes-transfer": check_boxes,
    "click-collapsible": open_section,
    "click-collapsible-2": find_word,
    "click-collapsible-2-nodelay": find_word,
    "click-collapsible-nodelay": open_section,
    "click-dialog": click_in_dialog,
    "click-dialog-2": click_in_dialog,
    "click-link": click_word,
    "click-menu": choose_from_menu,
    "click-option": choose_radio,
    "click-scroll-list": select_entries,
    "click-tab": switch_tab,
    "click-tab-2": find_word,
    "click-tab-2-easy": find_word,
    "click-tab-2-hard": find_word,
    "click-tab-2-medium": find_word,
    "click-test": click_any_button,
    "click-test-2": click_named_button,
    "click-test-transfer": click_named_button,
    "click-widget": click_widget,
    "copy-paste": copy_text,
    "copy-paste-2": copy_text,
    "drag-circle": drag_shape,
    "drag-items": drag_in_list,
    "drag-items-grid": drag_in_grid,
    "drag-single-shape": drag_shape,
    "drag-sort-numbers": sort_by_dragging,
    "email-inbox": use_inbox,
    "email-inbox-delete": use_inbox,
    "email-inbox-forward": use_inbox,
    "email-inbox-forward-nl": use_inbox,
    "email-inbox-forward-nl-turk": use_inbox,
    "email-inbox-important": use_inbox,
    "email-inbox-nl-turk": use_inbox,
    "email-inbox-noscroll": use_inbox,
    "email-inbox-reply": use_inbox,
    "email-inbox-star-reply": use_inbox,
    "enter-date": enter_date,
    "enter-password": enter_password,
    "enter-text": enter_quoted,
    "enter-text-2": enter_quoted,
    "enter-text-dynamic": enter_quoted,
    "enter-time": enter_time,
    "find-greatest": turn_greatest,
    "find-word": enter_counted_word,
    "focus-text": focus_field,
    "focus-text-2": focus_field,
    "form-sequence": set_slider_and_check,
    "form-sequence-2": choose_and_enter,
    "form-sequence-3": choose_and_click,
    "generate-number": generate_number,
    "grid-coordinate": click_coordinate,
    "guess-number": guess_number,
    "highlight-text": highlight_paragraph,
    "login-user": log_in,
    "login-user-popup": log_in,
    "multi-layouts": search_films,
    "multi-orderings": search_films,
    "navigate-tree": open_entry,
    "number-checkboxes": draw_digit,
    "odd-or-even": mark_parity,
    "order-food": order_dishes,
    "phone-book": click_contact,
    "read-table": enter_cell,
    "read-table-2": enter_cells,
    "scroll-text": enter_last_word,
    "scroll-text-2": scroll_text,
    "search-engine": open_result,
    "simple-algebra": solve_for_x,
    "simple-arithmetic": compute,
    "stock-market": buy_stock,
    "terminal": delete_file,
    "text-editor": style_text,
    "text-transform": enter_letters,
    "unicode-test": click_quoted_button,
    "use-autocomplete": complete_item,
    "use-autocomplete-nodelay": complete_item,
    "use-colorwheel": enter_color,
    "use-slider": set_sliders,
    "use-slider-2": set_sliders,
    "use-spinner": set_spinner,
}
"""The pages that have an oracle."""


def find_oracle(page: str) -> Oracle:
    """Give a page's oracle; where there is none, one that says so when it is first asked."""
    return ORACLES.get(page) or _refuse(page)


def _refuse(page: str) -> Oracle:
    def act(_observation: Observation) -> Action:
        raise NoOracleError(
            f"miniwob.{page}-v1 has no oracle, so use another policy; pages with one: {', '.join(ORACLES)}"
        )

    return act
