"""The catalogue of all that rules can say, written from the code itself for the documentation."""

import inspect
from collections.abc import Callable, Iterator
from enum import Enum

from milepost.milestones import operators, predicates, typed, vocabulary
from milepost.milestones.kinds import FIELD_TYPES
from milepost.milestones.milestone import Component, Effect, forbid, milestone
from milepost.milestones.predicates import Predicate
from milepost.milestones.reward import DEFAULT_WEIGHTS, PRESETS, RewardMode
from milepost.milestones.trace import Detection
from milepost.milestones.trust import TRUST_OF_KIND
from milepost.milestones.typed import file_path
from milepost.milestones.vocabulary import when
from milepost.milestones.wording import describe
from milepost.sandbox.events import FACT_TYPES, Trust

_CLICK = when("clicked", role="button", name="Save")
_BANNER = when("element_appeared", role="status", name="Changes saved")
_SAVED = when("app_changed", app="settings", change="settings.saved")
_REPORT = file_path("Downloads/q3.csv")

OBSERVABLES: tuple[tuple[str, Predicate], ...] = (
    ("a page was opened (navigation completed)", when("navigation_completed", url=operators.url("http://a.test/x"))),
    ("its document was parsed (DOMContentLoaded)", when("dom_content_loaded", url="http://a.test/x")),
    ("a page was opened under a title", when("navigation_completed") & when("title_changed", title="Settings")),
    ("an element with a role and a name is there", _CLICK.then(when("element_appeared", role="table", name="Results"))),
    ("a control was used and the page changed", _CLICK.then(_BANNER, within_steps=0)),
    ("a property of a control changed: checked", when("toggled", role="switch", name="Dark mode", checked=True)),
    ("a property of an element changed: expanded",
     when("clicked", name="Filters").then(
         when("element_changed", name="Filters", states=operators.matches("(.* )?expanded( .*)?")), within_steps=0)),
    ("a control was used and anything at all changed (state delta)",
     _CLICK.then(
         when("element_appeared") | when("element_disappeared") | when("element_changed") | when("title_changed"),
         within_steps=0)),
    ("a field was focused, then filled with a value that matches",
     when("focused", name="Amount").then(when("filled", name="Amount", value=operators.matches(r"\d+\.\d\d")))),
    ("a field was filled and is valid",
     when("filled", name="Amount").then(when("validated", name="Amount", valid=True), within_steps=0)),
    ("a field still has its value",
     when("filled", name="Amount", value="5").undone_by(when("filled", name="Amount"))),
    ("an option was chosen", when("selected", name="Region", value="West")),
    ("a form was submitted and a dialog opened", when("submitted", name="Expense").then(when("dialog_opened"))),
    ("a dialog of the browser was accepted", when("dialog_closed", type="confirm", accepted=True)),
    ("a dialog of the page closed", _CLICK.then(when("dialog_closed", type="dialog"))),
    ("a banner tells of what the server did", _SAVED & _BANNER),
    ("another tab or window came into view", when("tab_opened").then(when("tab_focused"))),
    ("a file was created, not empty", when("file_created", path=_REPORT, size=operators.at_least(1))),
    ("a file was modified", when("file_modified", path=_REPORT)),
    ("a file has this content", when("file_created", path=_REPORT, sha256="9f86d081...")),
    ("a file has one of these extensions", when("file_created", path=operators.matches(r"Downloads/[^/]+\.(csv|pdf)"))),
    ("a folder changed without error", when("file_created") & ~when("file_deleted")),
    ("a download came through",
     when("download_finished", state="completed", path=_REPORT) & when("file_created", path=_REPORT)),
    ("data was read from the page (extract)",
     when("text_extracted", role="cell", text=operators.number("48.20"))),
    ("data was carried from one place to another",
     when("text_extracted", text=operators.number("48.20")).then(
         when("filled", name="Amount", value=operators.number("48.20")))),
    ("text was copied", when("copied", text="INV-7")),
    ("the server's own state changed", when("app_changed", app="mail", change="mail.sent")),
    ("an answer was given, and what it rests on was read",
     when("text_extracted").then(when("answer_given", text=operators.number("48.20")))),
    ("so many different things were done", when("app_changed", change="item.added").count(3, distinct="data.sku")),
)  # fmt: skip
"""What authors look for, and how to say it."""

_TRUSTS = (Trust.HARNESS, Trust.BROWSER, Trust.PAGE, Trust.AGENT)
_METHODS = ("then", "count", "until", "undone_by")


def write_catalogue() -> str:
    """Give the catalogue as Markdown."""
    return "\n".join(
        [
            *_section("Things to observe", ("what", "predicate"), _list_observables()),
            *_section("Kinds of events", ("trust", "kind", "fields", "what it tells"), _list_kinds()),
            *_section("Predicates", ("write", "meaning"), _list_predicates()),
            *_section("Tests of a field", ("write", "meaning"), _list_tests()),
            *_section("Milestones and violations", ("write", "meaning"), _list_rules()),
            *_section("Reward modes", ("mode", "pays"), _list_enum(RewardMode)),
            *_section("Weights of the five components", ("preset", *Component), _list_weights()),
            *_section("Effects of a violation", ("effect", "meaning"), _list_enum(Effect)),
            *_section("What a detector says", ("status", "meaning"), _list_enum(Detection)),
        ]
    )


def _section(title: str, head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield f"### {title}\n"
    yield _row(head)
    yield _row(tuple("---" for _ in head))
    yield from map(_row, rows)
    yield ""


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _list_observables() -> Iterator[tuple[str, ...]]:
    for words, predicate in OBSERVABLES:
        yield words, f"`{describe(predicate)}`"


def _list_kinds() -> Iterator[tuple[str, ...]]:
    for trust in _TRUSTS:
        for kind, own in TRUST_OF_KIND.items():
            if own is trust:
                fields = ", ".join(
                    f"`{name}` {hint.__name__ if hint in (str, int, bool) else 'mapping'}"
                    for name, hint in FIELD_TYPES[kind].items()
                )
                yield trust.name.lower(), f"`{kind}`", fields, _first_line(FACT_TYPES[kind])


def _list_predicates() -> Iterator[tuple[str, ...]]:
    for word in ("when", "all_of", "any_of", "judged"):
        yield f"`{_call(getattr(vocabulary, word), word)}`", _first_line(getattr(vocabulary, word))
    for sign, kind in (("a & b", predicates.And), ("a | b", predicates.Or), ("~a", predicates.Not)):
        yield f"`{sign}`", _first_line(kind)
    for method in _METHODS:
        function = getattr(predicates.When, method)
        yield f"`a.{_call(function, method, skip=1)}`", _first_line(function)


def _list_tests() -> Iterator[tuple[str, ...]]:
    for module, words in (
        (operators, ("eq", "one_of", "matches", "text", "number", "at_least", "at_most", "between", "url")),
        (typed, ("money", "date", "phone", "file_path")),
        (operators, ("fields", "items")),
    ):
        for word in words:
            function = getattr(module, word)
            yield f"`{_call(function, word)}`", _first_line(function)


def _list_rules() -> Iterator[tuple[str, ...]]:
    for function in (milestone, forbid):
        documented = inspect.getdoc(function) or ""
        _, _, rest = documented.partition("Args:\n")
        for line in _join_wrapped(rest.partition("\n\n")[0]):
            name, _, meaning = line.partition(": ")
            yield f"`{function.__name__}(..., {name}=...)`", meaning


def _join_wrapped(text: str) -> Iterator[str]:
    """Give each entry of a docstring's list of arguments as one line."""
    entry = ""
    for line in text.splitlines():
        if line.startswith("        "):
            entry += " " + line.strip()
        else:
            if entry:
                yield entry
            entry = line.strip()
    if entry:
        yield entry


def _list_enum(kind: type[Enum]) -> Iterator[tuple[str, ...]]:
    """List members with the text that stands below each in the source."""
    lines = [line.strip() for line in inspect.getsource(kind).splitlines()]
    for member in kind:
        place = next(index for index, line in enumerate(lines) if line.startswith(f"{member.name} = "))
        below = lines[place + 1] if place + 1 < len(lines) else ""
        yield f"`{member.value}`", below.strip('"') if below.startswith('"""') else "It came true."


def _list_weights() -> Iterator[tuple[str, ...]]:
    for name, weights in PRESETS.items():
        shown = f"`{name}`" + (" (used when none is named)" if weights is DEFAULT_WEIGHTS else "")
        yield shown, *(f"{float(weights[component]):g}" for component in Component)


def _call(function: Callable[..., object], name: str, skip: int = 0) -> str:
    shown = []
    named = False
    for parameter in list(inspect.signature(function).parameters.values())[skip:]:
        word = parameter.name
        if parameter.kind is parameter.VAR_POSITIONAL:
            word, named = f"*{word}", True
        elif parameter.kind is parameter.VAR_KEYWORD:
            word = f"**{word}"
        elif parameter.kind is parameter.KEYWORD_ONLY:
            shown += [] if named else ["*"]
            named = True
            word = f"{word}={parameter.default!r}"
        shown.append(word)
    return f"{name}({', '.join(shown)})"


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").splitlines()[0]
