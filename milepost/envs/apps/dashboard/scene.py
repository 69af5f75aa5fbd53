"""What the tasks of the dashboard share: its look, rules about reading out and answering, and the last moves."""

import functools
import re
from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names
from milepost.envs.apps.dashboard.server import APP, Book, build
from milepost.envs.apps.detours import by_keyboard, reading_all, straight_to
from milepost.envs.apps.pages import Look, draw_look
from milepost.envs.task import Oracle, Task
from milepost.milestones import Goal, Predicate, Spec, matches, milestone, when
from milepost.milestones.operators import Test
from milepost.sandbox.actions import Action, Answer, Extract
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import Site

HOST = "insight.acme.test"

_BRANDS = ("Insight", "Overview", "Pulse", "Lookout", "Signal")


def draw_site_look(rng: np.random.Generator) -> Look:
    """Draw the look of a dashboard."""
    return draw_look(rng, _BRANDS)


def draw_home(rng: np.random.Generator) -> str:
    """Draw the start page's title."""
    return names.draw_one(rng, "Dashboard", "Start", "Workspace")


def says(*parts: str) -> Test:
    """Accept a text in which these words stand one after the other: a row, or a whole table with it."""
    words = r"\s+".join(re.escape(word) for part in parts for word in part.split())
    return matches(rf"(?s)(.*[^\w,.])?{words}([^\w].*)?")


def make_rules(*, opened: Predicate, role: str, name: str, extracted: Test, answer: Test) -> Spec:
    """Make the rules of finding a page, seeing what it holds, reading it out and answering.

    An answer is what an agent says and pays nothing by itself: it must come after the page's own words were
    read out. And reading alone pays nothing, so that reading everything is no way to reward.
    """
    seen = when("element_appeared", role=role, name=name)
    read = when("text_extracted", text=extracted).then(when("answer_given", text=answer))
    return Spec(
        milestones=(
            milestone("opened", reward="0.25", component="nav", when=opened),
            milestone("seen", reward="0.25", component="ui", when=opened & seen),
            milestone("read", reward="0.5", component="goal", when=read),
        ),
        goal=Goal(when=read),
    )


def make_task(
    book: Book,
    goal: str,
    params: Mapping[str, object],
    spec: Spec,
    oracle: Oracle,
    *,
    whole: tuple[str, str],
    address: str = "",
) -> Task:
    """Make a task on the site.

    Args:
        book: the site.
        goal: what is asked.
        params: what was drawn.
        spec: the rules.
        oracle: the task's own solution.
        whole: role and name of the part of the page that holds what is to be read out.
        address: of the page with that part, if it has one of its own.
    """
    straight = {"by address": straight_to(oracle, address)} if address else {}
    return Task(
        goal=goal,
        params=params,
        start_url=f"http://{HOST}/",
        sites={HOST: Site(app=APP, build=functools.partial(build, book))},
        spec=spec,
        oracle=oracle,
        alternatives={
            "by keyboard": by_keyboard(oracle),
            "reading all": reading_all(oracle, *whole),
            **straight,
        },
    )


def finish(view: Observation, element: str, read: Test, answer: str) -> Action:
    """Answer if the text was just read, otherwise read it out."""
    return Answer(answer) if read.accepts(view.last_text) else Extract(element)


def find_row(view: Observation, *cells: str) -> str | None:
    """Find the row of a table that shows exactly these cells."""
    return view.find("row", " ".join(cells))
