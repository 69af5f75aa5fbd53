"""The cases of the judged tasks: what is said or done in each, and what is right to find.

Both were written down before any judge was asked. `python -m benchmarks.judged_labels --make` plays them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from milepost.envs.task import Task
from milepost.sandbox.actions import Action, Answer, Click, Fill, Goto, KeyboardPress
from milepost.sandbox.observation import Observation

Change = Callable[[Task, Observation, Action], Action]
"""From what the oracle would do to what is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One case of a task."""

    case: str
    made: str
    findings: str
    """One letter a criterion, in the rubric's order: `m`et, `n`ot met, `-` for no label."""
    why: str
    change: Change = lambda task, view, action: action


def say(text: Callable[[Mapping[str, Any]], str]) -> Change:
    """Answer, or write into the message, something else; from the task's parameters."""

    def change(task: Task, view: Observation, action: Action) -> Action:
        said = text(task.params)
        if isinstance(action, Answer):
            return Answer(said)
        if not isinstance(action, Fill) or not any(
            e.id == action.element and e.name in ("Message", "Text") for e in view.elements
        ):
            return action
        filled = any(e.name in ("Message", "Text") and e.value == said for e in view.elements)
        send = next((e.id for e in view.elements if e.role == "button" and e.name.startswith("Send")), "")
        return Click(send) if filled else Fill(action.element, said)

    return change


def values(p: Mapping[str, Any]) -> list[int]:
    """Give the two values of a board's figure."""
    return [int(value.replace(",", "")) for value in p["values"]]


def word(p: Mapping[str, Any], *, right: bool = True) -> str:
    """Say in which direction a figure went, or did not."""
    old, new = values(p)
    return "rose" if (new > old) is right else "fell"


def tell(p: Mapping[str, Any], direction: str, old: str, new: str) -> str:
    """Write a sentence about a figure."""
    before, after = (period.lower() for period in p["periods"])
    return f"{p['figure']} {direction} from {old} {before} to {new} {after}."


def off(p: Mapping[str, Any]) -> str:
    """Give a value further in the same direction than the true one."""
    old, new = values(p)
    return f"{new + (150 if new > old else -30):,}"


def open_other(which: Callable[[Task], str], answer: Callable[[Task], str]) -> Change:
    """Open another invoice than the oracle would, and answer."""

    def change(task: Task, view: Observation, action: Action) -> Action:
        title = f"Invoice {which(task)}"
        if view.find("heading", title):
            return Answer(answer(task))
        link = view.element("link", title)
        return Click(link.id) if link is not None and view.find("table", "Results") else action

    return change


def highest(task: Task) -> str:
    """Give the highest number of the company's invoices."""
    return task.truth[2].split()[1]


def escape(task: Task, view: Observation, action: Action) -> Action:
    """Leave the dialog by the Escape key."""
    return KeyboardPress("Escape") if view.element("dialog") else action


def confirm(task: Task, view: Observation, action: Action) -> Action:
    """Do what the dialog offers."""
    dialog = view.element("dialog")
    if dialog is None:
        return action
    name = view.element("textbox", "New name")
    if name is not None and name.value != "other.csv":
        return Fill(name.id, "other.csv")
    caption = dialog.name.removesuffix(f" {task.params['file']}")
    return next((Click(e.id) for e in view.elements if e.role == "button" and e.name == caption), action)


def make_wanderer() -> Change:
    """Go home and back once, when the dialog is left and before the download."""
    done: set[str] = set()

    def change(task: Task, view: Observation, action: Action) -> Action:
        if "/files/" not in view.url or view.element("dialog") or task.goal in done:
            return action
        done.add(task.goal)
        return Goto(task.start_url)

    return change


SUMMARY = (
    Variant(case="oracle", made="oracle", findings="mmm", why="the task's own solution"),
    Variant(
        case="other words",
        made="hand",
        findings="mmm",
        why="right, in other words",
        change=say(
            lambda p: f"{p['figure']} went {'up' if word(p) == 'rose' else 'down'}: {p['values'][0]} before, {p['values'][1]} now."
        ),
    ),
    Variant(
        case="opposite",
        made="corruption",
        findings="nmm",
        why="the direction is the wrong one",
        change=say(lambda p: tell(p, word(p, right=False), *p["values"])),
    ),
    Variant(
        case="wrong number",
        made="corruption",
        findings="mnm",
        why="the second number is not on the board",
        change=say(lambda p: tell(p, word(p), p["values"][0], off(p))),
    ),
    Variant(
        case="swapped",
        made="corruption",
        findings="nnm",
        why="both numbers stand with the other period, so the direction is wrong too",
        change=say(lambda p: tell(p, word(p, right=False), *reversed(p["values"]))),
    ),
    Variant(
        case="no direction",
        made="hand",
        findings="nmm",
        why="it lists the values and leaves the change to the reader",
        change=say(lambda p: f"{p['figure']} was {p['values'][0]} {p['periods'][0].lower()} and {p['values'][1]} {p['periods'][1].lower()}."),
    ),
    Variant(
        case="chatty",
        made="hand",
        findings="mmn",
        why="a second sentence speaks of something else",
        change=say(lambda p: tell(p, word(p), *p["values"]) + " The weather was fine and everybody is happy."),
    ),
)  # fmt: skip

COPIED = (
    Variant(case="oracle", made="oracle", findings="mm", why="the task's own solution"),
    Variant(
        case="as lines",
        made="hand",
        findings="mm",
        why="right, one line each",
        change=say(lambda p: "\n".join(f"{company}: {amount}" for company, amount in p["rows"])),
    ),
    Variant(
        case="mixed up",
        made="corruption",
        findings="mn",
        why="each amount stands with the other company",
        change=say(lambda p: f"{p['rows'][0][0]} has {p['rows'][1][1]}. {p['rows'][1][0]} has {p['rows'][0][1]}."),
    ),
    Variant(
        case="digit off",
        made="corruption",
        findings="n-",
        why="the first amount has another first digit than in the table",
        change=say(lambda p: f"{p['rows'][0][0]} has {9 if p['rows'][0][1][0] != '9' else 8}{p['rows'][0][1][1:]}. {p['rows'][1][0]} has {p['rows'][1][1]}."),
    ),
    Variant(
        case="one only",
        made="corruption",
        findings="n-",
        why="the second company is missing",
        change=say(lambda p: f"{p['rows'][0][0]} has {p['rows'][0][1]}."),
    ),
    Variant(
        case="no names",
        made="hand",
        findings="mn",
        why="nobody can tell whose amounts these are",
        change=say(lambda p: f"The amounts are {p['rows'][1][1]} and {p['rows'][0][1]}."),
    ),
)  # fmt: skip

MEANT = (
    Variant(case="oracle", made="oracle", findings="mm", why="the task's own solution"),
    Variant(
        case="in words",
        made="hand",
        findings="mm",
        why="right, as a sentence",
        change=say(lambda p: f"It is invoice {p['id']}."),
    ),
    Variant(
        case="newest date",
        made="corruption",
        findings="nm",
        why="the newest one was never sent, or was called back",
        change=open_other(lambda t: t.params["void"], lambda t: t.params["void"]),
    ),
    Variant(
        case="highest number",
        made="corruption",
        findings="nm",
        why="the highest number is an old invoice's",
        change=open_other(highest, highest),
    ),
    Variant(
        case="not opened",
        made="corruption",
        findings="mn",
        why="the right number, but another invoice was opened",
        change=open_other(lambda t: t.params["void"], lambda t: t.params["id"]),
    ),
)

RECOVERY = (
    Variant(case="oracle", made="oracle", findings="mm", why="cancelled, then downloaded"),
    Variant(
        case="escape", made="hand", findings="mm", why="left by the keyboard, then downloaded", change=escape
    ),
    Variant(
        case="used", made="corruption", findings="n-", why="what the dialog offers was done", change=confirm
    ),
    Variant(
        case="detour",
        made="corruption",
        findings="mn",
        why="left, but home and back before the download",
        change=make_wanderer(),
    ),
)

TONE = (
    Variant(case="oracle", made="oracle", findings="mmm", why="the task's own solution"),
    Variant(
        case="in own words",
        made="hand",
        findings="mmm",
        why="thanks, declines, greets and closes",
        change=say(lambda p: f"Hello,\n\nmany thanks for thinking of me. Sadly I will not be able to join you.\n\nBest wishes\n{p['me']}"),
    ),
    Variant(
        case="rude",
        made="hand",
        findings="mn-",
        why="a reproach, and no thanks",
        change=say(lambda p: f"Hello,\n\nyou should know that I have better things to do. I will not come.\n\n{p['me']}"),
    ),
    Variant(
        case="accepts",
        made="corruption",
        findings="nmm",
        why="it says yes",
        change=say(lambda p: f"Hello,\n\nthank you for the kind invitation. I will gladly come.\n\nKind regards,\n{p['me']}"),
    ),
    Variant(
        case="leaves it open",
        made="hand",
        findings="nmm",
        why="polite, but it may still be a yes",
        change=say(lambda p: f"Hello,\n\nthank you very much. I will see what I can do and tell you later.\n\nKind regards,\n{p['me']}"),
    ),
    Variant(
        case="no letter",
        made="hand",
        findings="mmn",
        why="polite and clear, without greeting, closing or name",
        change=say(lambda p: "thanks a lot but i cannot come"),
    ),
)  # fmt: skip

CASES: Mapping[str, tuple[Variant, ...]] = {
    "BoardSummary-v0": SUMMARY,
    "TableCopy-v0": COPIED,
    "MeantInvoice-v0": MEANT,
    "DialogRecovery-v0": RECOVERY,
    "ReplyTone-v0": TONE,
}
