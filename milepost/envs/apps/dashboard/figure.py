"""DashboardFigure: open the right board, choose the period, read a figure out and answer with it."""

from collections.abc import Mapping

import numpy as np

from milepost.envs.apps import names, words
from milepost.envs.apps.dashboard.scene import (
    HOST,
    draw_home,
    draw_site_look,
    finish,
    make_rules,
    make_task,
    says,
)
from milepost.envs.apps.dashboard.server import Board, Book
from milepost.envs.apps.moves import follow, take_first
from milepost.envs.task import Difficulty, Oracle, Split, Task, Template, choose, grade
from milepost.milestones import number, url, when
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation

WORDINGS: Mapping[Split, tuple[str, ...]] = words.split_wordings(
    names.OPENINGS,
    (
        "open {board}, read out {figure} for {period} and answer with it",
        "look up {figure} on the board {board} for {period}, extract it and give it as the answer",
        "extract {figure} of {period} from {board} and answer with its value",
        "read out how much {figure} was in {period} on {board} and answer with the value",
        "get the {figure} of {board} in {period}: extract it and answer with it",
        "answer with {figure} for {period} from the board {board} and extract it first",
    ),
    (".",),
)
"""How the goal is put, by split."""

_FIGURES = (
    "Revenue", "Refunds", "New orders", "Open orders", "Visitors", "New visitors", "Returns", "Profit", "Costs", "Open tickets",
)  # fmt: skip
_PERIODS = ("This month", "Last month", "This quarter", "Last quarter", "This year")


def _draw_board(rng: np.random.Generator, title: str, labels: list[str], periods: list[str]) -> Board:
    figures = {
        period: {label: f"{names.draw_amount(rng):,}" for label in names.mix(rng, labels)}
        for period in periods
    }
    return Board(slug=title.lower().replace(" ", "-"), title=title, figures=figures)


def _draw_titles(rng: np.random.Generator, count: int) -> list[str]:
    first = names.mix(rng, list(words.REGIONS))
    second = names.mix(rng, ["Sales", "Support", "Market", "Online", "Retail"])
    titles = [f"{first[0]} {second[0]}", f"{first[1]} {second[0]}", f"{first[0]} {second[1]}"]
    titles += [f"{first[i % 4]} {second[i % 5]}" for i in (2, 3, 4, 6, 7, 9, 11, 13)]
    return list(dict.fromkeys(titles))[:count]


def _make_oracle(board: Board, period: str, figure: str, home: str) -> Oracle:
    value = board.figures[period][figure]
    wanted = says(figure, value)

    def act(view: Observation) -> Action:
        if view.find("region", f"{board.title} {period}"):
            element = view.find("group", figure)
            return finish(view, element, wanted, value) if element else take_first()
        on_board = view.find("heading", board.title)
        return take_first(follow(view, *([period] if on_board else []), board.title, home))

    return act


def _build_task(rng: np.random.Generator, split: Split, difficulty: Difficulty) -> Task:
    titles = _draw_titles(rng, 3 + difficulty.distractors)
    periods = names.mix(rng, list(_PERIODS))[: 1 + 2 * difficulty.depth]
    labels = names.mix(rng, list(_FIGURES))[: 3 + difficulty.distractors // 2]
    boards = [_draw_board(rng, title, labels, periods) for title in titles]
    book = Book(
        look=draw_site_look(rng),
        home=draw_home(rng),
        boards=tuple(boards[int(index)] for index in rng.permutation(len(boards))),
    )
    board, figure = boards[0], choose(rng, labels)
    period = periods[-1]
    value = board.figures[period][figure]
    address = f"http://{HOST}/boards/{board.slug}"
    first = when("navigation_completed", url=url(address))
    chosen = when("navigation_completed", url=url(f"{address}?period={period.replace(' ', '%20')}"))
    spec = make_rules(
        opened=first | chosen if period == board.first else chosen,
        role="region",
        name=f"{board.title} {period}",
        extracted=says(figure, value),
        answer=number(value),
    )
    goal = choose(rng, WORDINGS[split]).format(
        board=f'"{board.title}"', figure=f'"{figure}"', period=f'"{period}"'
    )
    params = {"board": board.title, "period": period, "figure": figure, "value": value}
    return make_task(
        book,
        goal,
        params,
        spec,
        _make_oracle(board, period, figure, book.home),
        whole=("region", f"{board.title} {period}"),
        address=f"{address}?period={period.replace(' ', '%20')}",
    )


TEMPLATE = Template(
    id="DashboardFigure-v0",
    family="navigation",
    summary="Open a board, choose a period, read a figure out and answer with it.",
    max_steps=10,
    build=grade(_build_task)["normal"],
    levels=grade(_build_task),
)
