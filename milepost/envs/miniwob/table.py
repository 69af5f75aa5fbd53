"""The tasks of MiniWoB++ by page: what the agent does, and how many steps it may take.

The page of `click-test` is `miniwob/click-test.html` in the package's folder `html`; those of the flight tasks
are in folders of their own. The pages that the package ships but does not register are left out here too.
"""

from collections.abc import Mapping

_SUMMARIES = """
ascending-numbers: Click numbers on a drawing in ascending order.
bisect-angle: Draw the line that halves an angle.
book-flight: Book the cheapest or shortest flight for a route and date.
book-flight-nodelay: Book a flight, with suggestions that come at once.
buy-ticket: Buy the ticket with the extreme price or duration.
choose-date: Pick a date of a year in a calendar.
choose-date-easy: Pick a date of the month that the calendar shows.
choose-date-medium: Pick a date of the next months in a calendar.
choose-date-nodelay: Pick a date of a year in a calendar without animation.
choose-list: Choose an entry of a list and submit.
circle-center: Click the centre of a circle.
click-button: Click the button with a given caption.
click-button-sequence: Click two buttons in order.
click-checkboxes: Check the named boxes and submit.
click-checkboxes-large: Check many named boxes and submit.
click-checkboxes-soft: Check the boxes whose words mean the same as given ones.
click-checkboxes-transfer: Check the named boxes; test pages ask for more of them.
click-collapsible: Open a section and submit.
click-collapsible-2: Find a word in collapsed sections and click it.
click-collapsible-2-nodelay: Find a word in collapsed sections that open at once.
click-collapsible-nodelay: Open a section that opens at once, and submit.
click-color: Click the box of a given colour.
click-dialog: Close a dialog.
click-dialog-2: Click the given button of a dialog.
click-link: Click a given word of a text.
click-menu: Choose an entry of nested menus.
click-menu-2: Open a menu and choose the entry with a name or icon.
click-option: Choose a radio button and submit.
click-pie: Open a pie menu and choose an entry.
click-pie-nodelay: Choose an entry of a pie menu without animation.
click-scroll-list: Select entries of a list that scrolls, and submit.
click-shades: Select all shades of a colour.
click-shape: Click the shape that fits a description.
click-tab: Switch to a given tab.
click-tab-2: Find a word behind three tabs and click it.
click-tab-2-easy: Find a word behind tabs; the easiest pages.
click-tab-2-hard: Find a word behind up to six tabs.
click-tab-2-medium: Find a word behind tabs with few links.
click-test: Click the only button.
click-test-2: Click one of two buttons.
click-test-transfer: Click one of two buttons; test pages ask for the other.
click-widget: Click any widget of a given kind.
copy-paste: Copy a text into a field.
copy-paste-2: Copy one of three texts into a field.
count-shape: Count the shapes that fit a description.
count-sides: Say how many sides a shape has.
daily-calendar: Create an event of a given length in a calendar.
drag-box: Drag a small box into a large one.
drag-circle: Drag a circle in a given direction.
drag-cube: Turn a cube to show a given side.
drag-items: Drag an entry of a list to a given place.
drag-items-grid: Drag an entry of a grid to a given place.
drag-shapes: Drag all shapes of a kind into a box.
drag-shapes-2: Sort shapes into two boxes by dragging.
drag-single-shape: Drag a shape in a given direction.
drag-sort-numbers: Sort numbers by dragging.
draw-circle: Draw a circle around a point.
draw-line: Draw a line through a point.
email-inbox: Find a mail, and delete, forward, reply to or mark it.
email-inbox-delete: Find a mail and delete it.
email-inbox-forward: Find a mail and forward it.
email-inbox-forward-nl: Forward a mail; goals in varied words.
email-inbox-forward-nl-turk: Forward a mail; goals written by people.
email-inbox-important: Find a mail and mark it as important.
email-inbox-nl-turk: Work with a mail; goals written by people.
email-inbox-noscroll: Work with a mail in an inbox that needs no scrolling.
email-inbox-reply: Find a mail and reply to it.
email-inbox-star-reply: Find a mail, and mark it or reply to it.
enter-date: Enter a date into a date field.
enter-password: Enter a password twice.
enter-text: Enter a text and submit.
enter-text-2: Enter a text in upper or lower case.
enter-text-dynamic: Enter a random text and submit.
enter-time: Enter a time into a time field.
find-greatest: Turn cards to find the greatest number.
find-midpoint: Click the point midway between two points.
find-word: Enter the n-th word of a text.
flight.AA: Search a flight on an airline's form, inside a frame.
flight.Alaska: Search a flight on another airline's form, inside a frame.
flight.Alaska-auto: Search a flight on a partly filled form, inside a frame.
focus-text: Focus a text field.
focus-text-2: Focus the n-th text field.
form-sequence: Set a slider, check a box and submit.
form-sequence-2: Choose a radio button, fill a field and submit.
form-sequence-3: Choose from a list, then click a button.
generate-number: Generate numbers until one fits.
grid-coordinate: Click a point of a grid by its coordinates.
guess-number: Guess a number from hints.
highlight-text: Select the text of a paragraph.
highlight-text-2: Select the text of one of several paragraphs.
hot-cold: Find a hidden place from hints.
identify-shape: Name the shape that is shown.
login-user: Enter a user name and a password.
login-user-popup: Log in, and close what pops up meanwhile.
multi-layouts: Fill in a search form of varying layout.
multi-orderings: Fill in a search form of varying order.
navigate-tree: Find an entry in a tree of folders.
number-checkboxes: Draw a digit with checkboxes.
odd-or-even: Mark numbers as odd or even.
order-food: Order dishes of a kind or by name.
phone-book: Find a person in a phone book and click a detail.
read-table: Enter a value read from a table.
read-table-2: Enter two values read from a table.
resize-textarea: Make a text area larger or smaller.
right-angle: Add the point that makes a right angle.
scroll-text: Find the last word of a long text and enter it.
scroll-text-2: Scroll a text to its top or bottom.
search-engine: Search, and open the n-th result.
sign-agreement: Scroll through an agreement, then sign or cancel it.
simple-algebra: Solve an equation for x.
simple-arithmetic: Add, subtract or multiply two digits.
social-media: Use a button below a given user's post.
social-media-all: Use a button below all posts of a user.
social-media-some: Use a button below some posts of a user.
stock-market: Buy a stock when its price is low enough.
terminal: Delete a file by commands in a terminal.
text-editor: Format words in a text editor.
text-transform: Type a slanted text that is shown.
tic-tac-toe: Win a game of noughts and crosses.
unicode-test: Click the button with a caption in any script.
use-autocomplete: Enter an item by its beginning and end, with suggestions.
use-autocomplete-nodelay: Enter an item, with suggestions that come at once.
use-colorwheel: Pick a colour by its name.
use-colorwheel-2: Pick a colour that is shown.
use-slider: Set a slider to a number.
use-slider-2: Set three sliders to numbers.
use-spinner: Set a number with two small buttons.
visual-addition: Count the blocks of two heaps.
"""

SUMMARIES: Mapping[str, str] = dict(line.split(": ", 1) for line in _SUMMARIES.strip().splitlines())
"""What the agent does, by page."""

_DEFAULT_STEPS = 12
_STEPS: Mapping[str, int] = {
    "book-flight": 40,
    "book-flight-nodelay": 40,
    "choose-date": 20,
    "choose-date-nodelay": 20,
    "click-checkboxes-large": 20,
    "click-checkboxes-soft": 15,
    "click-shades": 20,
    "drag-circle": 60,
    "drag-single-shape": 60,
    "drag-sort-numbers": 20,
    "flight.AA": 40,
    "flight.Alaska": 40,
    "flight.Alaska-auto": 40,
    "form-sequence": 30,
    "generate-number": 30,
    "guess-number": 24,
    "hot-cold": 30,
    "number-checkboxes": 24,
    "order-food": 24,
    "social-media-all": 24,
    "social-media-some": 24,
    "stock-market": 60,
    "terminal": 20,
    "use-slider": 120,
    "use-slider-2": 60,
    "use-spinner": 16,
}


def step_limit(page: str) -> int:
    """Give the steps after which an episode on a page is truncated."""
    return _STEPS.get(page, _DEFAULT_STEPS)


_DEFAULT_TURN_MS = 1000
"""Enough for the pages' animations and delays to end."""
_TURN_MS: Mapping[str, int] = {"stock-market": 250}  # its prices change ten times a second


def turn_ms(page: str) -> int:
    """Give how much of its own time a page has in a turn."""
    return _TURN_MS.get(page, _DEFAULT_TURN_MS)


_RENEWABLE = """
buy-ticket choose-list click-button click-checkboxes click-checkboxes-large click-checkboxes-transfer click-option click-test
click-test-2 click-test-transfer copy-paste copy-paste-2 enter-password enter-text enter-text-2 enter-text-dynamic find-word
focus-text focus-text-2 form-sequence-2 generate-number guess-number login-user login-user-popup odd-or-even
read-table read-table-2 scroll-text scroll-text-2 simple-algebra simple-arithmetic text-transform unicode-test
"""
RENEWABLE = frozenset(_RENEWABLE.split())
"""Pages whose next problem leaves nothing of the one before, so that an episode may begin in the document of another. Found
out by playing (decision record 0030): the others keep a list open, a section unfolded, a slider where it was."""
