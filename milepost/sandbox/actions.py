"""The closed set of actions.

One action is one call: `click("12")`, `fill("12", "Ada")`. `dialect` reads them from text and from tool calls,
never executes them, and builds the tool schemas; all from the dataclasses here, so nothing can drift apart.
The verbs are those that BrowserGym users know. Positional fields are always written out; keyword-only ones
only when they are not what everybody expects.
"""

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field

BUTTONS = ("left", "middle", "right")
"""Mouse buttons."""


@dataclass(frozen=True, slots=True)
class Click:
    """Click an element with a mouse button, modifiers such as Control or Shift held."""

    element: str
    button: str = field(default="left", kw_only=True)
    modifiers: tuple[str, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True, slots=True)
class Dblclick:
    """Double-click an element."""

    element: str
    button: str = field(default="left", kw_only=True)
    modifiers: tuple[str, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True, slots=True)
class Hover:
    """Move the mouse over an element."""

    element: str


@dataclass(frozen=True, slots=True)
class Focus:
    """Give an element the keyboard focus."""

    element: str


@dataclass(frozen=True, slots=True)
class Fill:
    """Replace the content of a field with text."""

    element: str
    text: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Empty a field."""

    element: str


@dataclass(frozen=True, slots=True)
class Type:
    """Focus an element and type text key by key, behind what is there."""

    element: str
    text: str


@dataclass(frozen=True, slots=True)
class Press:
    """Focus an element and press a key or combination, such as Enter or Control+a."""

    element: str
    keys: str


@dataclass(frozen=True, slots=True)
class SelectOption:
    """Choose an option of a select element by its visible text; several of one that takes several."""

    element: str
    option: str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """Tick a checkbox, radio button or switch; nothing happens when it is ticked."""

    element: str


@dataclass(frozen=True, slots=True)
class Uncheck:
    """Untick a checkbox or switch; nothing happens when it is not ticked."""

    element: str


@dataclass(frozen=True, slots=True)
class DragAndDrop:
    """Drag an element with the mouse and drop it on another."""

    element: str
    target: str


@dataclass(frozen=True, slots=True)
class UploadFile:
    """Choose a file of the workspace in a file field."""

    element: str
    path: str


@dataclass(frozen=True, slots=True)
class Scroll:
    """Scroll the page by pixels, right and down."""

    dx: int
    dy: int


@dataclass(frozen=True, slots=True)
class ScrollTo:
    """Scroll until an element can be seen."""

    element: str


@dataclass(frozen=True, slots=True)
class MouseMove:
    """Move the mouse to a point of the viewport, in CSS pixels."""

    x: int
    y: int


@dataclass(frozen=True, slots=True)
class MouseClick:
    """Click at a point of the viewport."""

    x: int
    y: int
    button: str = field(default="left", kw_only=True)


@dataclass(frozen=True, slots=True)
class MouseDblclick:
    """Double-click at a point of the viewport."""

    x: int
    y: int
    button: str = field(default="left", kw_only=True)


@dataclass(frozen=True, slots=True)
class MouseDragAndDrop:
    """Drag with the mouse from one point of the viewport to another."""

    from_x: int
    from_y: int
    to_x: int
    to_y: int


@dataclass(frozen=True, slots=True)
class KeyboardPress:
    """Press a key or combination where the focus is."""

    keys: str


@dataclass(frozen=True, slots=True)
class KeyboardType:
    """Type text key by key where the focus is."""

    text: str


@dataclass(frozen=True, slots=True)
class Goto:
    """Open a URL of the episode's own sites."""

    url: str


@dataclass(frozen=True, slots=True)
class Back:
    """Go back in the tab's history."""


@dataclass(frozen=True, slots=True)
class Forward:
    """Go forward in the tab's history."""


@dataclass(frozen=True, slots=True)
class Reload:
    """Load the page again."""


@dataclass(frozen=True, slots=True)
class NewTab:
    """Open a tab, at a URL or blank, and look at it."""

    url: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class CloseTab:
    """Close the tab in view; the one that opened it comes into view."""


@dataclass(frozen=True, slots=True)
class FocusTab:
    """Look at another tab, by its number in the list of tabs."""

    tab: int


@dataclass(frozen=True, slots=True)
class AcceptDialog:
    """Accept the open dialog, with text for a prompt."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class DismissDialog:
    """Dismiss the open dialog."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Put an element's text (a field's: its value) on the episode's own clipboard."""

    element: str


@dataclass(frozen=True, slots=True)
class Paste:
    """Replace the content of a field with the clipboard's text."""

    element: str


@dataclass(frozen=True, slots=True)
class Extract:
    """Read an element's full text; what was read is logged."""

    element: str


@dataclass(frozen=True, slots=True)
class ListFiles:
    """List the files of the workspace."""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """Read a text file of the workspace."""

    path: str


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Write a text file of the workspace."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class MoveFile:
    """Move or rename a file of the workspace."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class DeleteFile:
    """Delete a file of the workspace."""

    path: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Give the final answer, text or any JSON value, and end the episode."""

    text: str = field(metadata={"json": True})


@dataclass(frozen=True, slots=True)
class ReportInfeasible:
    """State that the task cannot be done, and end the episode."""

    reason: str


@dataclass(frozen=True, slots=True)
class Noop:
    """Do nothing for some milliseconds, at most 10,000."""

    ms: int = 0


Action = (
    Click
    | Dblclick
    | Hover
    | Focus
    | Fill
    | Clear
    | Type
    | Press
    | SelectOption
    | Check
    | Uncheck
    | DragAndDrop
    | UploadFile
    | Scroll
    | ScrollTo
    | MouseMove
    | MouseClick
    | MouseDblclick
    | MouseDragAndDrop
    | KeyboardPress
    | KeyboardType
    | Goto
    | Back
    | Forward
    | Reload
    | NewTab
    | CloseTab
    | FocusTab
    | AcceptDialog
    | DismissDialog
    | Copy
    | Paste
    | Extract
    | ListFiles
    | ReadFile
    | WriteFile
    | MoveFile
    | DeleteFile
    | Answer
    | ReportInfeasible
    | Noop
)
"""Everything an agent can do. Closed: a new action is a new member here and a case in the session."""


def name_verb(cls: type) -> str:
    """Name an action class's verb: `DragAndDrop` is `drag_and_drop`."""
    return "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")


ACTION_TYPES: Mapping[str, type] = {name_verb(cls): cls for cls in typing.get_args(Action)}
"""Every action class by its verb in the text dialect."""
