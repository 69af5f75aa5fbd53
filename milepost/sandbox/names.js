// Roles, names, values and states of elements, by HTML-AAM and the accname rules (W3C), with Chromium's reading of
// them where they leave room. Reads only, and runs in the isolated world before walker.js, which uses it. Members
// that a page can hide are functions here, see members.js.
if (!Object.hasOwn(globalThis, 'milepostNames')) globalThis.milepostNames = (() => {
  const {adoptedStyleSheets, ariaLabelledByElements, ariaOwnsElements, assignedSlot, checkVisibility, clientHeight, closest, defaultView, firstChild,
    firstElementChild, getAttribute, getElementById, getRootNode, hasAttribute, hasAttributes, host, isContentEditable, localName, matches,
    namespaceURI, nextElementSibling, nextSibling, noValidate, nodeType, ownerDocument, parentElement, previousSibling, querySelector,
    querySelectorAll, shadowRoot, styleSheets, tagName, textContent} = globalThis.milepostMembers;
  // ---- the flat tree: what is drawn, shadow roots and slots included ----
  // A closed root is invisible to every script; those that the harness handed to us over DevTools are kept here.
  const closed = new WeakMap();
  const rootOf = e => shadowRoot(e) || closed.get(e) || null;
  const parentOf = e => assignedSlot(e) || parentElement(e) || host(getRootNode(e)) || null;
  const within = (e, inner) => { for (let x = inner; x; x = parentOf(x) || frameOf(x)) if (x === e) return true; return false; };
  // The document in a frame of our own origin; null for one that is not ours to read.
  const documentIn = frame => { try { return frame.contentDocument; } catch { return null; } };
  const frameOf = e => { try { return defaultView(ownerDocument(e)).frameElement; } catch { return null; } };
  // The nodes drawn inside an element, as [array or null, first node of a list of siblings].
  const slotted = e => { if (localName(e) !== 'slot') return null; const nodes = e.assignedNodes(); return nodes.length ? nodes : null; };

  // ---- roles ----
  const words = text => text.split(' ');
  const ROLES = new Set(words('alert alertdialog application article banner blockquote button caption cell checkbox code columnheader combobox'
    + ' comment complementary contentinfo definition deletion dialog directory document emphasis feed figure form generic grid gridcell group'
    + ' heading image img insertion link list listbox listitem log main mark marquee math menu menubar menuitem menuitemcheckbox menuitemradio'
    + ' meter navigation none note option paragraph presentation progressbar radio radiogroup region row rowgroup rowheader scrollbar search'
    + ' searchbox separator slider spinbutton status strong subscript suggestion superscript switch tab table tablist tabpanel term textbox'
    + ' time timer toolbar tooltip tree treegrid treeitem'));
  const TAG_ROLE = {
    BUTTON: 'button', TEXTAREA: 'textbox', OPTION: 'option', OPTGROUP: 'group', DATALIST: 'listbox', DIALOG: 'dialog', TABLE: 'table', TD: 'cell',
    NAV: 'navigation', MAIN: 'main', FORM: 'form', SECTION: 'region', ASIDE: 'complementary', ARTICLE: 'article', SEARCH: 'search', ADDRESS: 'group',
    FIELDSET: 'group', DETAILS: 'group', HGROUP: 'group', FIGURE: 'figure', OUTPUT: 'status', PROGRESS: 'progressbar', METER: 'meter', IFRAME: 'iframe',
    CANVAS: 'canvas', HR: 'separator', H1: 'heading', H2: 'heading', H3: 'heading', H4: 'heading', H5: 'heading', H6: 'heading', UL: 'list', OL: 'list',
    MENU: 'list', LI: 'listitem', P: 'paragraph',
  };
  const INPUT_ROLE = {
    button: 'button', submit: 'button', reset: 'button', image: 'button', file: 'button', checkbox: 'checkbox', radio: 'radio',
    range: 'slider', number: 'spinbutton', search: 'searchbox',
  };
  const WITH_LIST = new Set(['text', 'search', 'tel', 'url', 'email', 'number']);
  const SECTIONS = 'article,aside,main,nav,section,[role=article],[role=complementary],[role=main],[role=navigation],[role=region]';
  const GLOBAL_ARIA = words('aria-atomic aria-busy aria-controls aria-current aria-describedby aria-description aria-details aria-dropeffect'
    + ' aria-flowto aria-grabbed aria-keyshortcuts aria-label aria-labelledby aria-live aria-owns aria-relevant aria-roledescription');
  const FOCUSABLE = new Set(['BUTTON', 'INPUT', 'SELECT', 'TEXTAREA', 'SUMMARY', 'IFRAME']);
  // What would be lost to the user keeps its own role: it can be focused, or says something about itself.
  const keepsRole = e => hasAttribute(e, 'tabindex') || (FOCUSABLE.has(tagName(e)) && !e.disabled) || ((tagName(e) === 'A' || tagName(e) === 'AREA') && hasAttribute(e, 'href'))
    || GLOBAL_ARIA.some(name => hasAttribute(e, name));
  const isEditor = e => { const on = getAttribute(e, 'contenteditable'); return on !== null && on.toLowerCase() !== 'false' && isContentEditable(e); };
  const native = e => {
    const tag = tagName(e);
    switch (tag) {
      case 'INPUT': return e.type === 'hidden' ? null : e.list && WITH_LIST.has(e.type) ? 'combobox' : INPUT_ROLE[e.type] || 'textbox';
      case 'A': case 'AREA': return hasAttribute(e, 'href') ? 'link' : isEditor(e) ? 'textbox' : null;
      case 'SELECT': return e.size > 1 || (e.multiple && e.size !== 1) ? 'listbox' : 'combobox';
      case 'IMG': return getAttribute(e, 'alt') === '' && !keepsRole(e) ? null : 'img';
      case 'SUMMARY': return parentElement(e) && localName(parentElement(e)) === 'details' ? 'button' : null;
      case 'TH': return /^row(group)?$/i.test(e.scope) ? 'rowheader' : 'columnheader';
      case 'TR': {
        const table = closest(e, 'table'), role = table && getAttribute(table, 'role');
        return role && /^(none|presentation)$/i.test(role) ? null : 'row';
      }
      case 'HEADER': return closest(e, SECTIONS) ? null : 'banner';
      case 'FOOTER': return closest(e, SECTIONS) ? null : 'contentinfo';
      case 'svg': return 'img';
      case 'a': return hasAttribute(e, 'href') || hasAttribute(e, 'xlink:href') ? 'link' : null;
    }
    const role = TAG_ROLE[tag];
    return role === undefined ? (isEditor(e) ? 'textbox' : null) : role;
  };
  const roleOf = e => {
    const given = getAttribute(e, 'role');
    if (given) for (const word of given.trim().toLowerCase().split(/\s+/)) {
      if (word === 'none' || word === 'presentation') { if (keepsRole(e)) break; return 'none'; }
      if (word === 'image') return 'img';
      if (ROLES.has(word) || /^(doc|graphics)-[a-z-]{1,30}$/.test(word)) return word;
    }
    return native(e);
  };

  // ---- names ----
  const SKIP = new Set(['SCRIPT', 'STYLE', 'NOSCRIPT', 'TEMPLATE', 'HEAD', 'META', 'LINK', 'TITLE']);
  const UNSPOKEN = new Set([...SKIP, 'RT', 'RP']);
  // Named by their content when they have no other name.
  const FROM_CONTENT = new Set(words('button link heading option cell columnheader rowheader row tab menuitem menuitemcheckbox menuitemradio'
    + ' checkbox radio switch treeitem gridcell tooltip'));
  const LABELABLE = new Set(['INPUT', 'SELECT', 'TEXTAREA', 'BUTTON', 'METER', 'OUTPUT', 'PROGRESS']);
  // A control inside a label stands there for its value.
  const WITH_VALUE = new Set(words('textbox searchbox combobox listbox slider spinbutton progressbar meter scrollbar'));
  const CONTROL = new Set(words('button checkbox radio switch textbox searchbox combobox listbox slider spinbutton'));
  // How an element was reached: inside another's content, through a reference, inside a hidden root that was referred
  // to, below an ancestor whose own text is invisible, in an item of a tree, whose branches have names of their own, and
  // for all that it says.
  const INNER = 1, REFERRED = 2, HIDDEN = 4, MUTED = 8, TREE = 16, READING = 32;
  const VISIBLE = {visibilityProperty: true}, SEEN = {visibilityProperty: true, opacityProperty: true};
  // While a document is read nothing changes in it, and one element is part of several names: the roles of those that
  // were met and seen are kept for so long.
  let met = null, labelled = null;
  const keep = on => { met = on ? new Map() : null; labelled = on ? new Map() : null; };
  const metRole = e => (met ? met.get(e) : undefined);
  const squash = s => /^\s|\s$|\s\s|[^\S ]/.test(s) ? s.replace(/\s+/g, ' ').trim() : s;
  let attributed = false;  // whether the last text came from an attribute: such a piece stands apart from its neighbours

  // Reading a style costs more than all the rest, so it is looked up first whether any style sheet writes text of its own
  // or changes the case of text, and for which elements one asks for a hand as the mouse pointer. A sheet is read once, and
  // again when it has got more rules.
  const sheets = new WeakMap();
  const WRITES = 1, CHANGES = 2, EITHER = 3, MOST_HANDS = 1000, UNREAD = {found: EITHER, hands: []};
  let styled = EITHER, handed = new Set();
  const effects = sheet => {
    let rules;
    try { rules = sheet.cssRules; } catch { return UNREAD; }  // of another origin
    const known = sheets.get(sheet);
    if (known && known.length === rules.length) return known;
    const all = {length: rules.length, found: 0, hands: []};
    for (let i = 0; i < rules.length; i++) {
      const imported = rules[i].styleSheet && effects(rules[i].styleSheet);
      if (imported) { all.found |= imported.found; all.hands.push(...imported.hands); continue; }
      const text = rules[i].cssText;
      if (/:(before|after)/.test(text)) all.found |= WRITES;
      if (text.includes('text-transform')) all.found |= CHANGES;
      if (text.includes('cursor: pointer')) all.hands.push(...selectors(rules[i]));
    }
    sheets.set(sheet, all);
    return all;
  };
  // Of a rule and those in it. What only the mouse brings about is left out: it must not depend on where that is.
  const selectors = rule => {
    const inner = [...(rule.cssRules || [])].flatMap(selectors), own = rule.selectorText;
    if (!own || rule.style.cursor !== 'pointer' || /:hover|:active|&/.test(own)) return inner;
    try { querySelector(document, own); } catch { return inner; }  // it names a namespace of its sheet
    return [own, ...inner];
  };
  // Called before a pass over a document or shadow root; what one of them has counts for all.
  const lookUp = (scope, first) => {
    if (first) { styled = 0; handed = new Set(); }
    const hands = ['[style*="cursor: pointer"], [style*="cursor:pointer"]'];
    for (const all of [styleSheets(scope), adoptedStyleSheets(scope)]) for (const sheet of all) {
      const {found, hands: more} = effects(sheet);
      styled |= found;
      hands.push(...more.slice(0, MOST_HANDS));
    }
    for (const e of querySelectorAll(scope, hands.join())) handed.add(e);
    if (!(styled & CHANGES) && querySelector(scope, '[style*="text-transform"]')) styled |= CHANGES;
  };
  // Whether a page shows that an element of no role can be clicked: the pointer becomes a hand over it, and not over what
  // it is in, unless it is an icon there. Scripts that listen cannot be seen from here.
  const inHand = e => {
    if (!handed.has(e) || tagName(e) === 'LABEL' || getComputedStyle(e).cursor !== 'pointer') return false;
    const outer = parentOf(e);
    return !outer || getComputedStyle(outer).cursor !== 'pointer' || (!firstChild(e) && !closest(outer, 'a, button, label, summary, [role]'));
  };
  // Text as it is drawn.
  const cased = (text, e, style) => {
    if (!(styled & CHANGES)) return text;
    switch ((style || getComputedStyle(e)).textTransform) {
      case 'uppercase': return text.toUpperCase();
      case 'lowercase': return text.toLowerCase();
      case 'capitalize': return text.replace(/(?<![\p{L}\p{N}'\u2019])\p{L}/gu, letter => letter.toUpperCase());
    }
    return text;
  };
  // What a style sheet writes before or after an element: the strings, or the alternative text given for them.
  const generated = (e, which) => {
    if (!(styled & WRITES)) return '';
    const style = getComputedStyle(e, which), content = style.content;
    if (content === 'none' || content === 'normal' || !content || style.display === 'none' || style.visibility !== 'visible') return '';
    const parts = content.replace(/(url|counters?|image-set|linear-gradient)\((?:"(?:[^"\\]|\\.)*"|[^)"])*\)/g, ' ').match(/"(?:[^"\\]|\\.)*"|\//g) || [];
    const slash = parts.indexOf('/');
    const text = parts.slice(slash + 1).map(part => part.slice(1, -1).replace(/\\(.)/g, '$1')).join('');
    return (style.display === 'inline' && slash < 0) || !text ? cased(text, e, style) : ' ' + cased(text, e, style) + ' ';
  };
  const contents = (e, seen, how, drawn = e) => {
    if (seen.has(e)) return '';
    seen.add(e);
    let out = how & MUTED ? '' : generated(e, '::before');
    const root = rootOf(e), list = slotted(e);
    if (!root && !list && !firstElementChild(e) && !(how & MUTED)) out += cased(textContent(e), drawn);
    else for (let at = 0, c = list ? list[0] : firstChild(root || e); c; c = list ? list[++at] : nextSibling(c)) {
      if (nodeType(c) === 3) { if (!(how & MUTED)) out += cased(c.data, drawn); } else if (nodeType(c) === 1) out += piece(c, seen, how & ~MUTED);
    }
    if (!(how & MUTED)) out += generated(e, '::after');
    if (hasAttribute(e, 'aria-owns')) for (const owned of targets(e, 'aria-owns')) out += ' ' + piece(owned, seen, how & ~MUTED);
    attributed = false;
    return out;
  };
  // Their label is a heading of what they hold: whoever reads out what is around them wants that, not the label.
  const HOLDERS = new Set(words('region group table grid list article main navigation complementary search form figure dialog tabpanel radiogroup'));
  // Never drawn in line with their neighbours, or as good as never.
  const BLOCKS = new Set(words('TD TH TR LI P H1 H2 H3 H4 H5 H6 TBODY TABLE UL OL'));
  const piece = (c, seen, how) => {
    const tag = tagName(c);
    if (tag === 'BR') return ' ';
    if (UNSPOKEN.has(tag) || seen.has(c)) return '';
    const slot = localName(c) === 'slot';
    let under = how | INNER, role = slot ? undefined : metRole(c);
    if (role === undefined) {
      let shown = false;
      if (!slot && !(how & HIDDEN)) {
        if (getAttribute(c, 'aria-hidden') === 'true') return '';
        shown = met !== null && checkVisibility(c, SEEN);
        if (!shown && !checkVisibility(c, VISIBLE)) {
          const {display, visibility} = getComputedStyle(c);
          if (display === 'none') return '';
          if (visibility !== 'visible') under |= MUTED;
          else if (display !== 'contents') return '';
        }
      }
      role = roleOf(c);
      if (shown) met.set(c, role);
    }
    if (role === 'group' && how & TREE) return '';
    const drawn = slot ? parentOf(c) || c : c;
    const text = under & MUTED || (how & READING && HOLDERS.has(role)) ? contents(c, seen, under, drawn) : alternative(c, role, seen, under, drawn);
    const apart = attributed || slot || BLOCKS.has(tag) || CONTROL.has(role);
    attributed = false;
    if (slot) return text;
    if (apart) return ' ' + text + ' ';
    if (!previousSibling(c) && !nextSibling(c) && parentElement(c) && BLOCKS.has(tagName(parentElement(c)))) return text;
    const display = getComputedStyle(c).display;
    return display === 'inline' || display.startsWith('ruby') ? text : ' ' + text + ' ';
  };
  const targets = (e, attribute) => {
    const set = attribute === 'aria-owns' ? ariaOwnsElements(e) : ariaLabelledByElements(e), root = getRootNode(e);
    return set || (nodeType(root) !== 1 ? getAttribute(e, attribute).trim().split(/\s+/).map(id => getElementById(root, id)).filter(Boolean) : []);
  };
  const isHidden = e => closest(e, '[aria-hidden="true"]') !== null || (!checkVisibility(e, VISIBLE) && !(getComputedStyle(e).display === 'contents'));
  // The text of an element that another one refers to for its name; a hidden one counts with all it hides.
  const referred = (target, seen, how) => alternative(target, roleOf(target), seen, how | REFERRED | (isHidden(target) ? HIDDEN : 0));
  const trimmed = (e, attribute) => { const text = getAttribute(e, attribute); return text && text.trim() ? text : ''; };
  const child = (e, name) => { for (let c = firstElementChild(e); c; c = nextElementSibling(c)) if (localName(c) === name) return c; return null; };

  // For every field that is asked for its labels, Chromium looks through the whole document: here that is done once.
  const labelsOf = e => {
    if (!labelled) return e.labels;
    const root = getRootNode(e);
    let found = labelled.get(root);
    if (!found) {
      labelled.set(root, found = new Map());
      for (const label of querySelectorAll(root, 'label')) {
        const field = label.control, others = found.get(field);
        if (others) others.push(label); else found.set(field, [label]);
      }
    }
    return found.get(e);
  };
  // What HTML itself says: labels, captions, legends and the like.
  const byHtml = (e, role, seen, how) => {
    const tag = tagName(e);
    if (LABELABLE.has(tag)) {
      const labels = labelsOf(e);
      if (labels && labels.length) {
        let out = '';
        for (const label of labels) if (!seen.has(label) && !isHidden(label)) out += ' ' + referred(label, new Set([...seen, e]), INNER);
        if (out.trim()) return out;
      }
    }
    switch (tag) {
      case 'INPUT': {
        const type = e.type;
        if (type === 'submit' || type === 'reset' || type === 'button')
          return e.value || (hasAttribute(e, 'value') ? '' : {submit: 'Submit', reset: 'Reset', button: ''}[type]);
        if (type === 'image') return trimmed(e, 'alt') || trimmed(e, 'value') || trimmed(e, 'title') || 'Submit';
        if (type === 'file') return (e.multiple ? 'Choose Files' : 'Choose File');
        if (type === 'checkbox' || type === 'radio') return '';
        return trimmed(e, 'title') || trimmed(e, 'placeholder');
      }
      case 'TEXTAREA': return trimmed(e, 'title') || trimmed(e, 'placeholder');
      case 'IMG': case 'AREA': return trimmed(e, 'alt');
      case 'OPTGROUP': return trimmed(e, 'label');
      case 'OPTION': return trimmed(e, 'label');
      case 'FIELDSET': { const own = child(e, 'legend'); return own ? referred(own, seen, INNER) : ''; }
      case 'FIGURE': { const own = child(e, 'figcaption'); return own ? referred(own, seen, INNER) : ''; }
      case 'TABLE': return e.caption ? referred(e.caption, seen, INNER) : trimmed(e, 'summary');
    }
    if (namespaceURI(e) === 'http://www.w3.org/2000/svg') { const own = child(e, 'title'); return own ? textContent(own) : ''; }
    return '';
  };
  const alternative = (e, role, seen, how, drawn) => {
    const plain = !hasAttributes(e);
    if (!plain && !(how & REFERRED) && hasAttribute(e, 'aria-labelledby')) {
      let out = '';
      for (const target of targets(e, 'aria-labelledby')) out += ' ' + referred(target, new Set(seen), target === e ? 0 : INNER);
      if (out.trim()) { attributed = true; return out; }
    }
    if (how & INNER && WITH_VALUE.has(role)) { const value = embeddedValue(e, role); attributed = true; return value; }
    const label = plain ? '' : trimmed(e, 'aria-label');
    if (label) { attributed = true; return label; }
    const html = byHtml(e, role, seen, how);
    if (html && html.trim()) { attributed = true; return html; }
    if (!plain && (role === 'textbox' || role === 'searchbox')) { const hint = trimmed(e, 'title') || trimmed(e, 'aria-placeholder'); if (hint) { attributed = true; return hint; } }
    if (FROM_CONTENT.has(role) || how) {
      const text = tagName(e) === 'INPUT' || tagName(e) === 'SELECT' || tagName(e) === 'IFRAME' ? '' : contents(e, seen, role === 'treeitem' ? how | TREE : how, drawn);
      if (text.trim() || !hasAttribute(e, 'title')) return text;
    }
    attributed = true;
    return plain ? '' : getAttribute(e, 'title') || '';
  };
  const fresh = new Set();  // one for all names, as they are asked for one after the other
  const nameOf = (e, role) => {
    fresh.clear();
    if (role === 'status' || role === 'alert') return squash(trimmed(e, 'aria-label') || contents(e, fresh, 0));  // what they say is what counts
    return squash(alternative(e, role, fresh, 0));
  };
  // All that an element says, for whoever reads it out.
  const textOf = e => contents(e, new Set(), READING);

  // ---- values and states ----
  const chosen = e => [...e.selectedOptions].map(o => o.label || o.text);
  const rangeValue = e => trimmed(e, 'aria-valuetext') || trimmed(e, 'aria-valuenow') || (typeof e.value === 'string' || typeof e.value === 'number' ? String(e.value) : '');
  const embeddedValue = (e, role) => {
    const tag = tagName(e);
    if (tag === 'SELECT') return chosen(e).join(' ');
    if (tag === 'INPUT') return valueOf(e, role);
    if (tag === 'TEXTAREA') return e.value;
    if (role === 'textbox' || role === 'searchbox') return textContent(e);
    if (role === 'combobox' || role === 'listbox') return [...querySelectorAll(e, '[role=option][aria-selected=true]')].map(o => squash(textContent(o))).join(' ') || (role === 'combobox' ? textContent(e) : '');
    return rangeValue(e);
  };
  const VALUELESS = new Set(['checkbox', 'radio', 'button', 'switch']);
  const valueOf = (e, role) => {
    switch (tagName(e)) {
      case 'SELECT': return squash(chosen(e).join(', '));
      case 'INPUT':
        if (VALUELESS.has(role)) return e.type === 'file' ? [...e.files].map(file => file.name).join(', ') : '';
        return e.type === 'password' ? '\u2022'.repeat(e.value.length) : e.value;
      case 'TEXTAREA': return e.value;
      case 'CANVAS': return `${e.clientWidth}x${clientHeight(e)}`;
    }
    if (role === 'textbox' || role === 'searchbox') return squash(textContent(e) || '');
    return hasAttributes(e) ? squash(trimmed(e, 'aria-valuetext') || trimmed(e, 'aria-valuenow')) : '';
  };
  const switchedOff = e => matches(e, ':disabled') || getAttribute(e, 'aria-disabled') === 'true';
  // aria-disabled counts for everything inside.
  const disabled = e => { if (matches(e, ':disabled')) return true; for (let x = e; x; x = parentOf(x)) if (getAttribute(x, 'aria-disabled') === 'true') return true; return false; };
  const CHECKABLE = new Set(['checkbox', 'radio', 'switch', 'menuitemcheckbox', 'menuitemradio']);
  const statesOf = (e, role, off, active) => {
    const out = [], plain = !hasAttributes(e), tag = tagName(e);
    if (CHECKABLE.has(role)) {
      const own = tag === 'INPUT' && (e.type === 'checkbox' || e.type === 'radio');
      const checked = own ? (e.indeterminate && e.type === 'checkbox' ? 'mixed' : String(e.checked)) : plain ? '' : getAttribute(e, 'aria-checked');
      if (checked === 'true') out.push('checked'); else if (checked === 'mixed' && role !== 'radio' && role !== 'switch') out.push('mixed');
    }
    if (off || switchedOff(e)) out.push('disabled');
    if (tag === 'SUMMARY') { if (role === 'button') out.push(parentElement(e).open ? 'expanded' : 'collapsed'); }
    else if (!plain) { const expanded = getAttribute(e, 'aria-expanded'); if (expanded === 'true') out.push('expanded'); else if (expanded === 'false') out.push('collapsed'); }
    if (e === active) out.push('focused');
    if (!plain) {
      const invalid = getAttribute(e, 'aria-invalid');
      if (invalid ? invalid !== 'false' : matches(e, ':user-invalid') && !(e.form && noValidate(e.form))) out.push('invalid');
    }
    if (role === 'option' && tag === 'OPTION' ? e.selected : !plain && getAttribute(e, 'aria-selected') === 'true') out.push('selected');
    if (!plain) { const pressed = getAttribute(e, 'aria-pressed'); if (pressed === 'true') out.push('pressed'); else if (pressed === 'mixed') out.push('mixed'); }
    return out;
  };
  return {closed, rootOf, parentOf, within, documentIn, frameOf, slotted, roleOf, nameOf, textOf, valueOf, statesOf, switchedOff, disabled, isEditor, squash, INPUT_ROLE, FROM_CONTENT, SKIP, SEEN, cased, lookUp, inHand, keep, metRole};
})();
