"""TableCopy: read two rows of a table on one site and write their amounts into a mail on another."""

import functools
from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.dashboard import scene as dashboard
from milepost.envs.apps.dashboard import server as tables
from milepost.envs.apps.dashboard.server import Book, Table
from milepost.envs.apps.judged.letters import draw_mailbox, make_letter_rules, send
from milepost.envs.apps.judged.scene import load_rubric
from milepost.envs.apps.mail.scene import HOST
from milepost.envs.apps.mail.server import APP, Layout, build
from milepost.envs.apps.moves import enter, follow, take_first
from milepost.envs.apps.pages import Link
from milepost.envs.task import Oracle, Split, Task, Template, choose
from milepost.sandbox.actions import Action, Goto
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import Site

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "write to {address} about {subject} which amounts {first} and {second} have in {table}",
        "look up {first} and {second} in {table} and mail both amounts to {address} with the subject {subject}",
        "mail the amounts of {first} and {second} in {table} to {address}. The subject is {subject}",
        "copy the amounts of {first} and {second} out of {table} into a mail to {address} about {subject}",
        "send {address} a mail about {subject} that names the amounts of {first} and {second} in {table}",
        "tell {address} in a mail about {subject} what {first} and {second} come to in {table}",
    ),
    (".",),
)
"""How the goal is put, by split."""


def write_amounts(rows: tuple[tuple[str, ...], tuple[str, ...]]) -> str:
    """Write two rows as a sentence each."""
    return " ".join(f"{company} has {amount}." for company, amount in rows)


def _draw_table(rng: np.random.Generator, title: str) -> Table:
    rows = tuple((company, f"{names.draw_amount(rng, 1000):,}") for company in names.draw_companies(rng, 5))
    return Table(
        slug=title.lower().replace(" ", "-"),
        title=title,
        columns=("Company", "Amount"),
        rows=tuple(rows[int(i)] for i in rng.permutation(len(rows))),
        page_size=6,
    )


def _make_oracle(layout: Layout, table: Table, letter: Mapping[str, str], home: str) -> Oracle:
    fields = ((layout.to, letter["to"]), (layout.subject, letter["subject"]), (layout.text, letter["text"]))

    def act(view: Observation) -> Action:
        if view.find("heading", "New message"):
            return take_first(*(enter(view, label, value) for label, value in fields), send(view, layout))
        if view.find("heading", table.title):
            return Goto(f"http://{HOST}/compose")
        return take_first(follow(view, table.title, home))

    return act


def _build_task(rng: np.random.Generator, split: Split) -> Task:
    regions, kinds = (
        names.mix(rng, list(words.REGIONS)),
        names.mix(rng, ["orders", "costs", "refunds", "offers"]),
    )
    titles = [f"{regions[0]} {kinds[0]}", f"{regions[1]} {kinds[0]}", f"{regions[0]} {kinds[1]}"]
    drawn = [_draw_table(rng, title) for title in titles]
    table = drawn[0]
    first, second = (table.rows[int(i)] for i in rng.permutation(len(table.rows))[:2])
    book = Book(
        look=dashboard.draw_site_look(rng),
        home=dashboard.draw_home(rng),
        tables=tuple(drawn[int(index)] for index in rng.permutation(len(drawn))),
    )
    layout, _, people = draw_mailbox(rng, (Link(label=book.look.brand, href=f"http://{dashboard.HOST}/"),))
    address = dict(layout.contacts)[people[0]]
    subject = f"{choose(rng, names.TOPICS)} {choose(rng, names.MONTHS)}"
    letter = {"to": address, "subject": subject, "text": write_amounts((first, second))}
    goal = choose(rng, WORDINGS[split]).format(
        address=f'"{address}"',
        subject=f'"{subject}"',
        table=f'"{table.title}"',
        first=f'"{first[0]}"',
        second=f'"{second[0]}"',
    )
    return Task(
        goal=goal,
        params={**letter, "table": table.title, "rows": [list(first), list(second)]},
        start_url=f"http://{dashboard.HOST}/",
        sites={
            HOST: Site(app=APP, build=functools.partial(build, layout)),
            dashboard.HOST: Site(app=tables.APP, build=functools.partial(tables.build, book)),
        },
        spec=make_letter_rules(
            layout,
            to=address,
            subject=subject,
            kind="new",
            message="",
            question="Does the message give both amounts of the table, each with its company?",
        ),
        oracle=_make_oracle(layout, table, letter, book.home),
        rubric=load_rubric("copied"),
        truth=tuple(f'In the table {table.title}, "{row[0]}" has "{row[1]}".' for row in (first, second)),
    )


TEMPLATE = Template(
    id="TableCopy-v0",
    family="email",
    summary="Read two rows of a table on one site and write their amounts into a mail on another.",
    max_steps=12,
    build=_build_task,
)
