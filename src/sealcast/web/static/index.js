// The list of streams: what is live on this node, and a way to open a stream by its name.

import { streamPath } from './address.js';
import { byId, element, fill } from './elements.js';

const POLL_MS = 3000;
const list = byId('streams');
let shown = '';

async function refresh() {
  let streams = null;
  try {
    const response = await fetch('/api/streams', { headers: { accept: 'application/json' }, cache: 'no-store' });
    if (response.ok) streams = (await response.json()).streams;
    else show('closed', [element('li', { class: 'empty' }, 'This node does not list its streams to everyone.')]);
  } catch {
    show('unreachable', [element('li', { class: 'empty' }, 'The node does not answer. This page keeps asking.')]);
  }
  if (streams) {
    const items = streams.length > 0 ? streams.map(streamItem) : [element('li', { class: 'empty' }, 'No stream is live.')];
    show(JSON.stringify(streams), items);
  }
  setTimeout(refresh, POLL_MS);
}

/** Redraws only when something has changed: the focus stays where it is. */
function show(key, items) {
  if (key === shown) return;
  shown = key;
  fill(list, items);
}

function streamItem({ stream, live, viewers, tracks = [] }) {
  const codecs = tracks.map(({ codec }) => codec).join(' + ');
  const facts = [live === false ? 'not live' : 'live', codecs, viewers === undefined ? '' : `${viewers} watching`];
  return element(
    'li',
    {},
    element('a', { href: streamPath('watch', stream) }, stream),
    element('span', { class: 'stream-facts' }, facts.filter(Boolean).join(' · ')),
  );
}

byId('open-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const page = event.submitter?.value ?? 'watch';
  location.assign(streamPath(page, byId('name').value.trim().replace(/^\/+|\/+$/g, '')));
});

void refresh();
