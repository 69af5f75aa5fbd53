"""Which kinds of facts a reward may rest on: the one table of kinds and trust.

The sandbox says of each event who could have written it. This table says how much a *rule* may rely on a
kind, which can be less: a page's script may change the title or the URL in place at will, so these count as
page content although the browser reports them.
"""

from collections.abc import Mapping

from milepost.sandbox.events import (
    FACT_TYPES,
    ActionTaken,
    AppChanged,
    DialogClosed,
    DialogOpened,
    Event,
    Fact,
    FileCreated,
    FileDeleted,
    FileModified,
    FileMoved,
    Trust,
)

GROUND = Trust.BROWSER
"""The least trust on which a reward may rest."""

TRUST_OF_KIND: Mapping[str, Trust] = {
    "action_taken": Trust.AGENT,
    "answer_given": Trust.AGENT,
    "infeasible_reported": Trust.AGENT,
    "title_changed": Trust.PAGE,
    "history_navigated": Trust.PAGE,
    "element_appeared": Trust.PAGE,
    "element_disappeared": Trust.PAGE,
    "element_changed": Trust.PAGE,
    "page_scored": Trust.PAGE,
    "dialog_opened": Trust.BROWSER,
    "dialog_closed": Trust.BROWSER,
    "copied": Trust.BROWSER,
    "clicked": Trust.BROWSER,
    "focused": Trust.BROWSER,
    "filled": Trust.BROWSER,
    "validated": Trust.BROWSER,
    "selected": Trust.BROWSER,
    "toggled": Trust.BROWSER,
    "submitted": Trust.BROWSER,
    "navigation_completed": Trust.BROWSER,
    "dom_content_loaded": Trust.BROWSER,
    "tab_opened": Trust.BROWSER,
    "tab_closed": Trust.BROWSER,
    "tab_focused": Trust.BROWSER,
    "download_started": Trust.BROWSER,
    "download_finished": Trust.BROWSER,
    "text_extracted": Trust.HARNESS,
    "requested": Trust.HARNESS,
    "responded": Trust.HARNESS,
    "app_changed": Trust.HARNESS,
    "file_created": Trust.HARNESS,
    "file_modified": Trust.HARNESS,
    "file_moved": Trust.HARNESS,
    "file_deleted": Trust.HARNESS,
}
"""Every kind a rule may look at. A dialog of type `dialog` is the page's own and counts as page content."""

BOOKKEEPING = frozenset(FACT_TYPES) - frozenset(TRUST_OF_KIND)
"""Kinds about the episode itself, which happen anyway and say nothing about the task."""

PAGE_DIALOG = "dialog"
"""The type of a dialog that is only an element with role=dialog."""

CHANGES: tuple[type, ...] = (AppChanged, FileCreated, FileModified, FileMoved, FileDeleted)
"""Facts that change the world for good: what a goal's frame watches."""

_TRUST_OF_TYPE: Mapping[type, Trust] = {FACT_TYPES[kind]: trust for kind, trust in TRUST_OF_KIND.items()}


_DIALOGS = (DialogOpened, DialogClosed)


def required_trust(fact: Fact) -> Trust:
    """Give the trust an event with this fact must carry to count as anything."""
    if isinstance(fact, _DIALOGS) and fact.type == PAGE_DIALOG:
        return Trust.PAGE
    return _TRUST_OF_TYPE.get(type(fact), Trust.HARNESS)


def is_trustworthy(event: Event) -> bool:
    """Say whether an event comes from an instrument that may report its kind."""
    return event.trust >= required_trust(event.fact)


IDLE_VERBS = frozenset(
    {
        *("noop", "scroll", "scroll_to", "hover", "mouse_move", "extract", "list_files", "read_file"),
        *("answer", "report_infeasible", "focus_tab"),
    }
)
"""Verbs of actions with which an agent looks, waits or speaks, and changes nothing itself."""


def is_deed(event: Event) -> bool:
    """Say whether an event tells of an action that was carried out and can change the world."""
    fact = event.fact
    return (
        isinstance(fact, ActionTaken)
        and not fact.error
        and event.trust >= Trust.HARNESS
        and fact.action.partition("(")[0] not in IDLE_VERBS
    )
