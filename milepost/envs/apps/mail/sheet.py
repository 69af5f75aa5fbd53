"""SheetToMail: on the dashboard, read a table's total and download it; mail the total with the file attached."""

import functools
import re
from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.dashboard import scene as dashboard
from milepost.envs.apps.dashboard import server as tables
from milepost.envs.apps.dashboard.server import Book, Table, write_csv
from milepost.envs.apps.detours import by_keyboard
from milepost.envs.apps.mail.scene import (
    HOST,
    Letter,
    draw_layout,
    draw_messages,
    make_rules,
    upload,
    was_filled,
    write,
)
from milepost.envs.apps.mail.server import APP, Layout, build, digest
from milepost.envs.apps.moves import follow, take_first
from milepost.envs.apps.pages import Link
from milepost.envs.task import Difficulty, Oracle, Split, Task, Template, choose, grade
from milepost.milestones import matches, when
from milepost.sandbox.actions import Action, Goto
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import Site

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "download {table} from {site} and mail it to {person} with the subject {subject}. Write only its total.",
        "send {person} the total of {table} with the subject {subject}. Download the table from {site} and attach it.",
        "mail the total of {table} and the downloaded table of {site} to {person}. The subject is {subject}.",
        "get {table} from {site} as a download, attach it to a mail to {person} about {subject} and write only the total.",
        "download {table} from {site}, attach it to a mail to {person} about {subject} and write only its total.",
        "write to {person} about {subject}: only the total of {table} on {site}, with the downloaded table attached.",
        "write the total of {table} on {site} to {person} with the subject {subject} and attach the downloaded table.",
    ),
)
"""How the goal is put, by split."""

_TOTAL = "Total"


def _draw_table(rng: np.random.Generator, title: str, count: int) -> Table:
    companies = names.draw_companies(rng, count)
    amounts = [names.draw_amount(rng) for _ in companies]
    rows = [(company, f"{amount:,}") for company, amount in zip(companies, amounts, strict=True)]
    return Table(
        slug=title.lower().replace(" ", "-"),
        title=title,
        columns=("Company", "Amount"),
        rows=(*rows, (_TOTAL, f"{sum(amounts):,}")),
        page_size=6,
    )


def _make_oracle(
    layout: Layout, book: Book, table: Table, letter: Letter, link: Link, *, from_last: bool = False
) -> Oracle:
    total = table.rows[-1][1]
    path = f"Downloads/{table.slug}.csv"

    def act(view: Observation) -> Action:
        if view.find("status", layout.sent):
            return take_first()
        if any(file.path == path for file in view.files):
            if view.find("heading", "New message"):
                return write(view, layout, letter, total, upload(view, layout, path), from_last=from_last)
            return take_first(follow(view, layout.compose), Goto(f"http://{HOST}/"))
        if not view.find("heading", table.title):
            return take_first(follow(view, table.title, book.home, link.label))
        if dashboard.find_row(view, *table.rows[-1]) is None:
            return take_first(follow(view, "Next"))
        return take_first(follow(view, "Download CSV"))

    return act


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    regions = names.mix(rng, list(words.REGIONS))
    kinds = names.mix(rng, ["orders", "costs", "refunds", "offers"])
    titles = [f"{regions[0]} {kinds[0]}", f"{regions[1]} {kinds[0]}", f"{regions[0]} {kinds[1]}"]
    titles += [f"{regions[i]} {kinds[i]}" for i in (2, 3)]
    drawn = [_draw_table(rng, title, 4 + 4 * difficulty.depth) for title in titles[: 3 + difficulty.depth]]
    table = drawn[0]
    book = Book(
        look=dashboard.draw_site_look(rng),
        home=dashboard.draw_home(rng),
        tables=tuple(drawn[int(index)] for index in rng.permutation(len(drawn))),
    )
    people = names.draw_people(rng, 3 + difficulty.distractors // 2)
    domain = choose(rng, names.DOMAINS)
    link = Link(label=book.look.brand, href=f"http://{dashboard.HOST}/")
    messages = draw_messages(rng, people, domain, {})
    layout = draw_layout(rng, difficulty, people, domain, messages, (link,))
    subject = f"{choose(rng, names.TOPICS)} {choose(rng, names.MONTHS)}"
    name, total = f"{table.slug}.csv", table.rows[-1][1]
    plain = total.replace(",", "")
    letter = Letter(
        to=names.make_address(people[0], domain),
        subject=subject,
        files={name: digest(write_csv(table))},
        # The total, however it is written, and no other number beside it.
        text=matches(rf"(?s)[^\d]*({re.escape(total)}|{plain})[^\d]*"),
    )
    # A second download gets a name of its own, which the rules would not know.
    saved = when("file_created", path=f"Downloads/{name}", sha256=digest(write_csv(table)))
    who = f'"{people[0]}" ("{letter.to}")' if difficulty.hint else f'"{people[0]}"'
    goal = choose(rng, WORDINGS[split]).format(
        table=f'"{table.title}"', site=f'"{link.label}"', person=who, subject=f'"{subject}"'
    )
    addressed = was_filled(layout.to, letter.to) & was_filled(layout.subject, subject)
    oracle = _make_oracle(layout, book, table, letter, link)
    return Task(
        goal=goal,
        params={"table": table.title, "total": total, "to": letter.to, "subject": subject},
        start_url=f"http://{HOST}/",
        sites={
            HOST: Site(app=APP, build=functools.partial(build, layout)),
            dashboard.HOST: Site(app=tables.APP, build=functools.partial(tables.build, book)),
        },
        spec=make_rules(layout, letter, addressed=addressed, may_change=(saved,)),
        oracle=oracle,
        alternatives={
            "by keyboard": by_keyboard(oracle),
            "file first": _make_oracle(layout, book, table, letter, link, from_last=True),
        },
    )


TEMPLATE = Template(
    id="SheetToMail-v0",
    family="email",
    summary="Download a table from the dashboard and mail its total with the file attached.",
    max_steps=18,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
