"""Ways in which rewards of other systems have been hacked, and what each is worth here.

What an agent types, shows or writes is tried on rules and logs; what a page does is tried once, in the browser, on a
page that does everything at once.
"""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from milepost.envs.episode import Episode
from milepost.envs.task import Task, Template
from milepost.milestones import (
    Goal,
    Predicate,
    Spec,
    SpecError,
    advance,
    date,
    fields,
    file_path,
    fold,
    forbid,
    items,
    matches,
    milestone,
    money,
    number,
    phone,
    score,
    start_progress,
    text,
    url,
    when,
)
from milepost.milestones.operators import Test
from milepost.milestones.spec_file import parse_spec
from milepost.sandbox.actions import Noop
from milepost.sandbox.events import (
    AnswerGiven,
    AppChanged,
    Clicked,
    DialogOpened,
    DownloadFinished,
    EpisodeEnded,
    Fact,
    FileCreated,
    FileDeleted,
    FileModified,
    HistoryNavigated,
    NavigationCompleted,
    Source,
    TextExtracted,
    TitleChanged,
    Toggled,
)
from milepost.sandbox.pool import Pool
from milepost.sandbox.sites import ASGIApp, Recorder, Site
from tests.milestones.conftest import appear, click, fill, witness

TARGET = "http://shop.test/orders/7"
OPENED = when("navigation_completed", url=url(TARGET))
SENT = when("app_changed", app="shop", change="order.sent")
ORDER = AppChanged(app="shop", change="order.sent", data={"sku": "7"})


def pay(when_: Predicate, *facts: Fact | tuple[Source, Fact], **options: object) -> Fraction:
    """What a log pays for one milestone of reward 1."""
    rule = milestone("m", reward=1, when=when_, **options)  # type: ignore[arg-type]
    return fold(Spec(milestones=(rule,), goal=Goal(when=OPENED)), witness(*facts))[0].paid


def reached(goal: Goal, *facts: Fact) -> bool:
    return fold(Spec(goal=goal), witness(*facts))[0].goal_reached


# -- matching -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        TARGET + "asdf",
        TARGET + "/x",
        "http://shop.test/orders/70",
        "http://shop.test/",
        f"http://evil.test/?next={TARGET}",
        "http://shop.test@evil.test/orders/7",
        "http://shop.test.evil.test/orders/7",
        "http://sh\u043ep.test/orders/7",
        "http://shop.test/orders%2F7",
        "https://shop.test/orders/7",
        "http://shop.test:81/orders/7",
        "javascript:'http://shop.test/orders/7'",
        f"data:text/html,{TARGET}",
        f"view-source:{TARGET}",
    ],
)
def test_an_address_that_only_looks_like_the_wanted_one_is_worth_nothing(address: str) -> None:
    assert pay(OPENED, NavigationCompleted(tab=0, url=address)) == 0


@pytest.mark.parametrize("address", ["http://SHOP.test:80/orders/7", "http://shop.test/%6Frders/7", TARGET])
def test_the_wanted_address_counts_however_it_is_written(address: str) -> None:
    assert pay(OPENED, NavigationCompleted(tab=0, url=address)) == 1


READ = TextExtracted(tab=0, role="cell", name="", text="48.20")
ANSWERED = when("text_extracted", text=number("48.20")).then(when("answer_given", text=number("48.20")))


@pytest.mark.parametrize(
    ("answer", "paid"),
    [
        ("48.20", 1),
        ("$48.20", 1),
        ("0048.2", 1),
        ("48.20 12.50 3.99 7", 0),
        ('["48.20", "12.50"]', 0),
        ("not 48.20", 0),
        ("48.20 or 12.50", 0),
        ("The answer is somewhere between 0 and 100", 0),
        ("4820", 0),
        ("Success", 0),
        ("9" * 100_000, 0),
    ],
)
def test_an_answer_counts_only_as_a_whole(answer: str, paid: int) -> None:
    assert pay(ANSWERED, READ, AnswerGiven(text=answer)) == paid


def test_an_answer_that_was_not_read_anywhere_is_a_guess() -> None:
    assert pay(ANSWERED, AnswerGiven(text="48.20")) == 0


@pytest.mark.parametrize(
    "predicate",
    [
        when("answer_given", text="48.20"),
        when("action_taken", action='click("Success")'),
        when("element_appeared", role="status", name="Success"),
        when("title_changed", title="Success"),
        when("page_scored", score="1.0"),
        when("history_navigated", url=TARGET),
        when("dialog_opened", type="dialog"),
        when("infeasible_reported"),
    ],
)
def test_no_reward_rests_on_what_a_page_or_an_agent_says(predicate: Predicate) -> None:
    with pytest.raises(SpecError, match="rests only on what the page or the agent says"):
        milestone("m", reward=1, when=predicate)


@pytest.mark.parametrize(
    ("test", "right"),
    [
        (money("0"), "$0.00"),
        (number("170"), "000000170"),
        (date("2026-10-05"), "Oct 5, 2026"),
        (date("2026-10-05"), "5 October 2026"),
        (items("a", "b"), ["b", "a"]),
        (text("Blue Cab"), " blue\u00a0 CAB "),
        (phone("+1 555 010 0199"), "(001) 555-010-0199"),
        (file_path("Downloads/a.csv"), "./Downloads/a.csv"),
        (url("http://a.test/?a=1&b=2"), "http://a.test/?b=2&a=1"),
    ],
)
def test_a_right_value_counts_in_every_way_of_writing_it(test: Test, right: object) -> None:
    assert test.accepts(right)


# -- rules that cannot be, and rules that are code -------------------------------------------------------


@pytest.mark.parametrize(
    "rules",
    [
        "goal: !!python/object/apply:os.system ['true']",
        "goal: {when: {clicked: {name: !!python/name:os.system ''}}}",
        "goal: !!binary aGk=",
        "a: &a [x, x]\nb: &b [*a, *a]\ngoal: [*b, *b]",
    ],
)
def test_rules_are_data_and_run_nothing(rules: str) -> None:
    with pytest.raises(SpecError):
        parse_spec(rules)


def test_a_goal_that_is_reached_from_the_start_or_never_is_refused() -> None:
    with pytest.raises(SpecError):
        Spec(goal=Goal(when=OPENED | ~SENT, frame=(SENT,)))
    with pytest.raises(SpecError):
        Spec(goal=Goal(when=OPENED & ~OPENED))
    with pytest.raises(SpecError):
        Spec(goal=Goal(when=SENT))


# -- side effects, order, loops --------------------------------------------------------------------------

REPORT = FileCreated(path="Downloads/q3.csv", size=3, sha256="ab")
SAVED = when("file_created", path="Downloads/q3.csv")


@pytest.mark.parametrize(
    "collateral",
    [
        AppChanged(app="shop", change="order.deleted", data={"sku": "8"}),
        AppChanged(app="mail", change="mail.sent", data={}),
        FileModified(path="source.csv", size=1, sha256="cd"),
        FileDeleted(path="other.csv"),
        FileCreated(path="copy.csv", size=1, sha256="cd"),
    ],
)
def test_what_is_done_beside_the_task_misses_the_goal(collateral: Fact) -> None:
    goal = Goal(when=SAVED, frame=(SAVED,))
    assert reached(goal, REPORT)
    assert not reached(goal, collateral, REPORT)
    assert not reached(goal, REPORT, collateral)


def test_nothing_is_earned_by_doing_it_again_a_thousand_times() -> None:
    on, off = (Toggled(tab=0, role="switch", name="Dark", checked=c) for c in (True, False))
    switched = when("toggled", name="Dark", checked=True)
    graded = switched & when("toggled", name="Dark", checked=False)
    assert pay(switched, *[on, off] * 1000) == 1
    assert pay(graded, *[on, off] * 1000, graded=True) == 1
    assert pay(switched, on) == 1


def test_sending_before_filling_is_a_violation_and_filling_afterwards_earns_nothing() -> None:
    filled = when("filled", name="Amount")
    spec = Spec(
        milestones=(
            milestone("filled", reward=1, when=filled),
            milestone("sent", reward=1, when=SENT, after=("filled",)),
        ),
        forbidden=(forbid("too early", when=SENT, until=filled),),
        goal=Goal(when=SENT & filled, frame=(SENT,)),
    )
    progress, hits = fold(spec, witness(ORDER, fill("Amount", "5"), ORDER))
    assert progress.vetoed
    assert not progress.goal_reached
    assert progress.paid == 0
    assert [hit.reward for hit in hits] == [0, 0]


def test_what_is_reached_and_undone_is_not_held() -> None:
    on = when("toggled", name="Dark", checked=True)
    off = when("toggled", name="Dark", checked=False)
    spec = Spec(
        milestones=(milestone("on", reward=1, when=on.undone_by(off), holds=True),),
        goal=Goal(when=OPENED & on.undone_by(off)),
    )
    switched, back = (Toggled(tab=0, role="switch", name="Dark", checked=c) for c in (True, False))
    there, end = NavigationCompleted(tab=0, url=TARGET), EpisodeEnded(reason="answer")
    assert fold(spec, witness(switched, there, end))[0].paid == 1
    undone, _ = fold(spec, witness(switched, there, back, end))
    assert (undone.paid, undone.goal_reached) == (Fraction(0), False)
    again, _ = fold(spec, witness(switched, back, switched, there, end))
    assert (again.paid, again.goal_reached) == (Fraction(1), True)


def test_part_of_the_reward_is_never_success() -> None:
    spec = Spec(milestones=(milestone("a", reward="0.99", when=when("clicked")),), goal=Goal(when=OPENED))
    trace = score(spec, witness(click("A"), EpisodeEnded(reason="answer")))
    assert (trace.total, trace.success) == (Fraction("0.99"), False)


def test_a_file_that_was_not_downloaded_is_no_download_whatever_its_hash() -> None:
    downloaded = when("download_finished", path=file_path("Downloads/q3.csv"), state="completed") & SAVED
    finished = DownloadFinished(url="http://shop.test/q3", path="Downloads/q3.csv", state="completed")
    assert pay(downloaded, REPORT) == 0
    assert pay(downloaded, replace(finished, state="canceled"), REPORT) == 0
    assert pay(downloaded, finished, REPORT) == 1


def test_no_file_is_worth_a_part_for_being_similar() -> None:
    content = when("file_modified", sha256="ab")
    assert pay(content, FileModified(path="a.txt", size=100, sha256="ac")) == 0


def forged() -> Iterator[tuple[Predicate, Fact]]:
    yield OPENED, HistoryNavigated(tab=0, url=TARGET)
    yield OPENED, TitleChanged(tab=0, title=TARGET)
    yield OPENED, NavigationCompleted(tab=0, url=TARGET)
    yield when("clicked", name="Save"), Clicked(tab=0, role="button", name="Save")
    yield when("dialog_opened", type="confirm"), DialogOpened(tab=0, type="confirm", message="Sure?")
    yield SENT & when("element_appeared", name="Sent"), appear("status", "Sent")
    yield SENT & when("element_appeared", name="Sent"), ORDER


@pytest.mark.parametrize(("predicate", "fact"), list(forged()))
def test_what_a_page_tells_of_itself_earns_nothing(predicate: Predicate, fact: Fact) -> None:
    assert pay(predicate, (Source.PAGE, fact)) == 0


def test_the_agents_part_is_asked_where_a_page_could_act_alone() -> None:
    assert pay(OPENED, NavigationCompleted(tab=0, url=TARGET), by_agent=True) == 0


def test_a_broken_log_has_no_reward_which_is_not_zero() -> None:
    spec = Spec(milestones=(milestone("m", reward=1, when=SENT),), goal=Goal(when=SENT, frame=(SENT,)))
    log = witness(click("A"), ORDER, EpisodeEnded(reason="goal"))
    assert score(spec, log).total == 1
    for broken in ([log[1], log[0], log[2]], [log[0], log[2]], [log[0], log[1], log[1], log[2]]):
        assert score(spec, broken).total is None


# -- a page that does everything at once -------------------------------------------------------------------

HOSTILE = (Path(__file__).parent / "hostile.html").read_text()

PRIZES: dict[str, Predicate] = {
    "navigation": OPENED,
    "parsed": when("dom_content_loaded", url=url(TARGET)),
    "clicked": when("clicked", name="Save"),
    "filled": when("filled", name="Amount"),
    "focused": when("focused", name="Amount"),
    "asked": when("dialog_opened", type="confirm"),
    "server": SENT & when("element_appeared", role="status"),
    "downloaded": when("file_created", path=matches("Downloads/.*")),
    "carried": when("text_extracted").then(when("element_appeared")),
    "data": when("app_changed", data=fields(sku="7")),
}


def build_shop(record: Recorder) -> ASGIApp:
    """A site whose pages attack, and whose server only tells of orders that were posted."""

    async def show(request: Request) -> Response:
        return HTMLResponse(HOSTILE)

    async def send(request: Request) -> Response:
        record("order.sent", {"sku": "7"})
        return HTMLResponse("sent")

    return Starlette(
        routes=[Route("/", show), Route("/orders/7", show), Route("/send", send, methods=["POST"])]
    )


def build_task(rng: object, split: object) -> Task:
    return Task(
        goal="Send the order.",
        params={},
        start_url="http://shop.test/",
        sites={"shop.test": Site(app="shop", build=build_shop)},
        spec=Spec(
            milestones=tuple(milestone(name, reward=1, when=prize) for name, prize in PRIZES.items()),
            goal=Goal(when=SENT, frame=(SENT,)),
        ),
        oracle=lambda view: Noop(),
    )


@pytest.mark.browser
async def test_a_page_that_forges_everything_earns_nothing() -> None:
    template = Template(id="Hostile-v0", family="form", summary="", max_steps=9, build=build_task)
    pool = Pool(contexts=1)
    try:
        episode, view = await Episode.open(pool, template, 0)
        button = view.find("button", "Go")
        assert button
        for action in (
            f'click("{button}")',
            "noop(50)",
            'goto("file:///etc/passwd")',
            'answer("Order sent")',
        ):
            outcome = await episode.step(action)
            assert outcome.failure is None
        progress = start_progress(episode.spec)
        for event in episode.events:
            progress, _ = advance(episode.spec, progress, event)
        kinds = {event.kind for event in episode.events}
        await episode.close()
    finally:
        await pool.close()
    # The page did act: its traces are there, as what a page says.
    assert {"history_navigated", "title_changed", "element_appeared", "dialog_opened", "requested"} <= kinds
    assert progress.reached == set()
    assert (progress.paid, progress.goal_reached) == (Fraction(0), False)
