"""Every action on a real page: what the page saw, what the log says, what the agent is told."""

import pytest

from milepost.sandbox.events import AnswerGiven, Clicked, Copied, Filled, Selected, TextExtracted, Toggled
from milepost.sandbox.observation import Observation
from milepost.sandbox.pool import Pool
from milepost.sandbox.session import Session
from tests.sandbox.conftest import build_world

pytestmark = pytest.mark.browser

CONTROLS = """<!doctype html><title>Controls</title>
<div><button id=b>Target</button></div> <a href="/controls2">Next</a>
<input aria-label="Name" value="Ada"><input aria-label="Day" type=date><input aria-label="Volume" type=range max=10 value=2>
<input type=file aria-label="Paper"><textarea aria-label="Notes">one</textarea>
<select multiple aria-label="Tags"><option>a<option>b<option disabled>c</select>
<label><input type=checkbox>Agree</label><label><input type=radio name=r>Only</label>
<div id=d1 draggable=true role=button>Parcel</div><div id=d2 role=button>Shelf</div>
<div id=s role=button>Knob</div>
<div style="height:3000px"></div><button>Far</button>
<output id=o></output>
<script>
const seen = [];
const say = text => { seen.push(text); o.textContent = seen.join(' '); };
for (const kind of ['click', 'dblclick', 'contextmenu', 'auxclick', 'mouseenter'])
  b.addEventListener(kind, e => say([kind, e.button, e.shiftKey ? 'shift' : '', e.isTrusted].join('/')));
document.querySelector('[type=file]').onchange = async e => say('file:' + e.target.files[0].name + ':' + await e.target.files[0].text());
document.querySelector('textarea').onkeydown = e => say('key:' + e.key);
document.querySelector('[type=date]').onchange = e => say('date:' + e.target.value);
d1.ondragstart = e => e.dataTransfer.setData('text/plain', 'box');
d2.ondragover = e => e.preventDefault();
d2.ondrop = e => say('drop:' + e.dataTransfer.getData('text/plain'));
s.onmousedown = () => { document.onmousemove = e => say('moved'); document.onmouseup = () => { document.onmousemove = null; say('let go'); }; };
</script>"""


def build_controls() -> dict[str, str]:
    return {
        "/": CONTROLS,
        "/controls2": "<title>Second</title><h1>Second</h1>",
    }


def said(view: Observation) -> str:
    return next((e.name for e in view.elements if e.role == "status"), "")


def find(view: Observation, name: str) -> str:
    return next(e.id for e in view.elements if e.name == name)


async def act(session: Session, view: Observation, verb: str, name: str, *more: object) -> Observation:
    rest = "".join(f", {argument!r}" for argument in more)
    return await session.step(f"{verb}({find(view, name)!r}{rest})")


async def test_clicks_carry_their_button_their_modifiers_and_their_count(pool: Pool) -> None:
    async with pool.session(build_world(build_controls())) as (session, view):
        view = await act(session, view, "click", "Target", "left", ["Shift"])
        assert said(view) == "mouseenter/0/shift/true click/0/shift/true"
        view = await act(session, view, "click", "Target", "right")
        assert "contextmenu/2//true" in said(view)
        view = await act(session, view, "dblclick", "Target")
        assert said(view).endswith("click/0//true click/0//true dblclick/0//true")
        view = await act(session, view, "click", "Target", "top")
        assert view.last_error == "no mouse button 'top'; expected one of left, middle, right"
        view = await act(session, view, "click", "Target", "left", ["Hyper"])
        assert "unknown modifier 'Hyper'" in view.last_error


LEAVING = "<title>First</title><a href='/next' style='position:fixed;inset:0'>Leave</a>"
ARRIVED = "<title>Next</title><button style='position:fixed;inset:0'>Delete</button>"


async def test_both_clicks_of_a_double_click_on_a_link_are_made_where_the_link_is(undrawn: Pool) -> None:
    """The document that comes must not get the second one, and must not be waited for in vain."""
    for _ in range(4):
        async with undrawn.session(build_world({"/": LEAVING, "/next": ARRIVED})) as (session, view):
            view = await act(session, view, "dblclick", "Leave")
            assert (view.title, view.last_error) == ("Next", "")
            clicked = [event.fact.name for event in session.log.events if isinstance(event.fact, Clicked)]
            assert set(clicked) == {"Leave"}


async def test_the_mouse_hovers_and_clicks_by_coordinates(pool: Pool) -> None:
    async with pool.session(build_world(build_controls())) as (session, view):
        view = await act(session, view, "hover", "Target")
        assert said(view) == "mouseenter/0//true"
        view = await session.step("mouse_click(20, 15)")
        assert said(view).endswith("click/0//true")
        view = await session.step("mouse_dblclick(20, 15)")
        assert said(view).endswith("dblclick/0//true")
        view = await session.step("mouse_move(4000, 1)")
        assert view.last_error == "the point 4000, 1 is outside the viewport of 1024 x 768"
        clicked = [e.fact for e in session.log.events if isinstance(e.fact, Clicked)]
        assert {c.name for c in clicked} == {"Target"}


async def test_text_is_filled_cleared_typed_and_pasted(pool: Pool) -> None:
    async with pool.session(build_world(build_controls())) as (session, view):
        view = await act(session, view, "type", "Notes", "a\nB")
        assert view.element("textbox", "Notes").value == "onea\nB"  # type: ignore[union-attr]
        assert said(view) == "key:a key:Enter key:B"
        view = await session.step("keyboard_press('Control+a')")
        view = await session.step("keyboard_type('z')")
        assert view.element("textbox", "Notes").value == "z"  # type: ignore[union-attr]
        view = await act(session, view, "copy", "Name")
        view = await act(session, view, "paste", "Notes")
        assert view.element("textbox", "Notes").value == "Ada"  # type: ignore[union-attr]
        view = await act(session, view, "clear", "Name")
        assert view.element("textbox", "Name").value == ""  # type: ignore[union-attr]
        copied = [e.fact for e in session.log.events if isinstance(e.fact, Copied)]
        assert copied == [Copied(tab=0, text="Ada")]
        filled = [e.fact.value for e in session.log.events if isinstance(e.fact, Filled)]
        assert filled[-2:] == ["Ada", ""]
        view = await act(session, view, "type", "Notes", "x" * 3000)
        assert view.last_error == "3000 characters are too many to type; at most 2000, or use fill"


TABLE = """<!doctype html><title>Table</title><table aria-label="Orders">
<tr><td>Ada</td><td><b>12</b></td></tr><tr><td>Bob</td><td>7<button>Open</button></td></tr></table>
<div role="group" aria-label="Total"><span>Sum</span><br>19</div>
<section aria-label="All"><table aria-label="Inner"><tr><td>Cy</td></tr></table><a href="/" aria-label="Go on">More</a></section>"""


@pytest.mark.parametrize(
    ("name", "text"),
    [("Ada 12", "Ada 12"), ("Orders", "Ada 12 Bob 7 Open"), ("Total", "Sum 19"), ("All", "Cy Go on")],
)
async def test_what_is_read_out_is_all_that_an_element_says(pool: Pool, name: str, text: str) -> None:
    async with pool.session(build_world({"/": TABLE})) as (session, view):
        view = await act(session, view, "extract", name)
        assert (view.last_text, view.last_error) == (text, "")
        (read,) = (e.fact for e in session.log.events if isinstance(e.fact, TextExtracted))
        assert (read.name, read.text) == (name, text)


async def test_dates_and_ranges_take_values_and_say_what_they_expect(pool: Pool) -> None:
    async with pool.session(build_world(build_controls())) as (session, view):
        view = await act(session, view, "fill", "Day", "2026-03-14")
        assert said(view) == "date:2026-03-14"
        view = await act(session, view, "fill", "Day", "14.3.2026")
        assert view.last_error.endswith('(date) does not take "14.3.2026"; expected such as 2026-03-14')
        view = await act(session, view, "fill", "Volume", "99")
        assert view.last_error.endswith('(range) does not take "99"; the nearest it takes is "10"')
        selected = [e.fact for e in session.log.events if isinstance(e.fact, Selected)]
        assert [s.value for s in selected] == ["2026-03-14"]


async def test_boxes_are_ticked_once_and_options_chosen_together(pool: Pool) -> None:
    async with pool.session(build_world(build_controls())) as (session, view):
        for _ in range(2):
            view = await act(session, view, "check", "Agree")
        view = await act(session, view, "uncheck", "Agree")
        view = await act(session, view, "check", "Only")
        toggled = [(e.fact.name, e.fact.checked) for e in session.log.events if isinstance(e.fact, Toggled)]
        assert toggled == [("Agree", True), ("Agree", False), ("Only", True)]
        view = await act(session, view, "uncheck", "Only")
        assert "is a radio button; choose another one instead" in view.last_error
        view = await act(session, view, "check", "Target")
        assert "(button) cannot be ticked" in view.last_error
        view = await act(session, view, "select_option", "Tags", ["a", "b"])
        assert view.element("listbox", "Tags").value == "a, b"  # type: ignore[union-attr]
        view = await act(session, view, "select_option", "Tags", "c")
        assert view.last_error == 'option "c" is disabled'


async def test_a_file_of_the_workspace_is_uploaded_and_no_other(pool: Pool) -> None:
    async with pool.session(build_world(build_controls(), files={"in/a.txt": b"hello"})) as (session, view):
        field = next(e.id for e in view.elements if e.name.startswith("Paper"))
        view = await session.step(f'upload_file("{field}", "in/a.txt")')
        while not said(view):  # the page reads the file in its own time, and nobody sees it do so
            view = await session.step("noop()")
        assert said(view) == "file:a.txt:hello"
        view = await session.step(f'upload_file("{field}", "../../etc/passwd")')
        assert "is not a path inside the workspace" in view.last_error
        view = await act(session, view, "upload_file", "Target", "in/a.txt")
        assert "is not a file field" in view.last_error


async def test_native_drags_end_in_a_drop_and_others_are_mouse_moves(pool: Pool) -> None:
    async with pool.session(build_world(build_controls())) as (session, view):
        view = await act(session, view, "drag_and_drop", "Parcel", find(view, "Shelf"))
        assert said(view) == "drop:box"
        view = await act(session, view, "drag_and_drop", "Knob", find(view, "Shelf"))
        assert said(view) == "drop:box moved moved let go"


async def test_what_is_far_is_scrolled_to(pool: Pool) -> None:
    async with pool.session(build_world(build_controls())) as (session, view):
        assert "offscreen" in view.element("button", "Far").states  # type: ignore[union-attr]
        view = await act(session, view, "scroll_to", "Far")
        assert view.element("button", "Far").states == ()  # type: ignore[union-attr]
        assert "offscreen" in view.element("button", "Target").states  # type: ignore[union-attr]


async def test_history_goes_back_and_forward_and_pages_load_again(pool: Pool) -> None:
    async with pool.session(build_world(build_controls())) as (session, view):
        view = await act(session, view, "click", "Next")
        view = await session.step("back()")
        assert view.title == "Controls"
        view = await act(session, view, "fill", "Name", "Bob")
        view = await session.step("reload()")
        assert view.last_effect == "navigation"
        assert view.element("textbox", "Name").value == "Ada"  # type: ignore[union-attr]
        view = await session.step("forward()")
        assert view.title == "Second"
        view = await session.step("forward()")
        assert view.last_error == "there is no page to go forward to"


async def test_several_actions_in_one_message_stop_at_the_first_that_fails(pool: Pool) -> None:
    world = build_world(build_controls(), actions_per_step=3)
    async with pool.session(world) as (session, view):
        name, notes = find(view, "Name"), find(view, "Notes")
        view = await session.step(f'fill("{name}", "A") clear("999") fill("{notes}", "B")')
        assert view.last_action == f'fill("{name}", "A") clear("999")'
        assert "no element has the id 999" in view.last_error
        assert view.element("textbox", "Name").value == "A"  # type: ignore[union-attr]
        assert view.element("textbox", "Notes").value == "one"  # type: ignore[union-attr]
        view = await session.step("noop() " * 4)
        assert view.last_error == "4 actions in one message; at most 3 are carried out at once"


async def test_an_answer_is_text_or_json(pool: Pool) -> None:
    async with pool.session(build_world(build_controls())) as (session, _):
        await session.step('answer({"n": 1})')
        assert session.finished == "answer"
        assert [e.fact.text for e in session.log.events if isinstance(e.fact, AnswerGiven)] == ['{"n":1}']


FIELDS = """<!doctype html><title>Fields</title>
<input aria-label="Plain"><input aria-label="Loud" oninput="alert('no')"><input aria-label="Leaving" oninput="location = '/two'">
<input aria-label="Asking" oninput="fetch('/slow').then(r => r.text()).then(t => { o.textContent = t; })">
<textarea aria-label="Lines"></textarea><div contenteditable aria-label="Editor" role=textbox>old</div>
<select aria-label="Jump" onchange="location = '/two'"><option>Here<option>There</select>
<output id=o></output>
<script>
for (const e of document.querySelectorAll('[aria-label=Plain], textarea, [contenteditable]'))
  e.addEventListener('input', event => { o.textContent += `${event.inputType} ${event.isTrusted} ${JSON.stringify(e.value ?? e.innerText)};`; });
</script>"""


@pytest.mark.parametrize(
    ("field", "text", "heard"),
    [
        ("Plain", "Zoë <b>", 'insertText true "Zoë <b>";'),
        # The browser brings lines one after the other.
        ("Lines", "one\ntwo", 3 * 'insertText true "one\\ntwo";'),
        ("Editor", "new", 'insertText true "new";'),
    ],
)
async def test_a_page_hears_the_trusted_input_of_a_fill(
    pool: Pool, field: str, text: str, heard: str
) -> None:
    async with pool.session(build_world({"/": FIELDS})) as (session, view):
        view = await act(session, view, "fill", field, text)
        assert (view.last_error, view.last_effect, said(view)) == ("", "dom", heard)


async def test_a_fill_that_a_page_answers_with_a_dialog_is_done(pool: Pool) -> None:
    async with pool.session(build_world({"/": FIELDS})) as (session, view):
        view = await act(session, view, "fill", "Loud", "x")
        assert view.last_error == ""
        assert view.dialog is not None
        view = await session.step("accept_dialog()")
        assert view.element("textbox", "Loud").value == "x"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("verb", "field", "value"), [("fill", "Leaving", "x"), ("select_option", "Jump", "There")]
)
async def test_an_action_that_leaves_the_page_is_done(pool: Pool, verb: str, field: str, value: str) -> None:
    async with pool.session(build_world({"/": FIELDS})) as (session, view):
        view = await act(session, view, verb, field, value)
        assert (view.last_error, view.last_effect, view.title) == ("", "navigation", "Two")
        kinds = [type(event.fact) for event in session.log.events]
        assert (Filled if verb == "fill" else Selected) in kinds


async def test_what_a_field_fetches_is_waited_for(pool: Pool) -> None:
    async with pool.session(build_world({"/": FIELDS})) as (session, view):
        view = await act(session, view, "fill", "Asking", "x")
        assert said(view) == "slow"
