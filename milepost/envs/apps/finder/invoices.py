"""LatestInvoice: search a company's invoices and open the latest one, or the latest that is unpaid."""

from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.finder.scene import draw_layout, make_oracle, make_rules, make_task
from milepost.envs.apps.finder.server import Entry
from milepost.envs.task import Difficulty, Split, Task, Template, choose, grade

HOST = "invoices.acme.test"

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "search for {company} and open the {which} invoice",
        "open the {which} invoice of {company}; search for {company} first",
        "find the {which} invoice of {company}: search for {company} and open it",
        "look for {company} and open the {which} invoice",
        "see the {which} invoice of {company}: search for {company}",
        "search the invoices of {company} and open the {which} one",
    ),
    (".",),
)
"""How the goal is put, by split."""

_STATES = ("Paid", "Open")
_YEAR = 2025


def _draw_invoice(rng: np.random.Generator, company: str, number: str, day: int, state: str) -> Entry:
    month, date = divmod(day, 28)
    return Entry(
        id=number,
        title=f"Invoice {number}",
        facts={
            "Company": company,
            "Date": f"{date + 1} {names.MONTHS[month]} {_YEAR}",
            "Total": f"${names.draw_amount(rng):,}",
            "State": state,
        },
        rank=day,
    )


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    companies = names.draw_companies(rng, 4)
    numbers = [str(n) for n in rng.permutation(np.arange(1000, 10_000))]
    days = [int(day) for day in rng.permutation(len(names.MONTHS) * 28)]
    count = 3 + difficulty.distractors // 2 + 2 * difficulty.depth
    own = sorted((days.pop() for _ in range(count)), reverse=True)
    # Where the goal asks for the latest unpaid one, the very latest is paid.
    states = ["Open" if difficulty.hint else "Paid", "Open", *(choose(rng, _STATES) for _ in own[2:])]
    invoices = [
        _draw_invoice(rng, companies[0], numbers.pop(), day, state)
        for day, state in zip(own, states, strict=True)
    ]
    others = [
        _draw_invoice(rng, company, numbers.pop(), days.pop(), choose(rng, _STATES))
        for company in companies[1:]
        for _ in range(2)
    ]
    target = invoices[0 if difficulty.hint else 1]
    heading = names.draw_one(rng, "Recently opened", "Last seen", "On your desk")
    layout = draw_layout(rng, "table", heading, [*invoices, *others], others[-4:])
    goal = choose(rng, WORDINGS[split]).format(
        company=f'"{companies[0]}"', which="latest" if difficulty.hint else "latest open"
    )
    spec = make_rules(layout, target, (companies[0],))
    oracle = make_oracle(layout, target, companies[0])
    newest = make_oracle(layout, target, companies[0], "Newest")
    return make_task(HOST, layout, goal, target, spec, oracle, {"newest first": newest})


TEMPLATE = Template(
    id="LatestInvoice-v0",
    family="search",
    summary="Search a company's invoices and open the latest one.",
    max_steps=10,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
