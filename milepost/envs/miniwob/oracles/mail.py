"""Pages of an inbox."""

import re

from milepost.envs.miniwob.oracles.sight import click, elements, quoted, texts
from milepost.sandbox.actions import Action, Click, Fill, MouseClick, Noop, ScrollTo
from milepost.sandbox.observation import Observation

_REPLY = MouseClick(51, 187)
_FORWARD = MouseClick(108, 187)
"""Both words are in one element, so they are clicked where the page's style puts them."""

_NAME = r"\b([A-Z][a-z]+)\b"
_NOT_OF = r"(?!'s (?:e-?mail|message|last|latest|most))"
_RECIPIENTS = (
    rf"(?:\bto|[Ff]orward|[Gg]ive|[Ll]et|[Ss]end|[Ss]how|[Ee]mail|want|[Mm]ake sure|[Ww]ith)(?: to)? {_NAME}{_NOT_OF}",
    r"\b([A-Z][a-z]+)'s (?:inbox|email\.)",
    r"[Pp]ut ([A-Z][a-z]+) on the list",
    rf"^{_NAME} (?:must|should|needs)",
    rf"email {_NAME}\.$",
)
"""How goals name whom a mail is for, the surest words first; people worded them, so there are many."""


def _find_action(goal: str) -> str:
    """Tell what to do with the mail: `reply`, `delete`, `star` or `forward`."""
    if '"' in goal:
        return "reply"
    if re.search(r"delete|trash|rid of|remove|recycl|out of|throw|don't want", goal, re.IGNORECASE):
        return "delete"
    return "star" if re.search(r"import|\bstar\b|\bmark\b", goal, re.IGNORECASE) else "forward"


def _find_recipient(goal: str) -> str:
    found = (re.findall(pattern, goal) for pattern in _RECIPIENTS)
    return next((names[-1] for names in found if names), "")


def _find_sender(goal: str, senders: list[str]) -> str:
    """Choose the sender of whom the goal speaks; whom the mail is for may have written one, too."""
    named = [name for name in senders if re.search(rf"{name}(?:'?s)?\b", goal)]
    recipient = _find_recipient(goal) if _find_action(goal) == "forward" else ""
    return next(iter([name for name in named if name != recipient] or named), "")


def _handle_listed(view: Observation) -> Action:
    """Delete or star the mail in the list, or open it to answer or forward it."""
    action, mails = _find_action(view.goal), [e for e in elements(view, "generic") if e.name]
    sender = _find_sender(view.goal, [mail.name.split()[0] for mail in mails])
    for mail in mails:
        if mail.name.split()[0] == sender:
            # In the list, the pictures of bin and star follow their mail.
            after = [e.id for e in view.elements[view.elements.index(mail) + 1 :]]
            place = {"delete": after[0], "star": after[1]}.get(action, mail.id)
            # The edge of the list may run through it; that counts as covered.
            return ScrollTo(place) if "covered" in view.last_error else Click(place)
    return Noop()


def _send_mail(view: Observation) -> Action:
    """Enter whom a mail is for, or the answer, and send it."""
    field, forwards = elements(view, "textbox")[0], _find_action(view.goal) == "forward"
    text = _find_recipient(view.goal) if forwards else next(iter(quoted(view)), "")
    # Of the two pictures above the mail, the right one sends it.
    return click(view, "generic", "", nth=1) if field.value == text else Fill(field.id, text)


def use_inbox(view: Observation) -> Action:
    """Find the mail of which the goal speaks, and delete, star, forward or answer it."""
    if "has no size" in view.last_error:
        return Noop(500)  # a picture that is not there yet
    if view.find("heading", "Primary"):
        return _handle_listed(view)
    if "to:" in texts(view) and elements(view, "textbox"):
        return _send_mail(view)
    if view.find("generic", "Reply Forward") is None:
        return Noop()
    return _FORWARD if _find_action(view.goal) == "forward" else _REPLY
