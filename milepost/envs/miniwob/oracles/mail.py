"""Pages of an inbox. Its mails and small pictures have no id, so they are clicked where the page's style puts them."""

import re

from milepost.envs.miniwob.oracles.sight import elements, quoted, texts
from milepost.sandbox.actions import Action, Fill, MouseClick, Noop, Press
from milepost.sandbox.observation import Observation

_SEARCH = MouseClick(143, 61)
_STAR = MouseClick(134, 63)
_TRASH = MouseClick(148, 63)
_REPLY = MouseClick(51, 187)
_FORWARD = MouseClick(108, 187)
_SEND = MouseClick(148, 62)

_ROW = 39
"""Pixels from one mail of a list to the next."""
_INBOX, _RESULTS = 92, 107
"""Where the middle of the first mail is, in the inbox and among the results of a search."""
_IN_VIEW = 3
"""How many mails of the inbox can be seen without scrolling."""

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


def _open_mail(view: Observation) -> Action:
    """Click the mail if it is in view; else open the search."""
    senders = texts(view)[::3]
    sender = _find_sender(view.goal, senders)
    if sender not in senders:
        return Noop()
    row = senders.index(sender)
    return MouseClick(50, _INBOX + row * _ROW) if row < _IN_VIEW else _SEARCH


def _names(goal: str) -> list[str]:
    """Give what may be the sender's name; the word that begins the goal comes last, as it seldom is one."""
    words = re.findall(r"[A-Z][a-z]+", re.sub(r'"[^"]*"', "", goal))
    recipient = _find_recipient(goal) if _find_action(goal) == "forward" else ""
    return [word for word in (*words[1:], *words[:1]) if word != recipient]


def _search_mail(view: Observation) -> Action:
    """Search for one name after the other, and click the mail among the results."""
    field, names, shown = view.element("textbox"), _names(view.goal), texts(view)
    if field is None or not names:
        return Noop()
    if view.last_action.startswith("fill"):
        return Press(field.id, "End")  # the page searches when a key comes up
    if field.value in shown:
        # What each result shows of its mail is cut, and ends in two dots.
        row = sum(text.endswith("..") for text in shown[: shown.index(field.value)])
        return MouseClick(50, _RESULTS + row * _ROW)
    after = names.index(field.value) + 1 if field.value in names else 0
    return Fill(field.id, names[after % len(names)])


def _use_mail(view: Observation) -> Action:
    return {"reply": _REPLY, "delete": _TRASH, "star": _STAR, "forward": _FORWARD}[_find_action(view.goal)]


def _send_mail(view: Observation) -> Action:
    """Enter whom a mail is for, or the answer, and send it."""
    field, forwards = elements(view, "textbox")[0], _find_action(view.goal) == "forward"
    text = _find_recipient(view.goal) if forwards else next(iter(quoted(view)), "")
    return _SEND if field.value == text else Fill(field.id, text)


def use_inbox(view: Observation) -> Action:
    """Find the mail of which the goal speaks, and delete, star, forward or answer it."""
    shown = texts(view)
    if view.find("heading", "Primary"):
        return _open_mail(view)
    if view.find("heading", "Results"):
        return _search_mail(view)
    if "to:" in shown and elements(view, "textbox"):
        return _send_mail(view)
    return _use_mail(view) if "Reply" in shown and "Forward" in shown else Noop()
