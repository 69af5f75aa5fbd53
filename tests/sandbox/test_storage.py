"""Cookies and local storage that an episode begins with."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from milepost.sandbox.events import Fact, Requested, Responded
from milepost.sandbox.pool import Pool
from milepost.sandbox.storage import StorageState, find_origins, read_storage_state
from tests.sandbox.conftest import build_world

STATE: dict[str, Any] = {
    "cookies": [
        {"name": "user", "value": "ada", "domain": "shop.test", "path": "/", "expires": -1}
        | {"httpOnly": True, "secure": False, "sameSite": "Lax"},
        {"name": "theme", "value": "dark", "domain": ".shop.test", "path": "/", "expires": 4_000_000_000},
    ],
    "origins": [
        {"origin": "http://shop.test", "localStorage": [{"name": "cart", "value": '["tea"]'}]},
        {"origin": "http://empty.test", "localStorage": []},
    ],
}


def test_a_state_is_read_from_a_file_or_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(orjson.dumps(STATE))
    state = read_storage_state(path)
    assert state == read_storage_state(str(path)) == read_storage_state(STATE) == read_storage_state(state)
    assert [cookie.name for cookie in state.cookies] == ["user", "theme"]
    assert read_storage_state({}) == StorageState()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no json", "not a storage state; expected"),
        (b'{"cookies": [{"name": "a"}]}', "cookies.0.value"),
        (b'{"origins": [{"origin": "file:///x", "localStorage": []}]}', "origins.0.origin"),
    ],
)
def test_what_is_no_state_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "state.json").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_storage_state(tmp_path / "state.json")


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match=r"nowhere\.json' cannot be read: No such file"):
        read_storage_state("nowhere.json")


@pytest.mark.browser
async def test_pages_find_what_the_episode_begins_with_and_no_other_episode_does(pool: Pool) -> None:
    page = "<title>x</title><script>document.title = [localStorage.cart, document.cookie].join(' ')</script>"
    world = build_world({"/x": page}, "/x", storage=read_storage_state(STATE))
    async with pool.session(world) as (session, view):
        # The one that is httpOnly reaches the server alone.
        assert view.title == '["tea"] theme=dark'
        asked = [e.fact.url for e in session.log.events if isinstance(e.fact, Requested)]
        assert asked == ["http://shop.test/x"]
        assert view.tabs == ('* 0: ["tea"] theme=dark',)
        await session.step("reload()")
    async with pool.session(build_world({"/x": page}, "/x")) as (_, view):
        assert view.title == ""


def test_what_was_asked_for_names_the_origins() -> None:
    facts: list[Fact] = [
        Requested(method="GET", url="http://shop.test/a/b?c", allowed=True),
        Requested(method="POST", url="http://shop.test:8080/", allowed=True),
        Requested(method="CONNECT", url="live.test:443", allowed=True),
        Requested(method="CONNECT", url="live.test:8443", allowed=True),
        Requested(method="GET", url="http://closed.test/", allowed=False),
        Responded(method="GET", url="http://other.test/", status=200),
    ]
    origins = {"http://shop.test", "http://shop.test:8080", "https://live.test", "https://live.test:8443"}
    assert find_origins(facts) == origins
    assert find_origins(facts, read_storage_state(STATE)) == origins | {"http://empty.test"}


@pytest.mark.browser
async def test_what_an_episode_leaves_is_what_another_begins_with(pool: Pool) -> None:
    login = """<meta charset=utf-8><title>Login</title><script>localStorage.user = 'ada "é"'; localStorage.cart = '[]'; sessionStorage.no = 1;
document.cookie = 'theme=dark; max-age=86400'; document.cookie = 'brief=1; samesite=strict'</script>"""
    async with pool.session(build_world({"/in": login}, "/in", storage=read_storage_state(STATE))) as (
        session,
        _,
    ):
        before = session.log.head
        left = await session.collect_storage()
        view = await session.step("noop()")
        assert [e.fact for e in session.log.events if isinstance(e.fact, Requested)] == [
            Requested(method="GET", url="http://shop.test/in", allowed=True)
        ]
        assert (view.last_effect, view.tabs) == ("none", ("* 0: Login",))
        assert session.log.head != before
    assert left.model_dump(mode="json")["origins"] == [
        {
            "origin": "http://shop.test",
            "localStorage": [
                {"name": "cart", "value": "[]"},
                {"name": "user", "value": 'ada "é"'},
            ],
        }
    ]
    cookies = {(cookie.domain, cookie.name): cookie for cookie in left.cookies}
    assert sorted(cookies) == [
        (".shop.test", "theme"),
        ("shop.test", "brief"),
        ("shop.test", "theme"),
        ("shop.test", "user"),
    ]
    assert cookies["shop.test", "brief"].model_dump() == {
        "name": "brief",
        "value": "1",
        "domain": "shop.test",
        "path": "/",
        "expires": -1,
        "httpOnly": False,
        "secure": False,
        "sameSite": "Strict",
    }
    assert cookies["shop.test", "theme"].expires > 0
    assert cookies["shop.test", "user"].httpOnly
    carried = read_storage_state(orjson.loads(orjson.dumps(left.model_dump())))
    assert carried == left
    async with pool.session(build_world(storage=carried)) as (session, _):
        assert await session.collect_storage() == left


@pytest.mark.browser
async def test_cookies_that_a_script_has_just_set_are_not_missed(pool: Pool) -> None:
    busy = """<title>Busy</title><script>for (let i = 0; i < 150; i++) document.cookie = 'c' + i + '=' + 'x'.repeat(200)</script>"""

    async def count() -> int:
        async with pool.session(build_world({"/in": busy}, "/in")) as (session, _):
            return len((await session.collect_storage()).cookies)

    assert await asyncio.gather(*(count() for _ in range(4))) == [150] * 4
