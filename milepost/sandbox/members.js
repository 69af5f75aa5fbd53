// A form's fields hide the form's own members by their names, and images, forms and frames hide the document's (Web IDL,
// LegacyOverrideBuiltIns), in every world: with <input name=firstChild> in it a form says that this field is its first
// child. So members of what may be a form or a document are functions, taken from the prototypes, which no page
// reaches: `tagName(e)` is what `e.tagName` should be. They are quicker, too, for they do not ask what kind e is.
if (!Object.hasOwn(globalThis, 'milepostMembers')) globalThis.milepostMembers = (() => {
  const taken = (kind, name) => {
    for (let p = kind.prototype; p; p = Object.getPrototypeOf(p)) {
      const own = Object.getOwnPropertyDescriptor(p, name);
      if (own) return Function.prototype.call.bind(own.get || own.value);
    }
    return () => undefined;
  };
  const all = (kind, names) => Object.fromEntries(names.split(' ').map(name => [name, taken(kind, name)]));
  const nodes = all(Node, 'firstChild nextSibling previousSibling nodeType isConnected ownerDocument parentElement getRootNode textContent dispatchEvent');
  const elements = all(Element, 'tagName localName namespaceURI getAttribute hasAttribute hasAttributes shadowRoot assignedSlot checkVisibility closest matches'
    + ' getBoundingClientRect getClientRects scrollIntoView scrollBy clientHeight scrollHeight firstElementChild nextElementSibling'
    + ' ariaLabelledByElements ariaOwnsElements');
  const documents = all(Document, 'body defaultView documentElement readyState title scrollingElement execCommand getSelection getElementsByTagName');
  const isForm = x => elements.localName(x) === 'form' && elements.namespaceURI(x) === 'http://www.w3.org/1999/xhtml';
  // What several kinds have, each for itself: only forms and documents need care.
  const careful = name => {
    const ofDocument = taken(Document, name), ofForm = taken(HTMLFormElement, name);
    return x => { const type = nodes.nodeType(x); return type === 9 ? ofDocument : type === 1 && isForm(x) ? ofForm : null; };
  };
  const shared = {};
  for (const name of ['activeElement', 'adoptedStyleSheets', 'host', 'inert', 'isContentEditable', 'noValidate', 'offsetParent', 'styleSheets', 'tabIndex']) {
    const hidden = careful(name);
    shared[name] = x => { const get = hidden(x); return get ? get(x) : x[name]; };
  }
  for (const name of ['elementFromPoint', 'focus', 'getElementById', 'querySelector', 'querySelectorAll']) {
    const hidden = careful(name);
    shared[name] = (x, ...given) => { const call = hidden(x); return call ? call(x, ...given) : x[name](...given); };
  }
  return {...nodes, ...elements, ...documents, ...shared};
})();
