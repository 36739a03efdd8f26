// The seal of this leg: what protects it, who is at each end, and how each of that is known.
//
// Does: puts the node's statement (`GET <resource>/leg`) beside this browser's own evidence (getStats), says for each
// fact whether both ends agree, and draws it. Does not: judge strength; downgrades are the node's policy's notes.

import { breakable, element, fill } from './elements.js';
import { dtlsVersion, srtpProfile } from './evidence.js';

/** How a fact is known. */
const KNOWN = {
  both: { mark: '✓', text: 'both ends agree' },
  node: { mark: 'N', text: 'the node says so' },
  browser: { mark: 'B', text: 'this browser saw it' },
  differs: { mark: '≠', text: 'the two ends differ' },
};

const same = (a, b) => String(a).toLowerCase() === String(b).toLowerCase();
const yesNo = (value) => (value === true ? 'yes' : value === false ? 'no' : null);

/** One fact from both sides; null where neither knows it. */
function fact(label, node, browser, options = {}) {
  const said = node ?? null;
  const seen = browser ?? null;
  if (said === null && seen === null) return null;
  let known = 'both';
  if (said === null) known = 'browser';
  else if (seen === null) known = 'node';
  else if (!same(said, seen)) known = 'differs';
  const value = known === 'differs' ? `${said} (node) · ${seen} (browser)` : (said ?? seen);
  return { label, value: String(value), known, ...options };
}

/** The facts of a leg, in the order in which they are read. Exported for tests. */
export function sealFacts(leg, evidence) {
  const seal = leg?.seal ?? {};
  const version = dtlsVersion(evidence?.tlsVersion);
  const received = evidence?.received ?? {};
  const sent = evidence?.sent ?? {};
  const media = sent.video || sent.audio ? sent : received;
  const codecs = ['video', 'audio'].map((kind) => media[kind]?.codec).filter(Boolean).join(' + ');
  return [
    fact('Protocol', seal.protocol && `${seal.protocol} ${seal.version}`, version && `DTLS ${version}`),
    fact('Cipher', seal.cipher, evidence?.dtlsCipher, { code: true }),
    fact('Key exchange', seal.group, evidence?.tlsGroup, { code: true }),
    fact('Media protection', seal.srtp_profile, srtpProfile(evidence?.srtpCipher), { code: true }),
    fact('Forward secrecy', yesNo(seal.forward_secrecy), null),
    fact('Post-quantum', yesNo(seal.post_quantum), null),
    fact('Node’s certificate', seal.local_fingerprint, evidence?.remoteFingerprint, { code: true, long: true }),
    fact('Browser’s certificate', seal.peer_fingerprint, evidence?.localFingerprint, { code: true, long: true }),
    fact('Formats', null, codecs || null),
    address('Node’s address', leg?.path?.local, evidence?.path?.remote?.address),
    address('Browser’s address', leg?.path?.remote, evidence?.path?.local?.address),
  ].filter((found) => found !== null);
}

/** Behind a NAT, or where a browser hides its addresses, the two ends rightly know one by different names. */
function address(label, node, browser) {
  const agreed = node && browser && same(node, browser);
  return fact(label, node, agreed || !node ? browser : null, { code: true });
}

/** How an end was proved, as the node's ledger names it. */
const PROOFS = {
  certificate: 'proved by a certificate of a trusted authority',
  token: 'proved by a token that the node signed',
  fingerprint: 'proved by the fingerprint that verified signalling named',
  unproved: 'unproved: nobody knows who this is',
};

/** The two ends of the leg, in words. Exported for tests. */
export function sealEnds(leg, evidence) {
  const end = (identity, ifUnknown) => ({
    // A fingerprint proves an end and names nobody; it stands among the facts.
    name: (identity?.proof === 'fingerprint' ? '' : identity?.name) || ifUnknown,
    proof: identity ? (PROOFS[identity.proof] ?? identity.proof) : 'not proved yet',
    proved: identity?.proved === true,
  });
  const node = end(leg?.local, location.host);
  // Whatever the node says of itself: this browser proved it, by TLS for the signalling and by the fingerprint for media.
  if (evidence?.identityProved) node.proof = 'proved here: TLS certificate, then the fingerprint it named';
  return { node, peer: end(leg?.peer, 'This browser') };
}

/** Draws and keeps up to date the panel of one leg. */
export class SealView {
  #root;
  #rows = new Map();
  #parts;

  constructor(root) {
    this.#root = root;
    this.#parts = {
      title: element('h2', { class: 'seal-title' }),
      subtitle: element('p', { class: 'seal-subtitle' }),
      ends: element('div', { class: 'ends' }),
      notes: element('ul', { class: 'notes', hidden: true }),
      facts: element('dl', { class: 'facts' }),
      counts: element('dl', { class: 'counts' }),
      legend: element('p', { class: 'legend' }, '✓ both ends agree · N the node says so · B this browser saw it'),
    };
    fill(
      root,
      element(
        'div',
        { class: 'seal-head' },
        element('img', { src: '/static/seal.svg', alt: '', width: 44, height: 44 }),
        element('div', {}, this.#parts.title, this.#parts.subtitle),
      ),
      this.#parts.ends,
      this.#parts.notes,
      this.#parts.facts,
      this.#parts.counts,
      this.#parts.legend,
    );
    this.update(null, null);
  }

  /** `leg` is the node's statement or null, `evidence` the browser's or null. */
  update(leg, evidence) {
    const facts = sealFacts(leg, evidence);
    const secured = evidence?.dtlsState === 'connected' || evidence?.connectionState === 'connected';
    const notes = leg?.notes ?? [];
    const differs = facts.some(({ known }) => known === 'differs');
    const strength = !secured ? 'open' : differs ? 'broken' : notes.length > 0 ? 'noted' : 'sealed';
    this.#root.dataset.strength = strength;
    this.#parts.title.textContent = {
      open: 'Not sealed yet',
      sealed: 'Sealed',
      noted: 'Sealed, with a note',
      broken: 'The two ends disagree',
    }[strength];
    this.#parts.subtitle.textContent = leg ? `Role: ${leg.role} · policy: ${leg.policy}` : 'This leg has no keys yet.';
    this.#drawEnds(leg, evidence);
    this.#parts.notes.hidden = notes.length === 0;
    fill(this.#parts.notes, notes.map((note) => element('li', {}, noteText(note))));
    this.#drawFacts(facts);
    this.#drawCounts(leg, evidence);
    this.#parts.legend.hidden = facts.length === 0;
  }

  #drawEnds(leg, evidence) {
    const ends = sealEnds(leg, evidence);
    const end = ({ name, proof, proved }, title) =>
      element(
        'div',
        { class: 'end', 'data-proved': String(proved) },
        element('span', { class: 'end-title' }, title),
        element('strong', {}, name),
        element('span', { class: 'end-proof' }, proof),
      );
    fill(this.#parts.ends, end(ends.node, 'Node'), element('span', { class: 'link', 'aria-hidden': 'true' }), end(ends.peer, 'This end'));
  }

  #drawFacts(facts) {
    const shown = new Set(facts.map(({ label }) => label));
    for (const [label, row] of this.#rows) {
      if (!shown.has(label)) {
        row.node.remove();
        this.#rows.delete(label);
      }
    }
    for (const [place, { label, value, known, code, long }] of facts.entries()) {
      let row = this.#rows.get(label);
      if (!row) {
        row = { value: element(code ? 'code' : 'span', { class: long ? 'value long' : 'value' }), known: element('span', { class: 'known' }) };
        row.node = element('div', { class: long ? 'fact wide' : 'fact' }, element('dt', {}, label), element('dd', {}, row.value, row.known));
        this.#rows.set(label, row);
      }
      // Drawn only where it differs: somebody may be selecting a fingerprint to compare it.
      if (row.value.textContent !== value) fill(row.value, code ? breakable(value) : value);
      row.known.dataset.known = known;
      fill(
        row.known,
        element('span', { 'aria-hidden': 'true', title: KNOWN[known].text }, KNOWN[known].mark),
        element('span', { class: 'visually-hidden' }, ` (${KNOWN[known].text})`),
      );
      // Rows keep the order of `facts` whichever of them came to be known first.
      const there = this.#parts.facts.children[place] ?? null;
      if (there !== row.node) this.#parts.facts.insertBefore(row.node, there);
    }
  }

  #drawCounts(leg, evidence) {
    const counts = [];
    const side = evidence?.sent.video || evidence?.sent.audio ? evidence?.sent : evidence?.received;
    const total = (field) => (side ? (side.video?.[field] ?? 0) + (side.audio?.[field] ?? 0) : null);
    if (total('packets')) {
      const verb = side === evidence.sent ? 'sent' : 'received';
      counts.push(
        [`Packets ${verb} here`, total('packets').toLocaleString('en')],
        ['Lost', total('lost').toLocaleString('en')],
        ['Sent again', total('retransmitted').toLocaleString('en')],
      );
    }
    if (leg?.counters) {
      const { packets_in: incoming, packets_out: outgoing, lost } = leg.counters;
      counts.push(
        [leg.role === 'ingest' ? 'Received by the node' : 'Sent by the node', (leg.role === 'ingest' ? incoming : outgoing).toLocaleString('en')],
        ['Lost, says the node', lost.toLocaleString('en')],
      );
    }
    const roundTrip = evidence?.roundTripMs ?? leg?.counters?.rtt_ms ?? null;
    if (roundTrip !== null) counts.push(['Round trip', `${roundTrip.toFixed(1)} ms`]);
    fill(
      this.#parts.counts,
      counts.map(([label, value]) => element('div', {}, element('dt', {}, label), element('dd', {}, value))),
    );
  }
}

const noteText = ({ code, sentence, detail }) => [sentence, detail, `(${code})`].filter(Boolean).join(' ');
