// The list of streams: what is live on this node, and a way to open a stream by its name.

import { streamPath } from './address.js';
import { byId, element, fill } from './elements.js';

const POLL_MS = 3000;
const list = byId('streams');
const count = byId('count');
// Each live stream's line, by its name.
let lines = new Map();

async function refresh() {
  try {
    const response = await fetch('/api/streams', { headers: { accept: 'application/json' }, cache: 'no-store' });
    if (response.ok) show((await response.json()).streams);
    else showNone('This node does not list its streams to everyone.');
  } catch {
    showNone('The node does not answer. This page keeps asking.');
  }
  setTimeout(refresh, POLL_MS);
}

/** A stream that was there keeps its line, and the keyboard its place in it; only the facts change. */
function show(streams) {
  if (streams.length === 0) {
    showNone('No stream is live.');
    return;
  }
  const had = lines;
  lines = new Map(streams.map((one) => [one.stream, had.get(one.stream) ?? newLine(one.stream)]));
  for (const one of streams) say(lines.get(one.stream).facts, factsOf(one));
  const ordered = [...lines.values()].map(({ item }) => item);
  for (const item of [...list.children]) if (!ordered.includes(item)) item.remove();
  // Only what is new is put in: a line that is moved loses the focus.
  for (const [index, item] of ordered.entries()) if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
  say(count, streams.length === 1 ? '1 stream is live.' : `${streams.length} streams are live.`);
}

function showNone(sentence) {
  if (count.textContent === sentence) return;
  lines = new Map();
  fill(list, element('li', { class: 'empty' }, sentence));
  say(count, sentence);
}

function newLine(stream) {
  const facts = element('span', { class: 'stream-facts' });
  return { facts, item: element('li', {}, element('a', { href: streamPath('watch', stream) }, stream), facts) };
}

function factsOf({ live, viewers, tracks = [] }) {
  const codecs = tracks.map(({ codec }) => codec).join(' + ');
  return [live === false ? 'not live' : 'live', codecs, viewers === undefined ? '' : `${viewers} watching`].filter(Boolean).join(' · ');
}

/** Changed only when it says something else: what did not change is not read aloud again. */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

byId('open-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const page = event.submitter?.value ?? 'watch';
  location.assign(streamPath(page, byId('name').value.trim().replace(/^\/+|\/+$/g, '')));
});

void refresh();
