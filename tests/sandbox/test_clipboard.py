"""A clipboard for each episode, though the browser has one for all."""

import pytest

from milepost.sandbox.clipboard import is_paste
from milepost.sandbox.events import Copied
from milepost.sandbox.keyboard import parse_keys
from milepost.sandbox.pool import Pool
from tests.sandbox.conftest import build_world

PAGE = """<title>x</title><input aria-label=One value=secret><input aria-label=Two><textarea aria-label=Three></textarea>
<p id=p>none</p><iframe srcdoc="<input aria-label=Inner>"></iframe><script>
document.querySelector('textarea').addEventListener('paste', e => { e.preventDefault(); p.textContent = 'got ' + e.clipboardData.getData('text/plain'); });
</script>"""


@pytest.mark.parametrize(
    ("keys", "pastes"),
    [
        ("Control+v", True),
        ("Control+Shift+v", True),
        ("Shift+Insert", True),
        ("v", False),
        ("Control+c", False),
        ("Alt+Control+v", False),
        ("Insert", False),
    ],
)
def test_combinations_that_paste_are_known(keys: str, pastes: bool) -> None:
    assert is_paste(parse_keys(keys)) is pastes


@pytest.mark.browser
async def test_what_one_episode_copies_no_other_pastes(pool: Pool) -> None:
    async with (
        pool.session(build_world({"/c": PAGE}, "/c")) as (one, view),
        pool.session(build_world({"/c": PAGE}, "/c")) as (other, _),
    ):
        ids = {e.name: e.id for e in view.elements if e.role == "textbox"}
        for keys in ("Control+a", "Control+c"):
            await one.step(f'press("{ids["One"]}", "{keys}")')
        assert [e.fact.text for e in one.log.events if isinstance(e.fact, Copied)] == ["secret"]
        view = await other.step(f'press("{ids["Two"]}", "Control+v")')
        assert view.element("textbox", "Two").value == ""  # type: ignore[union-attr]
        view = await one.step(f'press("{ids["Two"]}", "Control+v")')
        assert view.element("textbox", "Two").value == "secret"  # type: ignore[union-attr]
        view = await one.step(f'press("{ids["Three"]}", "Shift+Insert")')
        assert any(e.name == "got secret" for e in view.elements)
        view = await one.step(f'press("{ids["Inner"]}", "Control+v")')
        assert view.element("textbox", "Inner").value == "secret"  # type: ignore[union-attr]


@pytest.mark.browser
async def test_what_is_cut_or_copied_by_its_id_is_pasted_too(pool: Pool) -> None:
    async with pool.session(build_world({"/c": PAGE}, "/c")) as (session, view):
        ids = {e.name: e.id for e in view.elements if e.role == "textbox"}
        await session.step(f'press("{ids["One"]}", "Control+a")')
        view = await session.step(f'press("{ids["One"]}", "Control+x")')
        assert view.element("textbox", "One").value == ""  # type: ignore[union-attr]
        await session.step(f'press("{ids["Two"]}", "Control+v")')
        view = await session.step(f'copy("{ids["Two"]}")')
        assert view.last_error == ""
        view = await session.step(f'press("{ids["One"]}", "Control+v")')
        assert view.element("textbox", "One").value == "secret"  # type: ignore[union-attr]


@pytest.mark.browser
async def test_the_text_of_any_element_is_copied_and_read(pool: Pool) -> None:
    page = "<title>x</title><h1>Big <b>news</b></h1><ul aria-label=List><li>a<li>b</ul><input aria-label=To>"
    async with pool.session(build_world({"/c": page}, "/c")) as (session, view):
        view = await session.step(f'extract("{view.find("list", "List")}")')
        assert (view.last_error, view.last_text) == ("", "a b")
        await session.step(f'copy("{view.find("heading")}")')
        view = await session.step(f'paste("{view.find("textbox", "To")}")')
        assert view.element("textbox", "To").value == "Big news"  # type: ignore[union-attr]
