import asyncio
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any
from urllib.parse import urlsplit

from milepost.envs.task import Task
from milepost.milestones import When, fold
from milepost.milestones.operators import Eq, Fields, Text
from milepost.milestones.predicates import walk
from milepost.milestones.trust import TRUST_OF_KIND
from milepost.sandbox.events import GENESIS, ElementAppeared, Event, Fact, Source, chain, kind_of
from milepost.sandbox.sites import ASGIApp


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One of an episode's sites, called without a browser or a network."""

    app: ASGIApp
    records: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def get(self, target: str) -> Answer:
        return self.call("GET", target, b"")

    def post(self, target: str, body: bytes) -> Answer:
        return self.call("POST", target, body)

    def call(self, method: str, target: str, body: bytes) -> Answer:
        parts = urlsplit(target)
        sent: list[MutableMapping[str, Any]] = []
        scope = {
            "type": "http",
            "method": method,
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "scheme": "http",
            "server": ("site.test", 80),
            "headers": [(b"host", b"site.test")],
        }

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        asyncio.run(self.app(scope, receive, send))  # type: ignore[arg-type]
        headers = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
        return Answer(
            status=sent[0]["status"], headers=headers, body=b"".join(m.get("body", b"") for m in sent[1:])
        )


def visit(task: Task, host: str = "") -> Visit:
    """Open one of a task's sites as an episode would: that of the start page, or of a host."""
    site = task.sites[host or urlsplit(task.start_url).netloc]
    records: list[tuple[str, Mapping[str, Any]]] = []
    return Visit(app=site.build(lambda change, data: records.append((change, data))), records=records)


def witness(*facts: Fact) -> tuple[Event, ...]:
    """A log of these facts, a step each, with the least trust that their kinds need."""
    events: list[Event] = []
    for step, fact in enumerate(facts):
        prev = events[-1].hash if events else GENESIS
        trust = TRUST_OF_KIND[kind_of(fact)]
        events.append(chain(fact, seq=step, step=step, source=Source.SESSION, trust=trust, prev=prev))
    return tuple(events)


def judge(task: Task, *facts: Fact) -> tuple[dict[str, Fraction], bool]:
    """What a task pays for these facts, by milestone, and whether its goal is reached."""
    progress, hits = fold(task.spec, witness(*facts))
    return {hit.name: hit.reward for hit in hits}, progress.goal_reached


def is_worthless(task: Task, *facts: Fact) -> bool:
    """Whether these facts pay nothing and reach no goal; after a veto milestones fire without being paid."""
    rewards, reached = judge(task, *facts)
    return not any(rewards.values()) and not reached


def find_wanted(task: Task, change: str) -> dict[str, str]:
    """The plain values of what a task's goal wants an app to record; a free text is left out."""
    (data,) = (
        dict(leaf.tests)["data"] for leaf in _leaves(task, "app_changed") if _is(leaf, "change", change)
    )
    assert isinstance(data, Fields)
    found: dict[str, str] = {}
    for key, test in data.tests:
        if isinstance(test, Eq | Text):
            found[key] = str(test.value if isinstance(test, Eq) else test.text)
    return found


def find_banner(task: Task) -> ElementAppeared:
    """The banner that a task's goal waits for."""
    (leaf,) = _leaves(task, "element_appeared")
    (name,) = (test.value for key, test in leaf.tests if key == "name" and isinstance(test, Eq))
    return ElementAppeared(tab=0, role="status", name=str(name))


def _leaves(task: Task, kind: str) -> list[When]:
    return [p for p in walk(task.spec.goal.when) if isinstance(p, When) and p.kind == kind]


def _is(leaf: When, field: str, value: str) -> bool:
    return dict(leaf.tests).get(field) == Eq(value)
