// Every identity of the node's own authority, for its administrators: who has it, what it does now, how long it lasts.
//
// Does: asks the node every five seconds while it is looked at. Does not: change anything; that is for those who have
// the authority's folder.

import { keepAsking } from './admin-asking.js';
import { enterAdministration } from './admin-session.js';
import { breakable, byId, element, fill } from './elements.js';
import { cell } from './fact-cells.js';
import { bySoonest, moment, reason, standing, summary, timeLeft } from './identity-standing.js';
import { showRefusal } from './refusal.js';

const POLL_MS = 5000;
// Why it is due: an end should have renewed by now, an authority no longer outlives all that it issues.
const DUE = { end: 'in its last third', issuer: 'roll it now', root: 'roll it now' };
const refusal = byId('refusal');
let shown = null;

const who = await enterAdministration();
if (who.problem) refuse(who.problem);
else keepAsking('/api/identities', POLL_MS, { shown: show, refused: refuse });

function refuse(problem) {
  byId('summary').textContent = '';
  showRefusal(refusal, problem);
}

/** Redraws only when something that is shown has changed: a selection stays where it is. */
function show({ trust_domain: domain, authorities, identities }) {
  refusal.hidden = true;
  const ordered = bySoonest(identities);
  const told = domain === null ? '' : summary(ordered);
  if (byId('summary').textContent !== told) byId('summary').textContent = told;
  const rows = [...authorities.map(authorityRow), ...ordered.map(identityRow)];
  const key = JSON.stringify([domain, rows.map((row) => row.outerHTML)]);
  if (key === shown) return;
  shown = key;
  byId('no-authority').hidden = domain !== null;
  byId('authorities').hidden = authorities.length === 0;
  byId('identities').hidden = identities.length === 0;
  byId('none').hidden = domain === null || identities.length > 0;
  fill(byId('authority-rows'), rows.slice(0, authorities.length));
  fill(byId('identity-rows'), rows.slice(authorities.length));
}

function authorityRow(one) {
  const what = one.kind === 'root' ? 'Root' : `Issues for ${one.side}s`;
  return row(one, [cell('Authority', what), cell('Domain', breakable(one.name)), leftCell(one)]);
}

function identityRow(one) {
  return row(one, [
    cell('Identity', breakable(one.name), ...hostLines(one)),
    cell('Profile', one.profile, one.side),
    cell('Issued', moment(one.issued_unix), [`by ${one.issued_by}`]),
    leftCell(one),
    legsCell(one),
  ]);
}

function row(one, cells) {
  return element('tr', { 'data-standing': standing(one) }, cells);
}

function hostLines({ hosts }) {
  return hosts.length === 0 ? [] : [breakable(hosts.join(', '))];
}

function leftCell(one) {
  const left = element('span', { class: 'standing' }, timeLeft(one));
  if (standing(one) === 'revoked') return cell('Left', left, moment(one.revoked_unix), reason(one.revoked_why));
  return cell('Left', left, `until ${moment(one.not_after_unix)}`, standing(one) === 'due' ? DUE[one.kind] : null);
}

function legsCell({ legs }) {
  if (legs.length === 0) return cell('Legs', '—');
  const [first, ...more] = legs.map(({ id, role, way, stream }) => [`${id} ${role} ${way} `, ...breakable(stream ?? '')]);
  return cell('Legs', first, ...more);
}
