"""What the tasks of the mailbox share: its look, messages and files, rules and the oracle's last moves."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.mail.server import APP, Layout, Message, describe_files, digest
from milepost.envs.apps.moves import enter, press, take_first
from milepost.envs.apps.pages import Link, draw_look
from milepost.envs.task import Difficulty, choose
from milepost.milestones import Goal, Predicate, Spec, fields, forbid, milestone, text, when
from milepost.milestones.operators import Test
from milepost.sandbox.actions import Action, UploadFile
from milepost.sandbox.observation import Observation

HOST = "mail.acme.test"

_BRANDS = ("Post", "Letterbox", "Inkwell", "Courier", "Quill")
_TEXTS = (
    "Here is what we talked about. Tell me what you think.",
    "Please have a look before the meeting.",
    "Thank you for your help last week.",
    "Could you check the numbers once more?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What is to be sent."""

    to: str
    subject: str
    files: Mapping[str, str]
    """Attached files: name to sha256."""
    text: Test | None = None
    """What its text has to be; None where the goal leaves that open."""
    kind: str = "new"
    message: str = ""
    """Id of the message that it answers or passes on; empty for none."""


def draw_files(rng: np.random.Generator, count: int) -> dict[str, bytes]:
    """Draw files; the first two share their subject, and the first and third their period."""
    subjects = [s.lower() for s in names.mix(rng, list(words.SUBJECTS))]
    periods = [p.lower() for p in names.mix(rng, list(words.PERIODS))]
    stems = [f"{subjects[0]}-{periods[0]}", f"{subjects[0]}-{periods[1]}", f"{subjects[1]}-{periods[0]}"]
    stems += [f"{subjects[i]}-{periods[i % 5]}" for i in range(2, count)]
    return {f"{stem}.csv": draw_content(rng) for stem in stems[:count]}


def draw_content(rng: np.random.Generator) -> bytes:
    """Draw a small table as a file."""
    rows = [f"{month},{names.draw_amount(rng)}" for month in names.MONTHS[:4]]
    return "\n".join(["Month,Total", *rows, ""]).encode()


def draw_messages(
    rng: np.random.Generator, people: list[str], domain: str, files: Mapping[str, bytes]
) -> list[Message]:
    """Draw messages, one of each person and another of the first; the first ones carry the files."""
    topics = names.mix(rng, list(names.TOPICS))
    days = names.mix(rng, list(names.DAYS))
    ids = [str(number) for number in rng.permutation(np.arange(100, 1000))]
    attached = [*files.items(), *[("", b"")] * (len(people) + 1)]
    senders = [people[0], people[0], *people[1:]]
    # The third message is about the first one's topic, from somebody else.
    subjects = [topics[0], topics[1], topics[0], *topics[2:]]
    words_after = ["plan", "notes", "draft", "update"]
    return [
        Message(
            id=ids[index],
            sender=sender,
            address=names.make_address(sender, domain),
            day=days[index % 5],
            subject=f"{subjects[index % len(subjects)]} {words_after[0] if index < 3 else choose(rng, words_after)}",
            text=choose(rng, _TEXTS),
            file=attached[index][0],
            content=attached[index][1],
        )
        for index, sender in enumerate(senders)
    ]


def draw_layout(
    rng: np.random.Generator,
    difficulty: Difficulty,
    people: list[str],
    domain: str,
    messages: list[Message],
    others: tuple[Link, ...] = (),
) -> Layout:
    """Draw the site; with depth, the first message is on a later page."""
    shuffled = [messages[int(index)] for index in rng.permutation(len(messages))]
    size = 5
    if difficulty.depth and len(messages) > size:
        shuffled.remove(messages[0])
        shuffled.insert(int(rng.integers(size, len(messages))), messages[0])
    return Layout(
        look=draw_look(rng, _BRANDS),
        inbox=names.draw_one(rng, "Inbox", "Messages", "Received"),
        compose=names.draw_one(rng, "Compose", "Write", "New mail"),
        to=names.draw_one(rng, "To", "Recipient"),
        subject=names.draw_one(rng, "Subject", "About"),
        text=names.draw_one(rng, "Message", "Text"),
        attach=names.draw_one(rng, "Attach a file", "Attachment", "Add a file"),
        send=names.draw_one(rng, "Send", "Send now", "Send mail"),
        sent=names.draw_one(rng, "Message sent", "Your mail was sent", "Mail sent"),
        messages=tuple(shuffled),
        contacts=tuple((person, names.make_address(person, domain)) for person in names.mix(rng, people)),
        page_size=size,
        others=others,
    )


def make_rules(
    layout: Layout, letter: Letter, *, addressed: Predicate, may_change: tuple[Predicate, ...] = ()
) -> Spec:
    """Make the rules of a letter: editor filled, file attached, message sent."""
    (name, sha256), *_ = letter.files.items()
    opened = when(
        "app_changed", app=APP, change="draft.opened", data=fields(kind=letter.kind, message=letter.message)
    )
    attached = when("app_changed", app=APP, change="file.attached", data=fields(name=name, sha256=sha256))
    any_sent = when("app_changed", app=APP, change="mail.sent")
    wanted: dict[str, Test | str] = {
        "to": text(letter.to),
        "subject": text(letter.subject),
        **({} if letter.text is None else {"text": letter.text}),
        "files": describe_files(letter.files),
        "kind": letter.kind,
        "message": letter.message,
    }
    sent = when("app_changed", app=APP, change="mail.sent", data=fields(**wanted))
    shown = when("element_appeared", role="status", name=layout.sent)
    drafting = [
        when("app_changed", app=APP, change=c) for c in ("draft.opened", "file.attached", "file.removed")
    ]
    return Spec(
        milestones=(
            milestone("addressed", reward="0.25", component="form", when=opened & addressed),
            milestone("attached", reward="0.5", component="file", when=attached),
            milestone("sent", reward="1.0", component="goal", when=sent & shown),
        ),
        # A message cannot be taken back, so a wrong one ends the matter.
        forbidden=(forbid("wrong message", when=any_sent & ~sent),),
        goal=Goal(when=sent & shown, frame=(*drafting, sent, *may_change)),
    )


def was_filled(label: str, value: str) -> Predicate:
    """Say that a field got a value."""
    return when("filled", name=label, value=text(value))


def upload(view: Observation, layout: Layout, path: str) -> Action | None:
    """Attach a file of the workspace unless it is attached."""
    name = path.rpartition("/")[2]
    if view.find("button", f"Remove {name}"):
        return None
    field = next((e for e in view.elements if e.id and e.name == layout.attach), None)
    return UploadFile(field.id, path) if field is not None else None


def write(
    view: Observation,
    layout: Layout,
    letter: Letter,
    note: str,
    attach: Action | None,
    *,
    from_last: bool = False,
) -> Action:
    """Take away what is too much, fill a draft's fields, attach what is missing, and send; or attach first."""
    extra = [
        press(view, "button", e.name)
        for e in view.elements
        if e.role == "button"
        and e.name.startswith("Remove ")
        and e.name.removeprefix("Remove ") not in letter.files
    ]
    moves = [
        enter(view, layout.to, letter.to),
        enter(view, layout.subject, letter.subject),
        enter(view, layout.text, note) if note else None,
        attach,
    ]
    return take_first(*extra, *(moves[::-1] if from_last else moves), press(view, "button", layout.send))


def carry(files: Mapping[str, bytes], name: str) -> Mapping[str, str]:
    """Say that one of the files is attached."""
    return {name: digest(files[name])}
