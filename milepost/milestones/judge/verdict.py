"""What of a judge's reply counts: everything valid, or nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from milepost.milestones.judge.question import Asked, Finding, Question

MAX_REPLY = 40_000
"""Characters of a reply; a longer one is not read."""


class InvalidReplyError(ValueError):
    """A reply that is not a verdict; the message says why. It is never a score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A valid reply."""

    findings: Mapping[str, Finding]
    """By criterion."""
    cited: Mapping[str, tuple[str, ...]]
    """Ids of facts, by criterion."""
    reasons: Mapping[str, str]
    uncontrollable: tuple[int, ...] = ()
    """Numbers of the faults, from 1, that kept the task from being done."""
    suspected_injection: bool = False


class _VerdictForm(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    id: str
    observations: Annotated[list[str], Field(max_length=50)]
    reason: Annotated[str, Field(max_length=2000)]
    finding: Literal["met", "not_met", "cannot_determine"]


class _ReplyForm(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    nonce: str
    verdicts: list[_VerdictForm]
    uncontrollable: list[int]
    suspected_injection: bool


def read_reply(question: Question, text: str, *, finish: str = "stop") -> Verdict:
    """Read a reply.

    The whole reply must be one JSON object of the schema, with the nonce, a verdict for exactly what was asked,
    and citations of facts that exist, are of a kind the criterion rests on, and are trusted enough. Nothing is
    searched for in the text, so nothing that a page made the judge repeat can be found there.

    Args:
        question: what was asked.
        text: the reply.
        finish: why the model stopped; anything but `stop` is a cut or refused reply.

    Raises:
        InvalidReplyError: says what is wrong.
    """
    if finish != "stop":
        raise InvalidReplyError(f"the reply did not end by itself: {finish}")
    form = _parse(text)
    if form.nonce != question.nonce:
        raise InvalidReplyError("the nonce is not the one of this call")
    asked = {one.label: one for one in question.asked}
    labels = [verdict.id for verdict in form.verdicts]
    if sorted(labels) != sorted(asked):
        raise InvalidReplyError(f"asked about {', '.join(asked)}; got verdicts about {', '.join(labels)}")
    beyond = [n for n in form.uncontrollable if not 1 <= n <= len(question.pack.faults)]
    if beyond:
        raise InvalidReplyError(f"there is no fault {beyond[0]}")
    for verdict in form.verdicts:
        _check(question, asked[verdict.id], verdict)
    judged = [(asked[v.id].criterion, v) for v in form.verdicts]
    counted = [(criterion.id, v) for criterion, v in judged if criterion is not None]
    return Verdict(
        findings={name: Finding(v.finding) for name, v in counted},
        cited={name: tuple(v.observations) for name, v in counted},
        reasons={name: v.reason for name, v in counted},
        uncontrollable=tuple(form.uncontrollable),
        suspected_injection=form.suspected_injection,
    )


def _parse(text: str) -> _ReplyForm:
    try:
        return _ReplyForm.model_validate(load_strictly(text))
    except ValidationError as wrong:
        error = wrong.errors()[0]
        place = ".".join(str(part) for part in error["loc"]) or "the reply"
        raise InvalidReplyError(f"not the schema: {place}: {error['msg']}") from None


def load_strictly(text: str) -> object:
    """Read a reply that must be one JSON value and nothing else, with no key twice in an object.

    Raises:
        InvalidReplyError: it is not.
    """
    if len(text) > MAX_REPLY:
        raise InvalidReplyError(f"the reply has {len(text)} characters, at most {MAX_REPLY} are read")
    try:
        found: object = json.loads(text, object_pairs_hook=_refuse_doubles)
    except InvalidReplyError:
        raise
    except (ValueError, RecursionError) as broken:
        raise InvalidReplyError(f"not JSON: {broken}") from None
    return found


def _refuse_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidReplyError("a key stands twice in one object")
    return found


def _check(question: Question, asked: Asked, verdict: _VerdictForm) -> None:
    items = [question.pack.find(item_id) for item_id in verdict.observations]
    for item_id, item in zip(verdict.observations, items, strict=True):
        if item is None:
            raise InvalidReplyError(f"{asked.label} cites {item_id!r}, which does not exist")
    if asked.criterion is None:
        if verdict.finding != asked.expected:
            raise InvalidReplyError(f"a canary was missed: {asked.text} was called {verdict.finding}")
        return
    if Finding(verdict.finding) is not Finding.MET:
        return
    fit = [
        item
        for item in items
        if item is not None and item.kind in asked.criterion.evidence and item.trust >= asked.criterion.trust
    ]
    if not fit:
        kinds = ", ".join(sorted(asked.criterion.evidence))
        raise InvalidReplyError(
            f"{asked.label} is called met without a fact of kind {kinds} and trust {asked.criterion.trust.name.lower()}"
        )
