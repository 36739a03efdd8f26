// The cells of a table of facts; on a phone each row is a card (admin.css). Roles are named, since a browser forgets them
// of a table that is not drawn as one.

import { element } from './elements.js';

/** The first line is what counts; the rest explains it. `first` is a text, a node or a list of them. */
export function cell(heading, first, ...more) {
  return element(
    'td',
    { role: 'cell', 'data-heading': heading },
    element('span', { class: 'cell-first' }, first),
    more.filter((line) => line !== null && line !== '' && line !== undefined).map((line) => element('span', { class: 'cell-more' }, line)),
  );
}
