// Builds DOM elements from values. Text is always text: nothing here parses HTML, so no stream name, certificate
// subject or problem sentence can become markup.

/** element('p', { class: 'note', hidden: true }, 'text', child, null) */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Puts `children` in the place of whatever `parent` held. */
export function fill(parent, ...children) {
  parent.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
}

/** A long name as nodes that may be wrapped after its dots, colons and underscores; what is copied is the name alone. */
export function breakable(name) {
  return name.split(/(?<=[._:])/).flatMap((part, index) => (index === 0 ? [part] : [element('wbr'), part]));
}

/** A sentence with the commands that stand between backticks as code. */
export function commandsIn(sentence) {
  return sentence.split('`').map((part, index) => (index % 2 === 1 ? element('code', {}, part) : part));
}

/** Keeps the keyboard's place when `control` goes away: `next` gets the focus if `control`, or something in it, had it. */
export function passFocus(control, next) {
  if (control.contains(document.activeElement)) next.focus({ preventScroll: true });
}

/** The element with this id; the pages' HTML and scripts are one unit, so a missing one is a bug and says so. */
export function byId(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`this page has no element #${id}`);
  return node;
}
