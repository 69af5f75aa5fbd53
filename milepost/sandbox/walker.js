// Runs in an isolated world of every document: reads the page as a tree of accessible elements with ids that
// stay stable for an element's life, finds where to click, tells when the page has settled, and reports trusted
// user events through a binding. It shares the DOM with the page and nothing else: page scripts can neither see
// nor change it, and it writes nothing into the DOM.
(() => {
  if (globalThis.milepost) return;
  const ids = new WeakMap(), elements = new Map();
  let nextId = 1;
  const idOf = e => {
    let id = ids.get(e);
    if (!id) { id = nextId++; ids.set(e, id); elements.set(id, new WeakRef(e)); }
    return id;
  };
  const elementOf = id => { const ref = elements.get(Number(id)); return ref && ref.deref(); };

  // ---- roles and names (the common part of the W3C accname rules) ----
  const TAG_ROLE = {
    BUTTON: 'button', TEXTAREA: 'textbox', OPTION: 'option', DIALOG: 'dialog', TABLE: 'table', TR: 'row', TH: 'columnheader',
    TD: 'cell', NAV: 'navigation', MAIN: 'main', FORM: 'form', SECTION: 'region', FIELDSET: 'group', SUMMARY: 'button',
    OUTPUT: 'status', PROGRESS: 'progressbar', METER: 'meter', IFRAME: 'iframe', CANVAS: 'canvas', HR: 'separator',
    H1: 'heading', H2: 'heading', H3: 'heading', H4: 'heading', H5: 'heading', H6: 'heading', UL: 'list', OL: 'list', LI: 'listitem',
  };
  const INPUT_ROLE = {
    button: 'button', submit: 'button', reset: 'button', image: 'button', file: 'button', checkbox: 'checkbox', radio: 'radio',
    range: 'slider', number: 'spinbutton', search: 'searchbox',
  };
  // Named by their content, as far as it is text.
  const FROM_CONTENT = new Set(['button', 'link', 'heading', 'option', 'cell', 'columnheader', 'rowheader', 'row', 'tab', 'menuitem',
    'menuitemcheckbox', 'menuitemradio', 'checkbox', 'radio', 'switch', 'treeitem', 'gridcell', 'tooltip']);
  const INTERACTIVE = new Set(['button', 'link', 'textbox', 'searchbox', 'spinbutton', 'combobox', 'listbox', 'checkbox', 'radio', 'switch',
    'slider', 'tab', 'menuitem', 'menuitemcheckbox', 'menuitemradio', 'option', 'treeitem']);
  // Shown as a line of their own only when they have a name.
  const WHEN_NAMED = new Set(['navigation', 'main', 'form', 'region', 'group', 'list', 'table', 'img', 'radiogroup', 'tablist', 'menu']);
  const SILENT = new Set(['listitem', 'cell', 'gridcell', 'presentation', 'none', 'generic', 'paragraph', 'separator', 'columnheader', 'rowheader']);
  const SKIP = new Set(['SCRIPT', 'STYLE', 'NOSCRIPT', 'TEMPLATE', 'HEAD', 'META', 'LINK']);

  const squash = s => s.replace(/\s+/g, ' ').trim();
  const roleOf = e => {
    const given = e.getAttribute('role');
    if (given) return given.trim().split(/\s+/)[0];
    const tag = e.tagName;
    if (tag === 'INPUT') return e.type === 'hidden' ? null : e.hasAttribute('list') ? 'combobox' : INPUT_ROLE[e.type] || 'textbox';
    if (tag === 'A' || tag === 'AREA') return e.hasAttribute('href') ? 'link' : null;
    if (tag === 'SELECT') return e.multiple || e.size > 1 ? 'listbox' : 'combobox';
    if (tag === 'IMG') return e.getAttribute('alt') === '' ? null : 'img';
    if (e.isContentEditable && !(e.parentElement && e.parentElement.isContentEditable)) return 'textbox';
    return TAG_ROLE[tag] || null;
  };
  const shown = e => e.checkVisibility({visibilityProperty: true, opacityProperty: true});
  const textOf = node => {
    let out = '';
    for (let c = node.firstChild; c; c = c.nextSibling) {
      if (c.nodeType === 3) { out += c.data; continue; }
      if (c.nodeType !== 1 || SKIP.has(c.tagName) || c.getAttribute('aria-hidden') === 'true' || !shown(c)) continue;
      const label = c.getAttribute('aria-label') || (c.tagName === 'IMG' && c.alt);
      const inner = label || textOf(c.shadowRoot || c);
      out += getComputedStyle(c).display.startsWith('inline') ? inner : ' ' + inner + ' ';
    }
    return out;
  };
  const nameOf = (e, role) => {
    const by = e.getAttribute('aria-labelledby');
    if (by) {
      const text = squash(by.split(/\s+/).map(id => e.getRootNode().getElementById(id)).filter(Boolean).map(textOf).join(' '));
      if (text) return text;
    }
    const label = e.getAttribute('aria-label');
    if (label && label.trim()) return squash(label);
    if (e.labels && e.labels.length) {
      const text = squash([...e.labels].map(textOf).join(' '));
      if (text) return text;
    }
    if (e.tagName === 'INPUT' && role === 'button') {
      const text = e.type === 'image' ? e.alt : e.value || {submit: 'Submit', reset: 'Reset', file: 'Choose file'}[e.type];
      if (text) return squash(text);
    }
    if (e.tagName === 'IMG' || e.tagName === 'AREA') { const alt = e.getAttribute('alt'); if (alt) return squash(alt); }
    const own = e.tagName === 'TABLE' ? e.caption : e.tagName === 'FIELDSET' ? e.querySelector(':scope > legend') : null;
    if (own) return squash(textOf(own));
    if (FROM_CONTENT.has(role)) { const text = squash(textOf(e.shadowRoot || e)); if (text) return text; }
    if (role === 'status' || role === 'alert') return squash(textOf(e));
    return squash(e.getAttribute('title') || e.getAttribute('placeholder') || '');
  };
  const valueOf = (e, role) => {
    if (e.tagName === 'SELECT') return squash([...e.selectedOptions].map(o => o.label || o.text).join(', '));
    if (e.tagName === 'INPUT') {
      if (role === 'checkbox' || role === 'radio' || role === 'button' || role === 'switch') return '';
      return e.type === 'password' ? '\u2022'.repeat(e.value.length) : e.value;
    }
    if (e.tagName === 'TEXTAREA') return e.value;
    if (role === 'textbox') return squash(e.textContent || '');
    return squash(e.getAttribute('aria-valuetext') || e.getAttribute('aria-valuenow') || '');
  };
  const disabled = e => (e.matches(':disabled') || e.getAttribute('aria-disabled') === 'true');
  const checkedOf = e => e.tagName === 'INPUT' ? e.checked : e.getAttribute('aria-checked') === 'true';
  const statesOf = (e, role) => {
    const out = [];
    if ((role === 'checkbox' || role === 'radio' || role === 'switch' || role === 'menuitemcheckbox') && checkedOf(e)) out.push('checked');
    if (disabled(e)) out.push('disabled');
    const expanded = e.getAttribute('aria-expanded');
    if (expanded) out.push(expanded === 'true' ? 'expanded' : 'collapsed');
    if (e === document.activeElement && e !== document.body) out.push('focused');
    if (e.getAttribute('aria-invalid') === 'true') out.push('invalid');
    if (role === 'option' ? e.selected : e.getAttribute('aria-selected') === 'true') out.push('selected');
    if (e.getAttribute('aria-pressed') === 'true') out.push('pressed');
    const box = e.getBoundingClientRect();
    if (role !== 'option' && (box.bottom <= 0 || box.right <= 0 || box.top >= innerHeight || box.left >= innerWidth)) out.push('offscreen');
    return out;
  };

  // ---- the tree ----
  const rows = () => {
    const out = [];
    const walk = (node, depth, quiet) => {
      for (let c = node.firstChild; c; c = c.nextSibling) {
        if (c.nodeType === 3) {
          if (!quiet) { const text = squash(c.data); if (text) out.push(['', depth, 'text', text, '', []]); }
          continue;
        }
        if (c.nodeType !== 1 || SKIP.has(c.tagName) || c.getAttribute('aria-hidden') === 'true' || c.inert) continue;
        if (c.tagName !== 'OPTION' && !shown(c)) {
          // A hidden parent may have a visible child (visibility), a removed one (display: none) may not.
          if (getComputedStyle(c).display !== 'none') walk(c, depth, true);
          continue;
        }
        const role = roleOf(c), inside = c.shadowRoot || c;
        if (!role || SILENT.has(role)) {
          if (!role && (c.tabIndex >= 0 && c.hasAttribute('tabindex') || c.onclick)) { line(c, 'generic', nameOf(c, 'button'), depth); walk(inside, depth + 1, true); continue; }
          walk(inside, depth, quiet || (c.tagName === 'LABEL' && !!c.control) || c.tagName === 'CAPTION' || c.tagName === 'LEGEND');
          continue;
        }
        const name = nameOf(c, role);
        if (WHEN_NAMED.has(role) && !name) { walk(inside, depth, quiet); continue; }
        line(c, role, name, depth);
        if (c.tagName === 'TEXTAREA' || role === 'textbox') continue;
        walk(inside, depth + 1, FROM_CONTENT.has(role) || role === 'status' || role === 'alert');
      }
    };
    const line = (e, role, name, depth) => out.push([String(idOf(e)), depth, role, name.slice(0, 400), valueOf(e, role).slice(0, 400), statesOf(e, role)]);
    const modals = document.querySelectorAll('dialog:modal');
    const top = modals.length ? modals[modals.length - 1] : null;
    if (top) { line(top, roleOf(top), nameOf(top, 'dialog'), 0); walk(top, 1, false); } else if (document.body) walk(document.body, 0, false);
    return out;
  };

  // ---- settling: no mutation since the last task, and the document is parsed ----
  const channel = new MessageChannel();
  const task = () => new Promise(done => { channel.port1.onmessage = done; channel.port2.postMessage(0); });
  // After a fetch the page's own continuation still waits for its body, which comes through a data pipe. A body of
  // our own, asked for now and read through the same machinery, arrives after it: a fence, not a sleep. The page may
  // then answer with another task, so a first mutation is waited for briefly (a beacon causes none).
  const fence = () => new Response(new Blob(['x'])).text();
  const settle = async (ms, fetched) => {
    const start = performance.now();
    let dirty = true;
    const observer = new MutationObserver(() => { dirty = true; });
    observer.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
    let quiet = 0;
    if (fetched) {
      dirty = false;
      do { await fence(); } while (!dirty && performance.now() - start < Math.min(ms, 25));
    }
    while (quiet < 2 && performance.now() - start < ms) {
      dirty = false;
      await task();
      quiet = dirty || document.readyState === 'loading' ? 0 : quiet + 1;
    }
    observer.disconnect();
    return quiet >= 2;
  };

  const describe = e => { const role = roleOf(e) || 'generic'; return [role, nameOf(e, role).slice(0, 400)]; };
  const locate = e => {
    const box = e.getBoundingClientRect();
    if (box.top < 0 || box.left < 0 || box.bottom > innerHeight || box.right > innerWidth)
      e.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});
  };
  const hitAt = (x, y) => {
    let hit = document.elementFromPoint(x, y);
    while (hit && hit.shadowRoot) {
      const deeper = hit.shadowRoot.elementFromPoint(x, y);
      if (!deeper || deeper === hit) break;
      hit = deeper;
    }
    return hit;
  };
  // Values these take when they are set, and an example of each.
  const PICKED = new Map(Object.entries({date: '2026-03-14', time: '14:30', 'datetime-local': '2026-03-14T14:30', month: '2026-03', week: '2026-W11', color: '#3366ff', range: '50'}));
  const changed = (e, really) => { if (really) for (const type of ['input', 'change']) e.dispatchEvent(new Event(type, {bubbles: true})); };
  const ready = id => {
    const e = elementOf(id);
    if (!e) return {error: `no element has the id ${id}; take one from the tree`};
    if (!e.isConnected) return {error: `element ${id} is no longer on the page`};
    if (disabled(e)) return {error: `element ${id} is disabled`};
    if (e.tagName !== 'OPTION' && !shown(e)) return {error: `element ${id} is hidden`};
    return {e};
  };

  globalThis.milepost = {
    async step(ms, fetched) {
      const settled = await settle(ms, fetched);
      return {settled, url: location.href, title: document.title, rows: rows()};
    },
    element: elementOf,
    point(id, still) {
      const {e, error} = ready(id);
      if (error) return {error};
      if (!still) locate(e);
      // A link over two lines has a box whose middle is not the link: try each of its pieces.
      const pieces = [...e.getClientRects()].filter(box => box.width && box.height);
      if (!pieces.length) return {error: `element ${id} has no size`};
      let cover = null;
      for (const box of pieces) {
        const left = Math.max(0, box.left), top = Math.max(0, box.top);
        const x = (left + Math.min(innerWidth, box.right)) / 2, y = (top + Math.min(innerHeight, box.bottom)) / 2;
        const hit = hitAt(x, y), label = hit && hit.closest('label');
        if (hit && (e.contains(hit) || e === hit || (label && label.control === e))) return {x, y};
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
      e.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});
      return {};
    },
    checked(id) {
      const {e, error} = ready(id);
      if (error) return {error};
      const role = roleOf(e);
      if (!['checkbox', 'radio', 'switch', 'menuitemcheckbox', 'menuitemradio'].includes(role)) return {error: `element ${id} (${role || e.tagName.toLowerCase()}) cannot be ticked`};
      return {role, checked: checkedOf(e)};
    },
    file_field(id) {
      const {e, error} = ready(id);
      if (error) return {error};
      return e.tagName === 'INPUT' && e.type === 'file' ? {} : {error: `element ${id} (${roleOf(e) || e.tagName.toLowerCase()}) is not a file field`};
    },
    // Focus a field and select its content, so that typed text replaces it.
    take(id) {
      const {e, error} = ready(id);
      if (error) return {error};
      const editable = e.tagName === 'TEXTAREA' || e.isContentEditable || (e.tagName === 'INPUT' && !INPUT_ROLE[e.type]) || ['number', 'search'].includes(e.type);
      if (e.tagName === 'INPUT' && PICKED.has(e.type)) { e.focus(); return {picker: true}; }
      if (!editable) return {error: `element ${id} (${roleOf(e) || e.tagName.toLowerCase()}) is not a text field`};
      if (e.readOnly) return {error: `element ${id} is read-only`};
      const modal = [...document.querySelectorAll('dialog:modal')].pop();
      if (modal && !modal.contains(e)) return {error: `element ${id} is behind a dialog`};
      locate(e);
      e.focus();
      if (document.activeElement !== e && e.getRootNode().activeElement !== e) return {error: `element ${id} does not take the focus`};
      if (e.select) e.select(); else getSelection().selectAllChildren(e);
      return {filled: !!(e.value || e.textContent)};
    },
    // Scrolls what stands in the middle of the viewport, as a wheel there would.
    scroll(dx, dy) {
      let e = hitAt(innerWidth / 2, innerHeight / 2);
      const scrolls = x => /auto|scroll/.test(getComputedStyle(x).overflow + getComputedStyle(x).overflowY) && x.scrollHeight > x.clientHeight;
      while (e && e !== document.body && !scrolls(e)) e = e.parentElement;
      (e && e !== document.body ? e : document.scrollingElement || document.body).scrollBy({left: dx, top: dy, behavior: 'instant'});
      return {};
    },
    // `where` is 'end' when text will be typed behind what is there.
    focus(id, where) {
      const {e, error} = ready(id);
      if (error) return {error};
      locate(e);
      e.focus();
      if (document.activeElement !== e && e.getRootNode().activeElement !== e) return {error: `element ${id} does not take the focus`};
      if (where === 'end') {
        if (e.isContentEditable) { const s = getSelection(); s.selectAllChildren(e); s.collapseToEnd(); }
        else if (e.setSelectionRange && e.selectionStart !== null) e.setSelectionRange(e.value.length, e.value.length);
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
      if (e.tagName !== 'SELECT') return {error: `element ${id} (${roleOf(e) || e.tagName.toLowerCase()}) is not a select`};
      if (wanted.length !== 1 && !e.multiple) return {error: `element ${id} takes one option, got ${wanted.length}`};
      const options = [...e.options], textOfOption = o => squash(o.label || o.text), chosen = new Set();
      for (const option of wanted) {
        const found = options.find(o => textOfOption(o) === squash(option));
        if (!found) return {error: `"${option}" is not an option; options: ${options.map(textOfOption).join(', ')}`};
        if (found.disabled || found.closest('optgroup:disabled')) return {error: `option "${option}" is disabled`};
        chosen.add(found);
      }
      e.focus();
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
      return {role, name, text: squash(valueOf(e, role) || textOf(e.shadowRoot || e)).slice(0, 20000)};
    },
  };

  // ---- witness: trusted user events, reported over a binding that exists in this world only ----
  const note = (kind, e, more) => {
    const [role, name] = describe(e);
    milepostNote(JSON.stringify({kind, role, name, ...more}));
  };
  const target = event => { const e = event.composedPath()[0]; return e && e.nodeType === 1 ? e : null; };
  const actor = e => { for (let x = e; x; x = x.parentElement) { const role = roleOf(x); if (role && (INTERACTIVE.has(role) || role === 'row')) return x; } return e; };
  const listen = (type, handle) => addEventListener(type, event => {
    if (!event.isTrusted) return;
    const e = target(event);
    if (e) handle(e, event);
  }, {capture: true, passive: true});
  listen('click', e => note('clicked', actor(e)));
  listen('focusin', e => { if (e !== document.body) note('focused', e); });
  listen('input', e => {
    if (e.type === 'checkbox' || e.type === 'radio' || e.tagName === 'SELECT') return;
    const role = roleOf(e) || 'textbox';
    note('filled', e, {value: e.type === 'password' ? '' : valueOf(e, role)});
    if (e.willValidate && (e.required || e.pattern || e.minLength > 0 || e.min || e.max || ['email', 'url', 'number', 'date'].includes(e.type)))
      note('validated', e, {valid: e.validity.valid});
  });
  listen('change', e => {
    if (e.type === 'checkbox' || e.type === 'radio') note('toggled', e, {checked: e.checked});
    else if (e.tagName === 'SELECT') note('selected', e, {value: valueOf(e, 'combobox')});
  });
  listen('submit', e => note('submitted', e));
  listen('copy', e => note('copied', e, {text: String(getSelection())}));
})();
