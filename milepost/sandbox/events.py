"""The closed set of facts a sandbox can witness, and their canonical JSON form.

A *fact* says what happened; an *event* is a fact with its place in an episode's log: sequence number,
step, source, trust, and the hash that chains it to its predecessor. Rewards are a pure fold over events,
so everything a milestone may look at is here, and nothing else is.

Two rules keep the chain reproducible: facts hold only strings, integers, booleans and nested
mappings/sequences of these (no floats), and wall time is never part of an event's hash.
"""

import dataclasses
import hashlib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

import orjson

GENESIS = "0" * 64
"""The `prev` hash of the first event of a log."""


class Trust(IntEnum):
    """Who can write a fact, from the least to the most trustworthy."""

    AGENT = 0
    """The agent wrote it: an answer, an action's text."""
    PAGE = 1
    """Page content: what the DOM says, which page scripts may invent."""
    BROWSER = 2
    """The browser process or an isolated world: trusted input, navigation, dialogs, downloads."""
    HARNESS = 3
    """The harness itself: hashes of files, the sites' own server state, the proxy."""


class Source(StrEnum):
    """Which instrument recorded a fact. Facts of one step are logged in this order."""

    SESSION = "session"
    AGENT = "agent"
    INPUT = "input"
    PROXY = "proxy"
    SERVER = "server"
    BROWSER = "browser"
    PAGE = "page"
    FILES = "files"


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeStarted:
    """An episode began: the task's id, seed, split and goal text."""

    task: str
    seed: int
    split: str
    goal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeEnded:
    """The episode is over; `reason` says why: `goal, violation, answer, infeasible, step_limit, closed, failure`."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionTaken:
    """The agent acted; `action` is canonical action text, `error` is empty when it was carried out."""

    action: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerGiven:
    """The agent gave its answer."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InfeasibleReported:
    """The agent claimed that the task cannot be done."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextExtracted:
    """The agent read an element's text with `extract`; `text` is what the harness read there."""

    tab: int
    role: str
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """Text went to the clipboard."""

    tab: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clicked:
    """A trusted click landed on an element."""

    tab: int
    role: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Focused:
    """An element received focus."""

    tab: int
    role: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A field's value changed through trusted input; `value` is the value after it."""

    tab: int
    role: str
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """The browser's constraint validation of a field said `valid` after an input."""

    tab: int
    role: str
    name: str
    valid: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """An option of a select element was chosen; `value` is the option's visible text."""

    tab: int
    role: str
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Toggled:
    """A checkbox, radio button or switch changed its state."""

    tab: int
    role: str
    name: str
    checked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A form was submitted; `name` is the form's accessible name."""

    tab: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """A request reached the episode's proxy; `allowed` is false when its host is closed."""

    method: str
    url: str
    allowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Responded:
    """The episode's proxy answered a request."""

    method: str
    url: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AppChanged:
    """A site's server changed its own state, e.g. app `expenses`, change `expense.submitted`."""

    app: str
    change: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class NavigationCompleted:
    """A tab's main frame committed and loaded a new document."""

    tab: int
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DomContentLoaded:
    """A tab's main document was parsed."""

    tab: int
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryNavigated:
    """The page changed its URL in place (history API or fragment)."""

    tab: int
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TitleChanged:
    """A tab shows another title."""

    tab: int
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogOpened:
    """A dialog opened: `type` is `alert`, `confirm`, `prompt`, `beforeunload`, or `dialog` for role=dialog."""

    tab: int
    type: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogClosed:
    """A dialog closed; `accepted` is always false for role=dialog, whose outcome the page decides."""

    tab: int
    type: str
    message: str
    accepted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TabOpened:
    """A tab opened."""

    tab: int
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TabClosed:
    """A tab closed."""

    tab: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TabFocused:
    """The agent's view moved to another tab."""

    tab: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementAppeared:
    """An element became visible that was not there after the last step."""

    tab: int
    role: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementDisappeared:
    """An element that was visible after the last step is gone."""

    tab: int
    role: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementChanged:
    """An element is still there with another `value`, or `states` such as `checked expanded`, than after the last step."""

    tab: int
    role: str
    name: str
    value: str
    states: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageScored:
    """The page ended an episode of its own; `score` is a decimal, `reason` may be empty. Both are its own words."""

    tab: int
    score: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadStarted:
    """The browser began a download."""

    url: str
    filename: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadFinished:
    """A download ended; `state` is `completed`, `canceled` or `refused` (no room), `path` relative to the workspace."""

    url: str
    path: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCreated:
    """A file exists that did not; size and hash were read from it by the harness."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileModified:
    """A file's content changed; size and hash were read from it by the harness."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMoved:
    """A file's content is now at another path."""

    path: str
    previous: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDeleted:
    """A file is gone."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Something broke; `failure` is `policy`, `task`, `infrastructure` or `timeout`."""

    failure: str
    reason: str


Fact = (
    EpisodeStarted
    | EpisodeEnded
    | ActionTaken
    | AnswerGiven
    | InfeasibleReported
    | TextExtracted
    | Copied
    | Clicked
    | Focused
    | Filled
    | Validated
    | Selected
    | Toggled
    | Submitted
    | Requested
    | Responded
    | AppChanged
    | NavigationCompleted
    | DomContentLoaded
    | HistoryNavigated
    | TitleChanged
    | DialogOpened
    | DialogClosed
    | TabOpened
    | TabClosed
    | TabFocused
    | ElementAppeared
    | ElementDisappeared
    | ElementChanged
    | PageScored
    | DownloadStarted
    | DownloadFinished
    | FileCreated
    | FileModified
    | FileMoved
    | FileDeleted
    | Failed
)
"""Everything that can be witnessed. Closed: a new kind is a new member here."""


class EventFormatError(ValueError):
    """A stored event does not have the documented form."""


def _name_kind(cls: type) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")


FACT_TYPES: Mapping[str, type] = {_name_kind(cls): cls for cls in typing.get_args(Fact)}
"""Every fact class by its kind."""

_KINDS: Mapping[type, str] = {cls: kind for kind, cls in FACT_TYPES.items()}

FACT_FIELDS: Mapping[str, tuple[str, ...]] = {
    kind: tuple(field.name for field in dataclasses.fields(cls)) for kind, cls in FACT_TYPES.items()
}
"""The field names of every kind."""

# Tables, because asking an enumeration costs as much as a hash does.
_TRUST_WORDS: Mapping[Trust, str] = {trust: trust.name.lower() for trust in Trust}
_TRUSTS: Mapping[str, Trust] = {word: trust for trust, word in _TRUST_WORDS.items()}
_SOURCES: Mapping[str, Source] = {source.value: source for source in Source}


def kind_of(fact: Fact) -> str:
    """Name a fact's kind: `NavigationCompleted` is `navigation_completed`."""
    return _KINDS[type(fact)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact in its place in an episode's log."""

    seq: int
    """Position in the log, from 0."""
    step: int
    """The step that caused it; 0 is the reset."""
    source: Source
    """The instrument."""
    trust: Trust
    """Who could have written it."""
    fact: Fact
    """What happened."""
    prev: str
    """Hash of the event before (hex sha256), `GENESIS` for the first."""
    hash: str
    """sha256 of the canonical JSON of everything above."""

    @property
    def kind(self) -> str:
        """The fact's kind."""
        return _KINDS[type(self.fact)]


def canonical(value: object) -> bytes:
    """Encode `value` as canonical JSON: UTF-8, sorted keys, no spaces."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS)


def _fields(fact: Fact) -> dict[str, Any]:
    return {name: getattr(fact, name) for name in FACT_FIELDS[kind_of(fact)]}


def _body(seq: int, step: int, source: Source, trust: Trust, fact: Fact, prev: str) -> dict[str, Any]:
    return {
        "seq": seq,
        "step": step,
        "kind": kind_of(fact),
        "source": source,
        "trust": _TRUST_WORDS[trust],
        "data": _fields(fact),
        "prev": prev,
    }


def chain(fact: Fact, *, seq: int, step: int, source: Source, trust: Trust, prev: str) -> Event:
    """Put a fact into the chain: compute its hash over everything but wall time."""
    digest = hashlib.sha256(canonical(_body(seq, step, source, trust, fact, prev))).hexdigest()
    return Event(seq=seq, step=step, source=source, trust=trust, fact=fact, prev=prev, hash=digest)


def is_intact(event: Event) -> bool:
    """Say whether an event's hash is that of its content."""
    body = _body(event.seq, event.step, event.source, event.trust, event.fact, event.prev)
    return hashlib.sha256(canonical(body)).hexdigest() == event.hash


def to_record(event: Event) -> dict[str, Any]:
    """Give the JSON object stored for an event (one line of `events.jsonl`)."""
    body = _body(event.seq, event.step, event.source, event.trust, event.fact, event.prev)
    return body | {"hash": event.hash}


def from_record(record: Mapping[str, Any]) -> Event:
    """Read a stored event back.

    Raises:
        EventFormatError: unknown kind, missing or extra fields.
    """
    try:
        kind, data = record["kind"], record["data"]
        cls = FACT_TYPES.get(kind)
        if cls is None:
            raise EventFormatError(
                f"unknown event kind {kind!r}; known kinds: {', '.join(sorted(FACT_TYPES))}"
            )
        if len(data) != len(FACT_FIELDS[kind]) or not all(name in data for name in FACT_FIELDS[kind]):
            raise EventFormatError(f"{kind} has fields {sorted(data)}, expected {sorted(FACT_FIELDS[kind])}")
        source, trust = _SOURCES.get(record["source"]), _TRUSTS.get(record["trust"])
        if source is None or trust is None:
            raise EventFormatError(f"no source {record['source']!r} with trust {record['trust']!r} is known")
        return Event(
            seq=record["seq"],
            step=record["step"],
            source=source,
            trust=trust,
            fact=cls(**data),
            prev=record["prev"],
            hash=record["hash"],
        )
    except KeyError as missing:
        raise EventFormatError(f"event record lacks {missing}; got the keys {sorted(record)}") from None
