"""What the walker shows of a page, beyond roles and names, and that the page cannot tell that it was read."""

import json

import pytest

from milepost.sandbox.events import Clicked, Filled
from milepost.sandbox.pool import Pool
from tests.sandbox.conftest import build_world

pytestmark = pytest.mark.browser


async def read(pool: Pool, body: str) -> list[str]:
    """The lines of a page's tree, without ids."""
    async with pool.session(build_world({"/x": f"<!doctype html><title>x</title>{body}"}, "/x")) as (_, view):
        return [_without_id(line) for line in view.tree.split("\n")]


def _without_id(line: str) -> str:
    indent = len(line) - len(line.lstrip())
    return " " * indent + line.lstrip().partition("] ")[2] if line.lstrip().startswith("[") else line


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ('<input type="checkbox" aria-label="a" checked>', ['checkbox "a" checked']),
        ('<div role="checkbox" tabindex="0" aria-checked="mixed">a</div>', ['checkbox "a" mixed']),
        ('<button aria-pressed="true" aria-expanded="false">a</button>', ['button "a" collapsed pressed']),
        ("<details open><summary>a</summary>b</details>", ['button "a" expanded', '"b"']),
        ("<details><summary>a</summary><p>b</p></details>", ['button "a" collapsed']),
        (
            "<fieldset disabled><legend>a</legend><button>b</button></fieldset>",
            ['group "a" disabled', ' button "b" disabled'],
        ),
        ('<div aria-disabled="true"><a href="#">b</a></div>', ['link "b" disabled']),
        ('<input aria-label="a" aria-invalid="true" value="b">', ['textbox "a" value="b" invalid']),
        ('<input type="password" aria-label="a" value="bcd">', ['textbox "a" value="•••"']),
        ('<div style="height:2000px"></div><button>a</button>', ['button "a" offscreen']),
        ('<canvas width="30" height="20" aria-label="a"></canvas>', ['canvas "a" value="30x20"']),
        ('<div inert><button>a</button></div><p aria-hidden="true">b</p>c', ['"c"']),
        ('<div style="opacity:0">a<button>b</button></div>c', ['"c"']),
        ('<div style="display:contents">a<b>b</b></div>', ['"a"', '"b"']),
        ('<div style="visibility:hidden">a<b style="visibility:visible">b</b></div>', ['"b"']),
        ('<p style="text-transform:uppercase">loud</p>', ['"LOUD"']),
        ("<div onclick='1'>a</div><li tabindex=0>b</li>", ['generic "a"', 'listitem "b"']),
        ('<iframe title="a" sandbox srcdoc="b"></iframe>', ['iframe "a"', ' "b"']),
        # A hand as the pointer tells users, and us, that there is something to click.
        ("<style>b{cursor:pointer}</style><b>a <i>b</i></b><p>c</p>", ['generic "a b"', '"c"']),
        ("<style>@media all{li{cursor:pointer}}</style><li>a</li>", ['listitem "a"']),
        ("<p style='cursor:pointer'>a</p>", ['paragraph "a"']),
        ("<style>div,i{cursor:pointer}</style><div>a<i></i></div>", ['generic "a"', " generic"]),
        ("<style>button,i{cursor:pointer}</style><button>a<i></i></button>", ['button "a"']),
        (
            "<style>p:hover{cursor:pointer}b{cursor:pointer;cursor:text}</style><p>a</p><b>b</b>",
            ['"a"', '"b"'],
        ),
    ],
)
async def test_a_line_says_what_an_element_is(pool: Pool, body: str, lines: list[str]) -> None:
    assert await read(pool, body) == lines


async def test_a_table_reads_row_by_row(pool: Pool) -> None:
    body = """<table><caption>Prices</caption><tr><th>Item<th>Cost</tr>
      <tr><td>Tea<td>2.00<td><button>Buy</button></tr></table>"""
    assert await read(pool, body) == [
        'table "Prices"',
        ' row "Item Cost"',
        ' row "Tea 2.00 Buy"',
        '  button "Buy"',
    ]


async def test_what_is_part_of_a_name_is_still_read_as_what_it_is(pool: Pool) -> None:
    # A row is named by its cells, and they by what is in them: each is met three times.
    row = """<table><tr><td><span style="opacity:0"><a href="#">ghost</a></span><a href="#">seen</a></td>
<td aria-hidden="true"><button>unsaid</button></td><td><button disabled>last</button></td></tr></table>"""
    assert await read(pool, row) == [
        'row "ghostseen last"',
        ' link "seen"',
        ' button "last" disabled',
    ]


async def test_labels_are_those_of_the_fields_own_tree(pool: Pool) -> None:
    page = """<label for=a>outer</label><label for=a>twice</label><input id=a><label><b>around</b> <input></label>
<div id=h></div><script>h.attachShadow({mode: 'open'}).innerHTML =
  '<label for=a>inner</label><input id=a><label for=none>nobody</label>';</script>"""
    lines = await read(pool, page)
    assert [line for line in lines if line.startswith("textbox")] == [
        'textbox "outer twice"',
        'textbox "around"',
        'textbox "inner"',
    ]


async def test_options_stand_in_their_groups(pool: Pool) -> None:
    body = '<select aria-label="a"><option>x<optgroup label="g"><option selected>y</optgroup></select>'
    assert await read(pool, body) == [
        'combobox "a" value="y"',
        ' option "x"',
        ' group "g"',
        '  option "y" selected',
    ]


async def test_a_hidden_box_with_a_painted_label_can_still_be_ticked(pool: Pool) -> None:
    body = """<input type="checkbox" id="a" style="display:none" checked><label for="a">Gone</label>
      <label><input type="checkbox" style="opacity:0">Clear</label>"""
    async with pool.session(build_world({"/x": f"<title>x</title>{body}"}, "/x")) as (session, view):
        assert view.tree == '[1] generic "Gone" checked\n[2] checkbox "Clear"'
        await session.step('click("1")')
        view = await session.step('click("2")')
        assert view.tree == '[1] generic "Gone"\n[2] checkbox "Clear" checked focused'


OPEN = """<title>x</title><div id="h"><i slot="a">light</i></div><script>
  h.attachShadow({mode: 'open'}).innerHTML =
    '<button>The <slot name="a"></slot> one</button><label>In <input></label><div role="button" tabindex="0" id="w"></div>';
  h.shadowRoot.getElementById('w').attachShadow({mode: 'open'}).innerHTML = '<b>wide</b>';
  h.shadowRoot.querySelector('button').onclick = () => { document.title = 'hit'; };
  h.shadowRoot.getElementById('w').onclick = () => { document.title = 'wide'; };
</script>"""


async def test_what_is_in_a_shadow_root_is_seen_as_drawn_and_can_be_used(pool: Pool) -> None:
    async with pool.session(build_world({"/x": OPEN}, "/x")) as (session, view):
        assert view.tree == '[1] button "The light one"\n[2] textbox "In"\n[3] button "wide"'
        assert (await session.step('click("1")')).title == "hit"
        assert (await session.step('click("3")')).title == "wide"
        view = await session.step('fill("2", "a")')
        assert '[2] textbox "In" value="a" focused' in view.tree


FRAMED = {
    "/x": """<title>x</title><body style="margin:0"><div style="height:300px">Top</div>
      <iframe src="/in" title="Inner" style="width:300px;height:200px;border:5px solid;padding:7px"></iframe>""",
    "/in": """<title>in</title><label>Name <input></label><button onclick="o.textContent = 'pressed'">Press</button>
      <p id="o"></p><select aria-label="Kind"><option>a<option>b</select><iframe title="Deep" src="/deep"></iframe>
      <div style="height:900px"></div><button onclick="o.textContent = 'far'">Far</button>""",
    "/deep": "<a href='#there'>Link</a>",
}


async def test_a_frame_of_the_same_origin_is_part_of_the_tree_and_can_be_used(pool: Pool) -> None:
    async with pool.session(build_world(FRAMED, "/x")) as (session, view):
        assert view.tree.split("\n") == [
            '"Top"',
            '[1] iframe "Inner"',
            ' [2] textbox "Name"',
            ' [3] button "Press"',
            ' [4] combobox "Kind" value="a"',
            '  [5] option "a" selected',
            '  [6] option "b"',
            ' [7] iframe "Deep"',
            '  [8] link "Link"',
            ' [9] button "Far" offscreen',
        ]
        view = await session.step('fill("2", "Ada")')
        assert '[2] textbox "Name" value="Ada" focused' in view.tree
        view = await session.step('click("3")')
        assert (view.last_error, '"pressed"' in view.changes) == ("", True)
        view = await session.step('select_option("4", "b")')
        assert '[4] combobox "Kind" value="b"' in view.tree
        assert (await session.step('click("8")')).last_error == ""
        view = await session.step('click("9")')
        assert (view.last_error, '"far"' in view.changes) == ("", True)
        facts = [event.fact for event in session.log.events]
        assert [fact.value for fact in facts if isinstance(fact, Filled)] == ["Ada"]
        assert [fact.name for fact in facts if isinstance(fact, Clicked)] == ["Press", "Link", "Far"]


# Everything a page can watch, watched: each count below would go up if observing did what it counts.
WATCHED = """<!doctype html><title>x</title><div id="host"></div><p id="p">Some text to select</p><style>b::before{content:"x"}</style>
<form id="f"><input id="a" value="start"><select id="s"><option>1<option>2</select><textarea id="t">t</textarea>
<input type="checkbox" id="c"></form><label for="a">Name</label><div id="box" style="height:50px;overflow:auto"><div style="height:500px">tall</div></div>
<iframe id="i" srcdoc="<button>In</button>"></iframe><button aria-labelledby="p"><b>Act</b></button><div id="shut"></div><div style="height:3000px"></div><script>
const counts = {};
const count = (name, n = 1) => { counts[name] = (counts[name] || 0) + n; };
const spy = (owner, name) => {
  const found = Object.getOwnPropertyDescriptor(owner, name);
  if (!found) { count('missing ' + name); return; }
  const wrap = f => f && new Proxy(f, {apply(...call) { count(name); return Reflect.apply(...call); }});
  Object.defineProperty(owner, name, 'value' in found ? {...found, value: wrap(found.value)} : {...found, get: wrap(found.get), set: wrap(found.set)});
};
const observe = root => new MutationObserver(list => count('mutation', list.length)).observe(root, {subtree: true, childList: true, attributes: true, characterData: true});
let closedRoot;
addEventListener('load', () => {
  observe(document); observe(i.contentDocument);
  observe(host.attachShadow({mode: 'open'}));
  closedRoot = shut.attachShadow({mode: 'closed'}); closedRoot.innerHTML = '<button>Closed</button>'; observe(closedRoot);
  a.value = 'typed'; c.checked = true; c.indeterminate = true; s.selectedIndex = 1; t.value = 'more'; a.focus(); a.setSelectionRange(1, 3);
  scrollTo(0, 40); box.scrollTop = 20;
  for (const type of ['focus', 'blur', 'focusin', 'focusout', 'scroll', 'resize', 'click', 'mousemove', 'input', 'change', 'select',
    'selectionchange', 'reset', 'submit', 'slotchange', 'toggle', 'beforetoggle', 'message', 'error', 'pointermove'])
    for (const where of [window, i.contentWindow]) where.addEventListener(type, () => count(type), true);
  new ResizeObserver(() => count('resized')).observe(p);
  new IntersectionObserver(() => count('intersected')).observe(p);
  for (const name of ['getAttribute', 'hasAttribute', 'hasAttributes', 'setAttribute', 'removeAttribute', 'matches', 'closest', 'checkVisibility', 'getBoundingClientRect',
    'getClientRects', 'scrollIntoView', 'attachShadow', 'shadowRoot', 'innerHTML', 'querySelector', 'querySelectorAll', 'tagName', 'assignedSlot',
    'ariaLabelledByElements', 'scrollTop', 'animate']) spy(Element.prototype, name);
  for (const name of ['textContent', 'firstChild', 'nextSibling', 'nodeType', 'getRootNode', 'parentNode', 'isConnected', 'appendChild', 'cloneNode']) spy(Node.prototype, name);
  for (const name of ['offsetHeight', 'offsetWidth', 'offsetParent', 'focus', 'blur', 'click', 'innerText', 'isContentEditable', 'style']) spy(HTMLElement.prototype, name);
  for (const name of ['value', 'checked', 'labels', 'type', 'list']) spy(HTMLInputElement.prototype, name);
  for (const name of ['contentDocument', 'contentWindow']) spy(HTMLIFrameElement.prototype, name);
  for (const name of ['getElementById', 'querySelectorAll', 'activeElement', 'elementFromPoint', 'getSelection', 'body', 'title']) spy(Document.prototype, name);
  for (const name of ['getElementsByTagName', 'createElement', 'createTreeWalker']) spy(Document.prototype, name);
  spy(DocumentFragment.prototype, 'querySelector'); spy(CSSStyleSheet.prototype, 'cssRules'); spy(EventTarget.prototype, 'addEventListener'); spy(EventTarget.prototype, 'dispatchEvent');
  for (const name of ['getComputedStyle', 'getSelection', 'scrollTo', 'postMessage']) spy(window, name);
  for (const name of ['map', 'push', 'filter', 'some', 'slice']) spy(Array.prototype, name);
  for (const name of ['replace', 'trim', 'split']) spy(String.prototype, name);
  spy(JSON, 'stringify'); spy(RegExp.prototype, 'test'); spy(WeakMap.prototype, 'get'); spy(Map.prototype, 'set'); spy(Set.prototype, 'has'); spy(MessagePort.prototype, 'postMessage');
  document.documentElement.dataset.ready = '1';
});
</script>"""

STATE = """JSON.stringify({
  focus: document.activeElement.id, scroll: [scrollX, scrollY, document.getElementById("box").scrollTop],
  selection: [a.selectionStart, a.selectionEnd, String(getSelection())], html: document.documentElement.outerHTML,
  form: [a.value, c.checked, c.indeterminate, s.selectedIndex, t.value], inner: i.contentDocument.documentElement.outerHTML,
  globals: Object.getOwnPropertyNames(window).length})"""


async def test_a_page_that_watches_itself_sees_nothing_of_being_observed(pool: Pool) -> None:
    async with pool.session(build_world({"/x": WATCHED}, "/x")) as (session, view):
        assert session._tabs is not None
        page = session._tabs.active

        async def ask(expression: str) -> str:
            params = {"expression": expression, "returnByValue": True, "awaitPromise": True}
            reply = await page._connection.send("Runtime.evaluate", params, page._session)
            return str(reply["result"]["value"])

        assert view.find("button", "In") is not None
        await ask(
            "new Promise(done => setTimeout(() => done(''), 100))"
        )  # observers report once at the start
        before = await ask(STATE)
        await ask(
            "new Promise(done => setTimeout(() => { for (const k in counts) delete counts[k]; done(''); }))"
        )
        for _ in range(5):
            reading = await page.read()
            assert reading is not None
            names = [e.name for e in reading.elements]
            assert {"In", "Closed", "Name"} <= set(names)
        counts = await ask("new Promise(done => setTimeout(() => done(Object.entries(counts).join()), 100))")
        assert counts == ""
        assert json.loads(await ask(STATE)) == json.loads(before)
        assert 'data-ready="1"' in json.loads(before)["html"]
        assert await ask("p.getAttribute('x'), String(counts.getAttribute)") == "1"  # the counters do count
        assert json.loads(before)["form"] == ["typed", True, True, 1, "more"]
        assert await ask("f.reset(), JSON.stringify([a.value, c.checked, s.selectedIndex, t.value])") == (
            '["start",false,0,"t"]'
        )
