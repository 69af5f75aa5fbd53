"""MeantInvoice: open the latest invoice of a company, where what "latest" means has to be inferred, and answer with it."""

import functools
from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.finder.invoices import HOST
from milepost.envs.apps.finder.scene import draw_layout, make_oracle
from milepost.envs.apps.finder.server import APP, RESULTS, Entry, build
from milepost.envs.apps.judged.scene import load_rubric, make_rules
from milepost.envs.task import Oracle, Split, Task, Template, choose
from milepost.milestones import fields, milestone, one_of, text, when
from milepost.sandbox.actions import Action, Answer
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import Site

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "open the latest invoice of {company} and answer with its number",
        "search for {company}, open the latest invoice and answer with its number",
        "find the latest invoice of {company}, open it and answer with its number",
        "answer with the number of the latest invoice of {company}, and open it first",
        "look for {company}, open the latest invoice and give its number as the answer",
        "see which invoice of {company} is the latest: open it and answer with its number",
    ),
    (".",),
)
"""How the goal is put, by split."""

_YEAR = 2025


def _draw_invoice(rng: np.random.Generator, company: str, number: int, day: int, state: str) -> Entry:
    month, date = divmod(day, 28)
    return Entry(
        id=str(number),
        title=f"Invoice {number}",
        facts={
            "Company": company,
            "Date": f"{date + 1} {names.MONTHS[month]} {_YEAR}",
            "Total": f"${names.draw_amount(rng):,}",
            "State": state,
        },
        rank=day,
    )


def _make_oracle(search: Oracle, target: Entry) -> Oracle:
    def act(view: Observation) -> Action:
        return Answer(target.id) if view.find("heading", target.title) else search(view)

    return act


def _build_task(rng: np.random.Generator, split: Split) -> Task:
    companies = names.draw_companies(rng, 4)
    days = sorted((int(day) for day in rng.permutation(len(names.MONTHS) * 28)[:5]), reverse=True)
    numbers = [int(number) for number in rng.permutation(np.arange(2000, 9000))[:12]]
    # Of the newest documents one was never sent or was called back, and the highest number is an old one's.
    void = choose(rng, ("Draft", "Cancelled"))
    states = [void, choose(rng, ("Open", "Paid")), "Paid", "Paid", "Paid"]
    own_numbers = [*numbers[:4], max(numbers[:4]) + 100]
    own = [
        _draw_invoice(rng, companies[0], number, day, state)
        for number, day, state in zip(own_numbers, days, states, strict=True)
    ]
    others = [
        _draw_invoice(rng, company, numbers.pop(), int(rng.integers(200)), "Paid")
        for company in companies[1:]
        for _ in range(2)
    ]
    target, newest = own[1], own[0]
    heading = names.draw_one(rng, "Recently opened", "Last seen", "On your desk")
    layout = draw_layout(rng, "table", heading, [*own, *others], others[-4:])
    company = text(companies[0])
    executed = when("app_changed", app=APP, change="search.executed", data=fields(query=company))
    listed = when("element_appeared", role=one_of("list", "table"), name=RESULTS)
    opened = when(
        "app_changed", app=APP, change="entry.opened", data=fields(id=one_of(*(entry.id for entry in own)))
    )
    return Task(
        goal=choose(rng, WORDINGS[split]).format(company=f'"{companies[0]}"'),
        params={"id": target.id, "void": newest.id, "facts": dict(target.facts)},
        start_url=f"http://{HOST}/",
        sites={HOST: Site(app=APP, build=functools.partial(build, layout))},
        spec=make_rules(
            milestone("results", reward="0.25", component="ui", when=executed & listed),
            milestone("opened", reward="0.25", component="nav", when=opened),
            done=opened.then(when("answer_given")),
            question="Is the invoice that was opened and named the one that was meant by the latest?",
            frame=(when("app_changed", app=APP),),
        ),
        oracle=_make_oracle(make_oracle(layout, target, companies[0]), target),
        rubric=load_rubric("meant"),
        truth=(
            f'The invoice that is meant has the number "{target.id}": it is of {target.facts["Date"]} and '
            f"{target.facts['State'].lower()}.",
            f"Number {newest.id} has the newest date, {newest.facts['Date']}, but is {void.lower()}: it does not count.",
            f"Number {own[4].id} is the highest number, but is of {own[4].facts['Date']}.",
        ),
    )


TEMPLATE = Template(
    id="MeantInvoice-v0",
    family="search",
    summary="Open the latest invoice of a company, where one that does not count is newer, and answer with it.",
    max_steps=10,
    build=_build_task,
)
