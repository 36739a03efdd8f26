// Every leg of the node, for its administrators: who is connected to whom, and what protects it.
//
// Does: asks the ledger every two seconds while it is looked at. Does not: change anything.

import { keepAsking } from './admin-asking.js';
import { enterAdministration } from './admin-session.js';
import { breakable, byId, element, fill } from './elements.js';
import { cell } from './fact-cells.js';
import { showRefusal } from './refusal.js';

const POLL_MS = 2000;
// Of those that are over; the ledger keeps a thousand, and `sealcast legs --json` has them all.
const MOST_OVER = 50;
const rows = byId('leg-rows');
const over = byId('over');
const refusal = byId('refusal');
let shown = null;
let legs = [];

const who = await enterAdministration();
if (who.problem) refuse(who.problem);
else keepAsking(() => '/api/legs', POLL_MS, { shown: show, refused: refuse });

over.addEventListener('change', draw);

function show(told) {
  legs = told.legs;
  refusal.hidden = true;
  draw();
}

function refuse(problem) {
  byId('summary').textContent = '';
  showRefusal(refusal, problem);
}

/** Redraws only when something has changed: the focus and a selection stay where they are. */
function draw() {
  const living = legs.filter(({ end }) => end === null);
  const ended = legs.filter(({ end }) => end !== null);
  const listed = over.checked ? [...living, ...ended.slice(0, MOST_OVER)] : living;
  const summary = `${living.length} open, ${ended.length} over`;
  if (byId('summary').textContent !== summary) byId('summary').textContent = summary;
  const key = JSON.stringify(listed);
  if (key === shown) return;
  shown = key;
  byId('legs').hidden = listed.length === 0;
  byId('none').hidden = listed.length > 0;
  fill(rows, listed.map(legRow));
}

function legRow(leg) {
  return element(
    'tr',
    { role: 'row', 'data-state': leg.state },
    cell('Leg', `${leg.id} ${leg.role}`, leg.way),
    cell('Stream', breakable(leg.stream || '—')),
    cell('Peer', breakable(leg.peer.name.replace(/^spiffe:\/\/[^/]+\//, '') || 'nobody known'), leg.peer.proof, leg.path.remote),
    sealCell(leg),
    stateCell(leg),
    cell('Packets', packets(leg.counters), leg.counters.lost ? `${leg.counters.lost} lost` : null),
  );
}

function sealCell({ seal, notes }) {
  if (seal === null) return cell('Seal', element('span', { class: 'unsealed' }, 'not sealed'));
  const facts = [seal.group, seal.srtp_profile].filter(Boolean).join(' · ');
  return cell(
    'Seal',
    `${seal.protocol} ${seal.version}`,
    breakable(seal.cipher ?? ''),
    facts ? breakable(facts) : null,
    ...notes.map(({ code, sentence }) => [element('span', { class: 'note-code' }, breakable(code)), ` ${sentence}`]),
  );
}

function stateCell({ state, stage, end }) {
  const why = end ? [element('span', { class: 'note-code' }, breakable(end.code)), ` ${end.sentence}`] : null;
  return cell('State', element('span', { class: 'leg-state' }, state), stage, why);
}

function packets({ packets_in: coming, packets_out: going }) {
  const told = [coming ? `${coming.toLocaleString('en')} in` : '', going ? `${going.toLocaleString('en')} out` : ''];
  return told.filter(Boolean).join(', ') || '0';
}
