// Which identities are shown: the filter as this page's address, the node's API and the form say it.
//
// Does: reads and writes the one query that the address and `GET /api/identities` share. Does not: judge it; what the
// node does not understand it refuses in words.

/** `{ name, states, live }` of an address's query. */
export function filterOf(query) {
  const asked = new URLSearchParams(query);
  return { name: asked.get('name') ?? '', states: asked.getAll('state'), live: asked.get('legs') === 'live' };
}

/** The query of a filter, with its question mark; empty when everything is shown. */
export function queryOf({ name, states, live }) {
  const asked = new URLSearchParams();
  if (name.trim() !== '') asked.set('name', name.trim());
  for (const state of states) asked.append('state', state);
  if (live) asked.set('legs', 'live');
  // Slashes and stars may stand in a query as they are (RFC 3986 §3.4), and a pattern stays readable.
  const text = asked.toString().replaceAll('%2F', '/').replaceAll('%2A', '*');
  return text === '' ? '' : `?${text}`;
}
