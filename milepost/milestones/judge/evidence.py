"""What a judge is shown: facts of the log with ids, made by code. No reasoning, and page text only as data."""

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from milepost.milestones.judge.rubric import TRUTH, Rubric
from milepost.milestones.trust import TRUST_OF_KIND, required_trust
from milepost.sandbox.events import FACT_FIELDS, ActionTaken, Event, Failed, Responded, Trust, canonical
from milepost.sandbox.failure import Failure

MAX_TEXT = 300
"""Characters of a fact's value that are shown."""

MAX_ITEMS = 200
"""Facts that are shown; the oldest of the least trusted go first."""

_ON_REQUEST = frozenset({"answer_given", "infeasible_reported", "requested", "responded"})
"""Kinds that are shown only when a criterion rests on them: the agent's own prose, and what is long and dull."""

_NEVER = frozenset({"page_scored"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceItem:
    """One fact that can be cited."""

    id: str
    """`E` and the event's number, or `T` and a number for what the task gives as true."""
    kind: str
    trust: Trust
    data: str
    """The fact's fields as canonical JSON: one line, whatever the page wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePack:
    """All that a judge is shown about an episode."""

    goal: str
    items: tuple[EvidenceItem, ...]
    faults: tuple[str, ...] = ()
    """What went wrong that the agent could not help."""
    left_out: int = 0
    """Facts that did not fit."""

    def to_record(self) -> dict[str, Any]:
        """Give the canonical JSON form."""
        return {
            "goal": self.goal,
            "items": [[i.id, i.kind, i.trust.name.lower(), i.data] for i in self.items],
            "faults": list(self.faults),
            "left_out": self.left_out,
        }

    @property
    def digest(self) -> str:
        """Hash of all of it (hex sha256)."""
        return hashlib.sha256(canonical(self.to_record())).hexdigest()

    def find(self, item_id: str) -> EvidenceItem | None:
        """Find a fact by its id."""
        return next((item for item in self.items if item.id == item_id), None)


def build_pack(
    goal: str,
    events: Iterable[Event],
    rubric: Rubric,
    *,
    truth: Sequence[str] = (),
    max_items: int = MAX_ITEMS,
) -> EvidencePack:
    """Choose and clean the facts of an episode that a rubric needs.

    Args:
        goal: the task's goal text.
        events: the episode's log.
        rubric: what is asked; kinds that no criterion rests on and that carry the agent's prose are left out.
        truth: what the task knows to be right, one sentence each.
        max_items: most facts of the log.
    """
    wanted = frozenset().union(*(criterion.evidence for criterion in rubric.criteria))
    items: list[EvidenceItem] = []
    faults: list[str] = []
    for event in events:
        fault = _describe_fault(event)
        if fault:
            faults.append(fault)
        elif event.kind in TRUST_OF_KIND and _is_shown(event, wanted):
            items.append(
                EvidenceItem(
                    id=f"E{event.seq}",
                    kind=event.kind,
                    trust=min(event.trust, required_trust(event.fact)),
                    data=canonical(_clean_fields(event)).decode(),
                )
            )
    kept = _choose(items, wanted, max_items)
    given = tuple(
        EvidenceItem(
            id=f"T{n}", kind=TRUTH, trust=Trust.HARNESS, data=canonical({"text": clean(text)}).decode()
        )
        for n, text in enumerate(truth, start=1)
    )
    return EvidencePack(
        goal=clean(goal, limit=2000),
        items=(*kept, *given),
        faults=tuple(faults),
        left_out=len(items) - len(kept),
    )


def _is_shown(event: Event, wanted: frozenset[str]) -> bool:
    if event.kind in _NEVER or (event.kind in _ON_REQUEST and event.kind not in wanted):
        return False
    # A text that could not be parsed as an action is the agent's prose.
    return not (isinstance(event.fact, ActionTaken) and event.fact.error)


def _clean_fields(event: Event) -> dict[str, Any]:
    fields = {name: getattr(event.fact, name) for name in FACT_FIELDS[event.kind]}
    return {name: _clean_value(value) for name, value in fields.items() if name != "error"}


def _clean_value(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(str(key)): _clean_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean_value(inner) for inner in value]
    return value


def clean(text: str, *, limit: int = MAX_TEXT) -> str:
    """Take out what cannot be seen (zero-width, bidirectional, tag and control characters) and cut what is long."""
    seen = "".join(" " if ch in "\t\r\n" else ch for ch in text if ch in "\t\r\n" or _is_visible(ch))
    return seen if len(seen) <= limit else f"{seen[:limit]} (and {len(seen) - limit} more characters)"


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp")


def _choose(items: Sequence[EvidenceItem], wanted: frozenset[str], most: int) -> tuple[EvidenceItem, ...]:
    """Keep what criteria rest on, then what is trusted, then what is new; in the log's order."""
    ranked = sorted(range(len(items)), key=lambda i: (items[i].kind not in wanted, -items[i].trust, -i))
    return tuple(items[i] for i in sorted(ranked[:most]))


def _describe_fault(event: Event) -> str:
    fact = event.fact
    if isinstance(fact, Failed) and fact.failure != Failure.POLICY:
        return f"{fact.failure}: {clean(fact.reason)}"
    if isinstance(fact, Responded) and fact.status >= 500:
        return f"the server answered {fact.status} to {clean(fact.url)}"
    return ""
