"""BoardSummary: look at a figure of a board in two periods and answer with a sentence about its change."""

import functools
from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.dashboard.scene import HOST, draw_home, draw_site_look
from milepost.envs.apps.dashboard.server import APP, Board, Book, build
from milepost.envs.apps.judged.scene import load_rubric, make_rules
from milepost.envs.apps.moves import follow, take_first
from milepost.envs.task import Oracle, Split, Task, Template, choose
from milepost.milestones import milestone, url, when
from milepost.sandbox.actions import Action, Answer
from milepost.sandbox.observation import Observation
from milepost.sandbox.sites import Site

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "open {board} and answer with one sentence about how {figure} changed from {before} to {after}",
        "look at {figure} on {board} for {before} and for {after}, and answer how it changed in one sentence",
        "answer in one sentence how {figure} of {board} changed from {before} to {after}",
        "compare {figure} on {board} for {before} with {after} and answer with one sentence about the change",
        "tell in one sentence how {figure} on the board {board} changed between {before} and {after}",
        "sum up in one sentence how {figure} changed on {board} from {before} to {after}",
    ),
    (".",),
)
"""How the goal is put, by split."""

_FIGURES = ("Revenue", "Refunds", "New orders", "Visitors", "Returns", "Profit", "Costs")
_PERIODS = (("Last month", "This month"), ("Last quarter", "This quarter"))


def describe_change(figure: str, before: tuple[str, str], after: tuple[str, str]) -> str:
    """Say how a figure changed; `before` and `after` are a period and its value."""
    old, new = (int(value.replace(",", "")) for value in (before[1], after[1]))
    word = "stayed at" if old == new else "rose" if new > old else "fell"
    if old == new:
        return f"{figure} stayed at {new:,} from {before[0].lower()} to {after[0].lower()}."
    return f"{figure} {word} from {before[1]} {before[0].lower()} to {after[1]} {after[0].lower()}."


def _draw_boards(rng: np.random.Generator, labels: list[str], periods: tuple[str, str]) -> list[Board]:
    """Draw boards; the first two share the second word of their titles."""
    regions = names.mix(rng, list(words.REGIONS))
    kinds = names.mix(rng, ["Sales", "Support", "Market", "Online", "Retail"])
    titles = [f"{regions[0]} {kinds[0]}", f"{regions[1]} {kinds[0]}", f"{regions[0]} {kinds[1]}"]
    titles += [f"{regions[i]} {kinds[i]}" for i in (2, 3)]
    return [
        Board(
            slug=title.lower().replace(" ", "-"),
            title=title,
            figures={p: {label: f"{names.draw_amount(rng):,}" for label in labels} for p in periods},
        )
        for title in titles
    ]


def _make_oracle(board: Board, periods: tuple[str, str], sentence: str, home: str) -> Oracle:
    def act(view: Observation) -> Action:
        if view.find("region", f"{board.title} {periods[1]}"):
            return Answer(sentence)
        on_board = view.find("heading", board.title)
        return take_first(follow(view, *([periods[1]] if on_board else []), board.title, home))

    return act


def _build_task(rng: np.random.Generator, split: Split) -> Task:
    periods = choose(rng, _PERIODS)
    labels = names.mix(rng, list(_FIGURES))[:4]
    boards = _draw_boards(rng, labels, periods)
    book = Book(
        look=draw_site_look(rng),
        home=draw_home(rng),
        boards=tuple(boards[int(index)] for index in rng.permutation(len(boards))),
    )
    board, figure = boards[0], labels[0]
    values = [board.figures[period][figure] for period in periods]
    sentence = describe_change(figure, (periods[0], values[0]), (periods[1], values[1]))
    address = f"http://{HOST}/boards/{board.slug}"
    pages = [
        when("navigation_completed", url=url(f"{address}?period={p.replace(' ', '%20')}")) for p in periods
    ]
    # The board opens with its first period.
    seen = (when("navigation_completed", url=url(address)) | pages[0]) & pages[1]
    goal = choose(rng, WORDINGS[split]).format(
        board=f'"{board.title}"', figure=f'"{figure}"', before=f'"{periods[0]}"', after=f'"{periods[1]}"'
    )
    return Task(
        goal=goal,
        params={"board": board.title, "figure": figure, "periods": list(periods), "values": values},
        start_url=f"http://{HOST}/",
        sites={HOST: Site(app=APP, build=functools.partial(build, book))},
        spec=make_rules(
            milestone("seen", reward="0.5", component="nav", when=seen),
            done=seen.then(when("answer_given")),
            question="Does the answer say how the figure changed, and nothing that is wrong?",
        ),
        oracle=_make_oracle(board, periods, sentence, book.home),
        rubric=load_rubric("summary"),
        truth=tuple(
            f'On the board, "{figure}" is "{value}" for "{period}".'
            for period, value in zip(periods, values, strict=True)
        ),
    )


TEMPLATE = Template(
    id="BoardSummary-v0",
    family="navigation",
    summary="Look at a figure of a board in two periods and answer with a sentence about its change.",
    max_steps=10,
    build=_build_task,
)
