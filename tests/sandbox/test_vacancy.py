"""Contexts that one episode leaves and another begins in."""

from dataclasses import replace

import pytest

from milepost.sandbox.events import DownloadStarted, Fact, Failed, Source, TabOpened, to_record
from milepost.sandbox.log import EventLog
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool
from milepost.sandbox.session import Session
from milepost.sandbox.vacancy import is_lettable, leaves_nothing
from milepost.sandbox.world import World
from tests.sandbox.conftest import build_world

MEMORY = """<!doctype html><title>Memory</title><button id=b>Remember</button><a href="/two">Two</a> <a href="/file">File</a>
<output id=o></output><script>
o.textContent = [history.length, document.cookie, localStorage.length, innerWidth, performance.now() < 5000, Math.random()].join('|');
b.onclick = async () => {
  document.cookie = 'kept=yes'; localStorage.setItem('kept', 'yes');
  await (await caches.open('kept')).put('/x', new Response('y')).catch(() => {});
};
</script>"""


def build_tidy(seed: int = 0, *, tidy: bool = True) -> World:
    return replace(build_world({"/": MEMORY}), tidy=tidy, seed=seed)


async def play(pool: Pool, world: World) -> tuple[Session, list[Observation], list[object]]:
    """Play a few steps that leave traces; gives what was seen and logged."""
    async with pool.session(world) as (session, view):
        seen = [view]
        for role, name in (("button", "Remember"), ("link", "File"), ("link", "Two")):
            seen.append(await session.step(f'click("{seen[-1].find(role, name)}")'))
        seen.append(await session.step("back()"))
        return session, seen, [to_record(event) for event in session.log.events]


@pytest.mark.browser
async def test_an_episode_in_an_emptied_context_is_the_one_that_a_fresh_context_gives() -> None:
    pool = Pool(contexts=1)
    try:
        first, seen, log = await play(pool, build_tidy())
        second, again, logged = await play(pool, build_tidy())
        other, elsewhere, _ = await play(pool, build_tidy(seed=1))
        fresh, *_ = await play(pool, build_tidy(tidy=False))
        # The second and the third were in the context of the first.
        contexts = [one._vacancy.context if one._vacancy else "" for one in (first, second, other, fresh)]
        assert contexts[0] == contexts[3] == ""
        assert contexts[1] == contexts[2] != ""
        assert [view.as_dict() for view in again] == [view.as_dict() for view in seen]
        assert logged == log
        # Chance is the seed's, not the first tenant's.
        assert elsewhere[0].tree != seen[0].tree
        assert "back" not in seen[-1].last_error
    finally:
        await pool.close()


HOVERED = """<!doctype html><title>Hovered</title><style>button:hover::after { content: ' here' }</style>
<button id=b>Here</button><output id=o>nobody</output><script>b.onmouseenter = () => { o.textContent = 'somebody'; };</script>"""


@pytest.mark.browser
async def test_the_mouse_is_not_where_the_last_episode_left_it() -> None:
    pool = Pool(contexts=1)
    world = replace(build_world({"/": HOVERED}), tidy=True)
    try:
        async with pool.session(world) as (_, fresh):
            pass
        async with pool.session(world) as (session, view):
            moved = await session.step(f'hover("{view.find("button", "Here")}")')
            assert (moved.element("status", "somebody") is None, moved.tree == fresh.tree) == (False, False)
        async with pool.session(world) as (session, view):
            assert session._vacancy is not None
            assert view.tree == fresh.tree
            assert (await session.step("noop(200)")).tree == fresh.tree
    finally:
        await pool.close()


@pytest.mark.browser
async def test_a_context_whose_page_died_is_disposed_of() -> None:
    pool = Pool(contexts=1)
    try:
        async with pool.session(build_tidy()) as (session, _):
            session._tabs.active.post_input("Page.crash", {})  # type: ignore[union-attr]
        async with pool.session(build_tidy()) as (session, view):
            assert session._vacancy is None
            assert view.title == "Memory"
    finally:
        await pool.close()


@pytest.mark.parametrize(
    ("facts", "clean"),
    [
        ([], True),
        ([TabOpened(tab=1, url="/")], False),
        ([DownloadStarted(url="/x", filename="x")], False),
        ([Failed(failure="timeout", reason="slow")], False),
    ],
)
def test_what_may_be_left_behind(facts: list[Fact], clean: bool) -> None:
    log = EventLog()
    for fact in facts:
        log.note(Source.BROWSER, fact)
    assert leaves_nothing(log) is clean


@pytest.mark.parametrize(
    "change",
    [{"tidy": False}, {"live": ("a.test",)}, {"traffic": True}, {"page_time_ms": 100}, {"instant_ms": None}],
)
def test_only_plain_tidy_worlds_share_contexts(change: dict[str, object]) -> None:
    assert is_lettable(build_tidy())
    assert not is_lettable(replace(build_tidy(), **change))  # type: ignore[arg-type]
