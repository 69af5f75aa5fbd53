"""Closed shadow roots are read, and acted in, without the page's notice."""

import pytest

from milepost.sandbox.events import Clicked, Filled
from milepost.sandbox.pool import Pool
from tests.sandbox.conftest import build_world

pytestmark = pytest.mark.browser

CLOSED = """<title>x</title><h1>Shop</h1><div id="h"></div><script>
  const add = (host, html) => { const r = host.attachShadow({mode: 'closed'}); r.innerHTML = html; return r; };
  const root = add(h, '<button>Buy</button><label>Note <input></label><x-inner>slotted</x-inner>');
  customElements.define('x-inner', class extends HTMLElement {
    constructor() { super(); add(this, '<p>deep text</p><slot></slot><button>Deep</button>'); } });
  root.querySelector('button').onclick = () => { document.title = 'bought'; };
</script>"""


async def test_closed_roots_are_part_of_the_tree_at_any_depth(pool: Pool) -> None:
    async with pool.session(build_world({"/x": CLOSED}, "/x")) as (_, view):
        assert [line.strip().split("] ")[-1] for line in view.tree.split("\n")] == [
            'heading "Shop"',
            'button "Buy"',
            'textbox "Note"',
            '"deep text"',
            '"slotted"',
            'button "Deep"',
        ]


async def test_what_is_in_a_closed_root_can_be_clicked_and_filled(pool: Pool) -> None:
    async with pool.session(build_world({"/x": CLOSED}, "/x")) as (session, view):
        view = await session.step(f'click("{view.find("button", "Buy")}")')
        assert (view.title, view.last_error) == ("bought", "")
        view = await session.step(f'fill("{view.find("textbox", "Note")}", "two")')
        field = view.element("textbox", "Note")
        assert field is not None
        assert (field.value, field.states) == ("two", ("focused",))
        facts = [event.fact for event in session.log.events]
        assert [fact.name for fact in facts if isinstance(fact, Clicked)] == ["Buy"]
        assert [fact.value for fact in facts if isinstance(fact, Filled)] == ["two"]


async def test_ids_in_a_closed_root_stay_and_its_host_is_asked_about_once(pool: Pool) -> None:
    async with pool.session(build_world({"/x": CLOSED}, "/x")) as (session, view):
        again = await session.step("noop()")
        assert again.tree == view.tree


async def test_a_page_without_closed_roots_has_no_suspects(pool: Pool) -> None:
    page = "<title>x</title><div><p>a</p><span></span><div></div></div><button><i></i>b</button>"
    async with pool.session(build_world({"/x": page}, "/x")) as (session, _):
        assert session._tabs is not None
        assert await session._tabs.active.evaluate("milepost.hosts().length") == 0
