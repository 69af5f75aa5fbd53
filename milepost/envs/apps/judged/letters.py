"""What the judged letters share: a drawn mailbox, the rules of a letter whose text is open, and sending."""

import numpy as np

from milepost.envs.apps import names
from milepost.envs.apps.judged.scene import make_rules
from milepost.envs.apps.mail.scene import draw_layout, draw_messages
from milepost.envs.apps.mail.server import APP, Layout, Message
from milepost.envs.apps.moves import press
from milepost.envs.apps.pages import Link
from milepost.envs.task import LEVELS, choose
from milepost.milestones import Spec, fields, forbid, milestone, text, when
from milepost.milestones.operators import Test
from milepost.sandbox.actions import Click
from milepost.sandbox.observation import Observation


def draw_mailbox(
    rng: np.random.Generator, others: tuple[Link, ...]
) -> tuple[Layout, list[Message], list[str]]:
    """Draw a mailbox of one page, its messages, and the people in it; the last one has sent nothing."""
    people = names.draw_people(rng, 5)
    domain = choose(rng, names.DOMAINS)
    messages = draw_messages(rng, people[:4], domain, {})
    return draw_layout(rng, LEVELS["easy"], people, domain, messages, others), messages, people


def make_letter_rules(
    layout: Layout, *, to: str, subject: str, kind: str, message: str, question: str
) -> Spec:
    """Make the rules of a letter to the right person about the right thing, whose text a judge reads."""
    data: dict[str, Test | str] = {
        "to": text(to),
        "subject": text(subject),
        "files": "",
        "kind": kind,
        "message": message,
    }
    opened = when("app_changed", app=APP, change="draft.opened", data=fields(kind=kind, message=message))
    any_sent = when("app_changed", app=APP, change="mail.sent")
    sent = when("app_changed", app=APP, change="mail.sent", data=fields(**data))
    shown = when("element_appeared", role="status", name=layout.sent)
    return make_rules(
        milestone("opened", reward="0.25", component="form", when=opened),
        milestone("sent", reward="0.5", component="goal", when=sent & shown),
        done=sent & shown,
        question=question,
        frame=(when("app_changed", app=APP, change="draft.opened"), sent),
        # A message cannot be taken back, so a wrong one ends the matter.
        forbidden=(forbid("wrong message", when=any_sent & ~sent),),
    )


def send(view: Observation, layout: Layout) -> Click | None:
    """Press the button that sends."""
    return press(view, "button", layout.send)
