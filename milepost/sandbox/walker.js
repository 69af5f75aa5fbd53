// Runs in an isolated world of every document: reads the page as a tree of accessible elements with ids that
// stay stable for an element's life, finds where to click, tells when the page has settled, and reports trusted
// user events through a binding. It shares the DOM with the page and nothing else: page scripts can neither see
// nor change it, and it writes nothing into the DOM. Loaded before: names.js, roles and names, and members.js,
// by which members of nodes are read, as a page can hide them.
(() => {
  if (Object.hasOwn(globalThis, 'milepost')) return;
  let ids = new WeakMap(), elements = new Map(), nextId = 1;
  const idOf = e => {
    let id = ids.get(e);
    if (!id) { id = nextId++; ids.set(e, id); elements.set(id, new WeakRef(e)); }
    return id;
  };
  const elementOf = id => { const ref = elements.get(Number(id)); return ref && ref.deref(); };

  const {activeElement, body, checkVisibility, clientHeight, closest, defaultView, dispatchEvent, documentElement, elementFromPoint, execCommand,
    firstChild, firstElementChild, focus, getAttribute, getBoundingClientRect, getClientRects, getElementsByTagName, getRootNode, getSelection, hasAttribute,
    hasAttributes, inert, isConnected, isContentEditable, nextSibling, nodeType, offsetParent, ownerDocument, parentElement, querySelector, querySelectorAll, readyState,
    scrollBy, scrollHeight, scrollIntoView, scrollingElement, tabIndex, tagName, textContent, title} = globalThis.milepostMembers;
  const {closed, rootOf, parentOf, within, documentIn, frameOf, slotted, roleOf, nameOf, textOf, valueOf, statesOf, switchedOff, disabled, isEditor, squash,
    INPUT_ROLE, FROM_CONTENT, SKIP, SEEN, cased, lookUp, inHand, keep, metRole} = globalThis.milepostNames;
  const words = text => text.split(' ');
  // Characters of what a page may show without end.
  const MOST = {names: 400, texts: 20000, titles: 1000, urls: 10000, copies: 200000};
  const INTERACTIVE = new Set(words('button link textbox searchbox spinbutton combobox listbox checkbox radio switch slider tab menuitem'
    + ' menuitemcheckbox menuitemradio option treeitem'));
  // Shown as a line of their own only when they have a name.
  const WHEN_NAMED = new Set(words('navigation main form region group list table img radiogroup tablist menu banner contentinfo complementary'
    + ' article search figure menubar toolbar tree treegrid grid note feed math log directory document application definition term'));
  // Their text is in their name or value.
  const LOUD = new Set(['status', 'alert', 'textbox', 'searchbox']);
  const SILENT = new Set(words('listitem cell gridcell none generic paragraph separator columnheader rowheader rowgroup caption code emphasis'
    + ' strong mark deletion insertion subscript superscript time blockquote comment suggestion'));

  // ---- the tree ----
  // A control that is only transparent is the one a user clicks through its painted stand-in.
  const transparent = e => (tagName(e) === 'INPUT' || tagName(e) === 'SELECT') && getComputedStyle(e).opacity === '0' && checkVisibility(e, {visibilityProperty: true});
  const shown = e => checkVisibility(e, SEEN) || transparent(e) || isDrawnArea(e) || getComputedStyle(e).display === 'contents';
  // The element with the focus, through shadow roots and frames; null when it is a body.
  const focusedIn = d => {
    let e = activeElement(d);
    for (;;) {
      const root = e && rootOf(e), inner = e && tagName(e) === 'IFRAME' && documentIn(e);
      const deeper = root ? activeElement(root) : inner && activeElement(inner) !== body(inner) ? activeElement(inner) : null;
      if (!deeper) return e && e !== body(ownerDocument(e)) ? e : null;
      e = deeper;
    }
  };
  // How an element is turned and scaled by itself and what it is in; null when it is not.
  const bent = e => {
    let m = null;
    for (let x = e; x; x = parentOf(x)) {
      const s = getComputedStyle(x);
      if (s.transform === 'none' && s.rotate === 'none' && s.scale === 'none') continue;
      const own = new DOMMatrix();
      if (s.rotate !== 'none') own.rotateSelf(parseFloat(s.rotate) || 0);
      if (s.scale !== 'none') own.scaleSelf(...s.scale.split(' ').map(Number));
      if (s.transform !== 'none') own.multiplySelf(new DOMMatrix(s.transform));
      own.e = own.f = 0;
      m = m ? own.multiply(m) : own;
    }
    return m;
  };
  // Where a viewport is in the tab's: the origin, the part of it that can be seen, and (bent) the map of its points, for
  // frames that are turned or scaled. `shift` is the plain case, which costs no arithmetic.
  const shift = (x, y, left, top, right, bottom) => ({
    x, y, left, top, right, bottom,
    to: (px, py) => ({x: px + x, y: py + y}),
    from: (px, py) => ({x: px - x, y: py - y}),
    box: b => ({left: b.left + x, top: b.top + y, right: b.right + x, bottom: b.bottom + y}),
  });
  const bend = (m, outer, width, height) => {
    const back = m.inverse(), to = (px, py) => { const p = m.transformPoint(new DOMPoint(px, py)); return {x: p.x, y: p.y}; };
    const box = b => {
      const corners = [to(b.left, b.top), to(b.right, b.top), to(b.right, b.bottom), to(b.left, b.bottom)], xs = corners.map(p => p.x), ys = corners.map(p => p.y);
      return {left: Math.min(...xs), top: Math.min(...ys), right: Math.max(...xs), bottom: Math.max(...ys)};
    };
    const all = box({left: 0, top: 0, right: width, bottom: height});
    return {
      m, to, box, from: (px, py) => { const p = back.transformPoint(new DOMPoint(px, py)); return {x: p.x, y: p.y}; },
      left: Math.max(outer.left, all.left), top: Math.max(outer.top, all.top), right: Math.min(outer.right, all.right), bottom: Math.min(outer.bottom, all.bottom),
    };
  };
  const viewInto = frame => {
    const outer = viewOf(ownerDocument(frame)), box = getBoundingClientRect(frame), style = getComputedStyle(frame), m = bent(frame);
    const dx = frame.clientLeft + parseFloat(style.paddingLeft), dy = frame.clientTop + parseFloat(style.paddingTop);
    const width = frame.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight), height = clientHeight(frame) - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
    if (!m && !outer.m) {
      const x = outer.x + box.left + dx, y = outer.y + box.top + dy;
      return shift(x, y, Math.max(outer.left, x), Math.max(outer.top, y), Math.min(outer.right, x + width), Math.min(outer.bottom, y + height));
    }
    // What is turned and scaled keeps the middle of its box: there is where the map is anchored.
    const place = new DOMMatrix().translateSelf((box.left + box.right) / 2, (box.top + box.bottom) / 2).multiplySelf(m || new DOMMatrix())
      .translateSelf(dx - frame.offsetWidth / 2, dy - frame.offsetHeight / 2);
    return bend((outer.m || new DOMMatrix().translateSelf(outer.x, outer.y)).multiply(place), outer, width, height);
  };
  // For a frame of another origin the tab says what can be seen of it; see `place`.
  let given = null;
  const viewOf = d => {
    const frame = d === document ? null : frameOf(documentElement(d));
    if (frame) return viewInto(frame);
    const [left, top, right, bottom] = given || [0, 0, innerWidth, innerHeight];
    return shift(0, 0, left, top, right, bottom);
  };
  const hostTags = new Set(words('ARTICLE ASIDE BLOCKQUOTE DIV FOOTER HEADER MAIN NAV P SECTION SPAN'));
  let out, active, view, suspects = [], foreign = [];
  const asked = new WeakSet();
  // An element that shows something though it holds nothing may have a closed shadow root; the harness asks DevTools, once.
  const suspect = e => {
    if (asked.has(e) || suspects.length >= 64 || !(tagName(e).includes('-') || (hostTags.has(tagName(e)) && e.offsetHeight > 0 && e.offsetWidth > 0))) return;
    suspects.push(e);
  };
  // The boxes of an element in its document's viewport. A part of an image map has none of its own: it is where its image is.
  const boxesOf = e => {
    if (tagName(e) !== 'AREA') return [...getClientRects(e)];
    const map = closest(e, 'map'), image = map && querySelector(getRootNode(map), `img[usemap="#${CSS.escape(map.name)}"]`);
    if (!image) return [];
    const box = getBoundingClientRect(image), n = e.coords.split(/[ ,;]+/).map(Number), round = e.shape === 'circle';
    const xs = round ? [n[0] - n[2], n[0] + n[2]] : n.filter((_, i) => i % 2 === 0), ys = round ? [n[1] - n[2], n[1] + n[2]] : n.filter((_, i) => i % 2);
    if (xs.length < 2 || n.some(Number.isNaN)) return [box];
    const left = Math.min(...xs), top = Math.min(...ys);
    return [new DOMRect(box.left + left, box.top + top, Math.max(...xs) - left, Math.max(...ys) - top)];
  };
  const isDrawnArea = e => tagName(e) === 'AREA' && boxesOf(e).length > 0;
  let awayRow = false;  // inside a table row that is offscreen: what is laid out in its cells is, too
  const offscreen = e => {
    const cell = awayRow && offsetParent(e);  // null for what is fixed, another element for what is placed elsewhere
    if (cell && (tagName(cell) === 'TD' || tagName(cell) === 'TH')) return true;
    const box = tagName(e) === 'AREA' ? boxesOf(e)[0] : getBoundingClientRect(e);
    if (view.m) { const b = view.box(box); return b.bottom <= view.top || b.right <= view.left || b.top >= view.bottom || b.left >= view.right; }
    return box.bottom + view.y <= view.top || box.right + view.x <= view.left || box.top + view.y >= view.bottom || box.left + view.x >= view.right;
  };
  const line = (e, depth, role, name, off) => {
    const states = statesOf(e, role, off, active), value = valueOf(e, role);
    if (role !== 'option' && tagName(e) !== 'OPTGROUP' && offscreen(e)) states.push('offscreen');
    out.push([String(idOf(e)), depth, role, name.length > MOST.names ? name.slice(0, MOST.names) : name, value.length > MOST.names ? value.slice(0, MOST.names) : value, states]);
    return states;
  };
  // What a hand shows to be clickable has a line of its own, unless it begins with a control: that is what is meant.
  const reacts = e => inHand(e) && !(firstElementChild(e) && INTERACTIVE.has(roleOf(firstElementChild(e))));
  // quiet: the text is already in a line above; mute: the parent's own text is invisible; off: an ancestor is disabled.
  const walk = (node, depth, quiet, mute, off) => {
    const list = slotted(node);
    for (let at = 0, c = list ? list[0] : firstChild(rootOf(node) || node); c; c = list ? list[++at] : nextSibling(c)) {
      if (nodeType(c) === 1) visit(c, depth, quiet, off);
      else if (!quiet && !mute && nodeType(c) === 3) { const text = squash(c.data); if (text) out.push(['', depth, 'text', cased(text.length > MOST.texts ? text.slice(0, MOST.texts) : text, parentElement(c) || node), '', []]); }
    }
  };
  const visit = (c, depth, quiet, off) => {
    const tag = tagName(c);
    if (SKIP.has(tag)) return;
    const plain = !hasAttributes(c);
    if (!plain && (getAttribute(c, 'aria-hidden') === 'true' || (hasAttribute(c, 'inert') && inert(c)))) return;
    const known = metRole(c);
    if (known === undefined && tag !== 'OPTION' && tag !== 'OPTGROUP' && !checkVisibility(c, SEEN) && !transparent(c) && !isDrawnArea(c)) {
      const {display, visibility} = getComputedStyle(c);
      if (!display) { if (parentElement(c)) suspect(parentElement(c)); return; }  // in no tree that is drawn: below a host, without a slot
      // A hidden parent may have a visible child (visibility), one that is removed (display) or skipped may not.
      if (visibility !== 'visible' && display !== 'none') { if (checkVisibility(c) || display === 'contents') walk(c, depth, quiet, true, off); return; }
      if (display !== 'contents') return;
    }
    if (!plain && !off && getAttribute(c, 'aria-disabled') === 'true') off = true;
    const role = known === undefined ? roleOf(c) : known, root = rootOf(c);
    if (root) lookUp(root, false);
    if (!quiet && (!firstChild(c) || tag.includes('-')) && !root) suspect(c);
    const minor = !role || SILENT.has(role);
    const name = minor ? '' : nameOf(c, role);
    if (minor || (!name && WHEN_NAMED.has(role))) {
      if ((!plain && ((hasAttribute(c, 'tabindex') && tabIndex(c) >= 0) || hasAttribute(c, 'onclick'))) || reacts(c)) {
        // A container keeps its parts apart; anything else that can be clicked is named by what it holds.
        if (role && WHEN_NAMED.has(role)) { line(c, depth, role, name, off); walk(c, depth + 1, quiet, false, off); return; }
        const own = nameOf(c, 'button');
        line(c, depth, role && role !== 'none' ? role : 'generic', own, off);
        walk(c, depth + 1, quiet || own.length <= MOST.names, false, off);
        return;
      }
      if (tag === 'LABEL' && c.control) {
        if (!shown(c.control)) { const states = line(c, depth, 'generic', nameOf(c, 'button'), off || c.control.disabled); if (c.control.checked) states.push('checked'); }
        quiet = true;
      }
      walk(c, depth, quiet || tag === 'CAPTION' || tag === 'LEGEND', false, off);
      return;
    }
    const states = line(c, depth, role, name, off);
    if (tag === 'TEXTAREA' || tag === 'INPUT') return;
    if (tag === 'IFRAME') return frame(c, depth + 1);
    const outer = awayRow;
    if (tag === 'TR') awayRow = states.at(-1) === 'offscreen';
    walk(c, depth + 1, quiet || FROM_CONTENT.has(role) || LOUD.has(role), false, off);
    awayRow = outer;
  };
  // A frame of our own origin is part of the tree; the harness asks the walker of any other, and is told where it is.
  const frame = (e, depth) => {
    const d = documentIn(e);
    if (!d) {
      const at = viewInto(e), corners = [at.from(at.left, at.top), at.from(at.right, at.bottom)], [a, b] = corners;
      foreign.push([out.length - 1, String(idOf(e)), [Math.min(a.x, b.x), Math.min(a.y, b.y), Math.max(a.x, b.x), Math.max(a.y, b.y)], e === active]);
    }
    if (!d || !body(d)) return;
    watch(defaultView(d));
    lookUp(d, false);
    const outer = view;
    view = viewOf(d);
    walk(body(d), depth, false, false, false);
    view = outer;
  };
  const rows = () => {
    out = []; suspects = []; foreign = []; awayRow = false; active = focusedIn(document); view = viewOf(document);
    lookUp(document, true);
    keep(true);
    try {
      const modals = querySelectorAll(document, 'dialog:modal');
      const top = modals.length ? modals[modals.length - 1] : null;
      if (top) { line(top, 0, roleOf(top), nameOf(top, 'dialog'), false); walk(top, 1, false, false, false); } else if (body(document)) walk(body(document), 0, false, false, false);
    } finally { keep(false); }
    return out;
  };

  // ---- settling: no mutation since the last task, and the document is parsed ----
  const channel = new MessageChannel();
  const task = () => new Promise(done => { channel.port1.onmessage = done; channel.port2.postMessage(0); });
  // After a fetch the page's own continuation still waits for its body, which comes through a data pipe. A body of
  // our own, asked for now and read through the same machinery, arrives after it: a fence, not a sleep. The page may
  // then answer with another task, so a first mutation is waited for briefly (a beacon causes none).
  const fence = () => new Response(new Blob(['x'])).text();
  // A document and those in its frames that are ours to read.
  const documents = (d, all = []) => {
    all.push(d);
    for (const e of getElementsByTagName(d, 'iframe')) { const inner = documentIn(e); if (inner) documents(inner, all); }
    return all;
  };
  // Changes are counted from an action's beginning on, and from one look at the page to the next: what it does with an
  // answer before anybody looks again is not missed.
  let changes = 0, changedAt = 0, answeredAt = 0, fencedAt = 0, armed = false, seen = false;
  const observer = new MutationObserver(() => { changes += 1; changedAt = performance.now(); });
  const answers = new PerformanceObserver(list => hear(list.getEntries()));
  const hear = entries => { for (const e of entries) if (e.initiatorType === 'fetch' || e.initiatorType === 'xmlhttprequest') answeredAt = Math.max(answeredAt, e.responseEnd); };
  const arm = again => {
    if (seen && !again) disarm();
    seen = false;
    if (!armed) { changedAt = answeredAt = fencedAt = 0; answers.observe({type: 'resource'}); armed = true; }
    for (const d of documents(document)) observer.observe(d, {subtree: true, childList: true, attributes: true, characterData: true});
  };
  const disarm = () => { observer.disconnect(); answers.disconnect(); armed = false; };
  const settle = async (ms, fetched, again) => {
    const start = performance.now();
    arm(again);
    let quiet = 0;
    if (fetched) {
      hear(answers.takeRecords());
      const since = answeredAt > fencedAt ? answeredAt : start;
      do { await fence(); } while (changedAt <= since && performance.now() - start < Math.min(ms, 25));
      fencedAt = answeredAt;
    }
    while (quiet < 2 && performance.now() - start < ms) {
      const before = changes;
      await task();
      quiet = changes !== before || documents(document).some(d => readyState(d) === 'loading') ? 0 : quiet + 1;
    }
    return quiet >= 2;
  };

  // A form that nobody kept from it is sent in a task of its own: until that has run, nothing else tells of it.
  let submission = null;
  const leaves = sent => {
    if (!sent || sent.defaultPrevented) return false;
    const form = sent.target, by = sent.submitter, of = name => (by && getAttribute(by, 'form' + name)) || getAttribute(form, name) || '';
    return isConnected(form) && of('method').toLowerCase() !== 'dialog' && ['', '_self'].includes(of('target').toLowerCase());
  };

  const describe = e => { const role = roleOf(e) || 'generic'; return [role, nameOf(e, role).slice(0, MOST.names)]; };
  const locate = e => {
    const at = viewOf(ownerDocument(e)), box = at.box(getBoundingClientRect(e));
    if (box.top < at.top || box.left < at.left || box.bottom > at.bottom || box.right > at.right)
      scrollIntoView(e, {block: 'center', inline: 'center', behavior: 'instant'});
  };
  // What a click at a point of the tab would hit, inside shadow roots and frames.
  const hitAt = (x, y) => {
    let hit = elementFromPoint(document, x, y);
    for (;;) {
      const d = hit && tagName(hit) === 'IFRAME' && documentIn(hit), root = d || (hit && rootOf(hit));
      if (!root) return hit;
      const p = viewOf(d || ownerDocument(hit)).from(x, y), deeper = elementFromPoint(root, p.x, p.y);
      if (!deeper || deeper === hit) return hit;
      hit = deeper;
    }
  };
  // Values these take when they are set, and an example of each.
  const PICKED = new Map(Object.entries({date: '2026-03-14', time: '14:30', 'datetime-local': '2026-03-14T14:30', month: '2026-03', week: '2026-W11', color: '#3366ff', range: '50'}));
  const typed = e => tagName(e) === 'INPUT' || tagName(e) === 'TEXTAREA';
  const changed = (e, really) => { if (really) for (const type of ['input', 'change']) dispatchEvent(e, new Event(type, {bubbles: true})); };
  const ready = id => {
    const e = elementOf(id);
    if (!e) return {error: `no element has the id ${id}; take one from the tree`};
    if (!isConnected(e) || !defaultView(ownerDocument(e))) return {error: `element ${id} is no longer on the page`};
    if (disabled(e)) return {error: `element ${id} is disabled`};
    if (tagName(e) !== 'OPTION' && !shown(e)) return {error: `element ${id} is hidden`};
    arm();
    return {e};
  };

  globalThis.milepost = {
    // For the harness: the elements that may have a closed shadow root, and what DevTools found in them.
    hosts() { for (const e of suspects) asked.add(e); return suspects; },
    adopt(host, root) { closed.set(host, root); },
    // `again` says that this is not an action's first look.
    async step(ms, fetched, again, inside) { return this.look(await settle(ms, fetched, again), inside); },
    // Reads the document as it is. `inside` is for a frame of another origin: what can be seen of it, and whether it has
    // the focus. The rows come as text: DevTools would copy the array piece by piece.
    look(settled, inside) {
      seen = true;
      given = inside ? inside[0] : null;
      const all = rows();
      given = null;
      if (inside && !inside[1]) for (const row of all) row[5] = row[5].filter(state => state !== 'focused');
      const leaving = leaves(submission);
      submission = null;
      return {settled, leaving, url: location.href.slice(0, MOST.urls), title: title(document).slice(0, MOST.titles), rows: JSON.stringify(all), hosts: suspects.length, foreign};
    },
    // Where a point of a foreign frame's viewport is in ours, brought into view.
    place(id, px, py) {
      const {e, error} = ready(id);
      if (error) return {error};
      let at = viewInto(e), p = at.to(px, py);
      if (p.x < at.left || p.y < at.top || p.x >= at.right || p.y >= at.bottom) {
        scrollIntoView(e, {block: 'center', inline: 'center', behavior: 'instant'});
        p = viewInto(e).to(px, py);
        if (p.x < 0 || p.y < 0 || p.x >= innerWidth || p.y >= innerHeight) globalThis.scrollBy({left: p.x - innerWidth / 2, top: p.y - innerHeight / 2, behavior: 'instant'});
        at = viewInto(e); p = at.to(px, py);
      }
      if (p.x < at.left || p.y < at.top || p.x >= at.right || p.y >= at.bottom) return {error: `the frame ${id} shows that part of itself nowhere`};
      const hit = hitAt(p.x, p.y);
      if (hit === e) return p;
      const [role, name] = hit ? describe(hit) : ['nothing', ''];
      return {error: `the frame ${id} is covered by ${role} "${name}"`};
    },
    element: elementOf,
    // Gives every element a new id when it is next read: an episode begins.
    forget() { ids = new WeakMap(); elements = new Map(); nextId = 1; return {}; },
    // What an action can name and the viewport shows, where it is: [id, x, y, width, height].
    boxes() {
      const out = [];
      for (const [id, ref] of elements) {
        const e = ref.deref();
        if (!e || !isConnected(e) || !defaultView(ownerDocument(e)) || tagName(e) === 'OPTION' || !shown(e) || !INTERACTIVE.has(roleOf(e))) continue;
        const at = viewOf(ownerDocument(e)), box = at.box(getBoundingClientRect(e));
        const left = Math.max(at.left, box.left), top = Math.max(at.top, box.top);
        const right = Math.min(at.right, box.right), bottom = Math.min(at.bottom, box.bottom);
        if (right > left && bottom > top) out.push([String(id), left, top, right - left, bottom - top]);
      }
      return {boxes: out.sort((a, b) => a[0] - b[0])};
    },
    point(id, still) {
      const {e, error} = ready(id);
      if (error) return {error};
      if (!still) locate(e);
      // A link over two lines has a box whose middle is not the link: try each of its pieces.
      const pieces = boxesOf(e).filter(box => box.width && box.height), at = viewOf(ownerDocument(e));
      if (!pieces.length) return {error: `element ${id} has no size`};
      let cover = null;
      for (const box of pieces) {
        const b = at.box(box), left = Math.max(at.left, b.left), top = Math.max(at.top, b.top);
        const x = (left + Math.min(at.right, b.right)) / 2, y = (top + Math.min(at.bottom, b.bottom)) / 2;
        const hit = hitAt(x, y), label = hit && closest(hit, 'label');
        if (hit && (within(e, hit) || (label && label.control === e))) return {x, y, download: !!closest(hit, 'a[href][download]')};
        cover = cover || hit;
      }
      const [role, name] = cover ? describe(cover) : ['nothing', ''];
      return {error: `element ${id} is covered by ${role} "${name}"`};
    },
    // Where an element is, without moving it into view.
    spot(id) { return this.point(id, true); },
    scroll_to(id) {
      const {e, error} = ready(id);
      if (error) return {error};
      scrollIntoView(e, {block: 'center', inline: 'center', behavior: 'instant'});
      return {};
    },
    checked(id) {
      const {e, error} = ready(id);
      if (error) return {error};
      const role = roleOf(e);
      if (!['checkbox', 'radio', 'switch', 'menuitemcheckbox', 'menuitemradio'].includes(role)) return {error: `element ${id} (${role || tagName(e).toLowerCase()}) cannot be ticked`};
      return {role, checked: tagName(e) === 'INPUT' ? e.checked : getAttribute(e, 'aria-checked') === 'true'};
    },
    file_field(id) {
      const {e, error} = ready(id);
      if (error) return {error};
      return tagName(e) === 'INPUT' && e.type === 'file' ? {} : {error: `element ${id} (${roleOf(e) || tagName(e).toLowerCase()}) is not a file field`};
    },
    // An action that is one function, and what the page shows after it: nobody has to ask for that again.
    async act(name, given, ms) {
      const answer = this[name](...given);
      if (answer.error || answer.left) return answer;
      // Said now, for the page may be gone before it has come to rest.
      milepostNote(JSON.stringify({kind: 'done', role: '', name: '', answer}));
      return {...answer, look: await this.step(ms, false)};
    },
    // Replaces a field's content as typing would. What is `left` to be done needs keys, the browser's own text input, or `pick`.
    fill(id, text) {
      const {e, error} = ready(id);
      if (error) return {error};
      const editable = tagName(e) === 'TEXTAREA' || isContentEditable(e) || (tagName(e) === 'INPUT' && !INPUT_ROLE[e.type]) || ['number', 'search'].includes(e.type);
      if (tagName(e) === 'INPUT' && PICKED.has(e.type)) { focus(e); return {left: 'pick'}; }
      if (!editable) return {error: `element ${id} (${roleOf(e) || tagName(e).toLowerCase()}) is not a text field`};
      if (typed(e) && e.readOnly) return {error: `element ${id} is read-only`};
      const modal = [...querySelectorAll(document, 'dialog:modal')].pop();
      if (modal && !within(modal, e)) return {error: `element ${id} is behind a dialog`};
      locate(e);
      focus(e);
      if (activeElement(getRootNode(e)) !== e) return {error: `element ${id} does not take the focus`};
      if (typed(e)) e.select(); else getSelection(ownerDocument(e)).selectAllChildren(e);
      if (!text) return e.value || textContent(e) ? {left: 'keys'} : {};
      // The same trusted events as from outside; what it makes of lines, and of editors, differs.
      if (isContentEditable(e) || /[\r\n]/.test(text)) return {left: 'text'};
      return execCommand(ownerDocument(e), 'insertText', false, text) ? {} : {left: 'text'};
    },
    // Scrolls what stands in the middle of the viewport, as a wheel there would.
    scroll(dx, dy) {
      let e = hitAt(innerWidth / 2, innerHeight / 2);
      const scrolls = x => /auto|scroll/.test(getComputedStyle(x).overflow + getComputedStyle(x).overflowY) && scrollHeight(x) > clientHeight(x);
      while (e && e !== body(document) && !scrolls(e)) e = parentElement(e);
      scrollBy(e && e !== body(document) ? e : scrollingElement(document) || body(document), {left: dx, top: dy, behavior: 'instant'});
      return {};
    },
    // `where` is 'end' when text will be typed behind what is there.
    focus(id, where) {
      const {e, error} = ready(id);
      if (error) return {error};
      locate(e);
      focus(e);
      if (activeElement(getRootNode(e)) !== e) return {error: `element ${id} does not take the focus`};
      if (where === 'end') {
        if (isContentEditable(e)) { const s = getSelection(ownerDocument(e)); s.selectAllChildren(e); s.collapseToEnd(); }
        else if (typed(e) && e.selectionStart !== null) e.setSelectionRange(e.value.length, e.value.length);
      }
      return {};
    },
    // Dates, times, colours and ranges: their pickers take no typed text.
    pick(id, value) {
      const {e, error} = ready(id);
      if (error) return {error};
      const before = e.value;
      e.value = value;
      if (e.value !== value) {
        const got = e.value;
        e.value = before;
        return {error: `element ${id} (${e.type}) does not take "${value}"` + (got && got !== before ? `; the nearest it takes is "${got}"` : `; expected such as ${PICKED.get(e.type)}`)};
      }
      changed(e, before !== value);
      const [role, name] = describe(e);
      return {role, name, value};
    },
    choose(id, wanted) {
      const {e, error} = ready(id);
      if (error) return {error};
      if (tagName(e) !== 'SELECT') return {error: `element ${id} (${roleOf(e) || tagName(e).toLowerCase()}) is not a select`};
      if (wanted.length !== 1 && !e.multiple) return {error: `element ${id} takes one option, got ${wanted.length}`};
      const options = [...e.options], textOfOption = o => squash(o.label || o.text), chosen = new Set();
      for (const option of wanted) {
        const found = options.find(o => textOfOption(o) === squash(option));
        if (!found) return {error: `"${option}" is not an option; options: ${options.map(textOfOption).join(', ')}`};
        if (found.disabled || closest(found, 'optgroup:disabled')) return {error: `option "${option}" is disabled`};
        chosen.add(found);
      }
      focus(e);
      const moves = options.filter(o => o.selected !== chosen.has(o));
      if (e.multiple) for (const o of moves) o.selected = chosen.has(o);
      else for (const o of chosen) o.selected = true;
      changed(e, moves.length > 0);
      const [role, name] = describe(e);
      return {role, name, value: valueOf(e, role)};
    },
    read(id) {
      const {e, error} = ready(id);
      if (error) return {error};
      const [role, name] = describe(e);
      return {role, name, text: squash(valueOf(e, role) || textOf(e)).slice(0, MOST.texts)};
    },
  };

  // ---- witness: trusted user events, reported over a binding that exists in this world only ----
  const note = (kind, e, more) => {
    const [role, name] = describe(e);
    milepostNote(JSON.stringify({kind, role, name, ...more}));
  };
  const target = event => {
    const e = event.composedPath()[0];
    if (!e || nodeType(e) !== 1) return null;
    if (!closed.has(e)) return e;
    const at = viewOf(ownerDocument(e));  // the path ends at a closed root's host; what stands there is inside
    if (event.type !== 'click') return activeElement(closed.get(e)) || e;
    const p = at.to(event.clientX, event.clientY);
    return hitAt(p.x, p.y) || e;
  };
  const actor = e => { for (let x = e; x; x = parentOf(x)) { const role = roleOf(x); if (role && (INTERACTIVE.has(role) || role === 'row')) return x; } return e; };
  // A document that asks for something while it loads may have made use of the answer before anybody looks.
  addEventListener('DOMContentLoaded', event => { if (event.isTrusted) arm(); }, {capture: true, once: true});
  const listeners = [], watched = new WeakSet();
  const listen = (type, handle) => listeners.push([type, event => {
    if (!event.isTrusted) return;
    const e = target(event);
    if (e) handle(e, event);
  }]);
  // A frame's own walker has no say (facts come from the tab's document), so the tab's listens there too, from the time
  // that it was first seen: nothing in it can be acted on before.
  const watch = w => {
    if (watched.has(w.document)) return;
    watched.add(w.document);
    w.addEventListener('paste', paste, true);
    for (const [type, handle] of listeners) w.addEventListener(type, handle, {capture: true, passive: true});
  };
  listen('click', e => note('clicked', actor(e)));
  listen('focusin', e => { if (e !== body(ownerDocument(e))) note('focused', e); });
  listen('input', e => {
    if (e.type === 'checkbox' || e.type === 'radio' || tagName(e) === 'SELECT') return;
    const role = roleOf(e) || 'textbox';
    note('filled', e, {value: e.type === 'password' ? '' : valueOf(e, role)});
    if (typed(e) && e.willValidate && (e.required || e.pattern || e.minLength > 0 || e.min || e.max || ['email', 'url', 'number', 'date'].includes(e.type)))
      note('validated', e, {valid: e.validity.valid});
  });
  listen('change', e => {
    if (e.type === 'checkbox' || e.type === 'radio') note('toggled', e, {checked: e.checked});
    else if (tagName(e) === 'SELECT') note('selected', e, {value: valueOf(e, 'combobox')});
  });
  listen('submit', (e, event) => { note('submitted', e); submission = event; });
  for (const type of ['copy', 'cut']) listen(type, e => note('copied', e, {text: String(getSelection(ownerDocument(e))).slice(0, MOST.copies)}));
  // The browser's clipboard is that of all episodes, so no native paste goes through. The episode's own text takes its
  // place, as an event that the page may handle, and else as typed text.
  let held = null;
  globalThis.milepost.hold = text => { held = text; return {}; };
  const paste = event => {
    if (!event.isTrusted) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const text = held, e = event.composedPath()[0];
    held = null;
    if (text === null || !e) return;
    const data = new DataTransfer();
    data.setData('text/plain', text);
    if (dispatchEvent(e, new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true, composed: true})))
      execCommand(ownerDocument(e) || e, 'insertText', false, text);
  };
  // A frame of our own origin is the tab's: its walker stands there, and has the clipboard.
  if (!frameElement) watch(globalThis);
})();
