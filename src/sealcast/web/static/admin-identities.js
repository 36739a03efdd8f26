// Every identity of the node's own authority, for its administrators: who has it, what it does now, how long it lasts.
//
// Does: asks the node every five seconds while it is looked at; shows those that the filter lets through, which stands in
// the page's address. Does not: change anything; that is for those who have
// the authority's folder.

import { keepAsking } from './admin-asking.js';
import { enterAdministration } from './admin-session.js';
import { breakable, byId, element, fill, passFocus } from './elements.js';
import { cell } from './fact-cells.js';
import { filterOf, queryOf } from './identity-filter.js';
import { bySoonest, moment, reason, summary, timeLeft } from './identity-standing.js';
import { showRefusal } from './refusal.js';

const POLL_MS = 5000;
// Not at each letter that is typed.
const TYPING_MS = 250;
// Why it is due: an end should have renewed by now, an authority no longer outlives all that it issues.
const DUE = { end: 'in its last third', issuer: 'roll it now', root: 'roll it now' };
const refusal = byId('refusal');
const form = { name: byId('filter-name'), state: byId('filter-state'), live: byId('filter-live'), all: byId('filter-all') };
let shown = null;
let typing = null;
let askNow = () => {};

drawFilter();
const who = await enterAdministration();
if (who.problem) refuse(who.problem);
else askNow = keepAsking(() => `/api/identities${location.search}`, POLL_MS, { shown: show, refused: refuse });

function refuse(problem) {
  byId('summary').textContent = '';
  if (problem.code === 'HTTP.MALFORMED') {
    byId('filter').hidden = false;
    form.name.setAttribute('aria-invalid', 'true');
  }
  showRefusal(refusal, problem);
}

function drawFilter() {
  const { name, states, live } = filterOf(location.search);
  form.name.value = name;
  const wanted = states.sort().join(' ');
  // The address may say more than the form offers.
  if (![...form.state.options].some(({ value }) => value === wanted)) {
    form.state.append(element('option', { value: wanted }, states.join(' or ')));
  }
  form.state.value = wanted;
  form.live.checked = live;
  drawAll();
}

function drawAll() {
  // The button goes away when it is pressed: the keyboard stays in the form.
  if (location.search === '') passFocus(form.all, form.name);
  form.all.hidden = location.search === '';
}

/** The filter goes into the address, so that it can be kept, sent and gone back to, and is asked for. */
function filterNow() {
  clearTimeout(typing);
  const states = form.state.value.split(' ').filter(Boolean);
  const query = queryOf({ name: form.name.value, states, live: form.live.checked });
  if (query === location.search) return;
  history.replaceState(null, '', location.pathname + query);
  drawAll();
  void askNow();
}

form.name.addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(filterNow, TYPING_MS);
});
for (const control of [form.name, form.state, form.live]) control.addEventListener('change', filterNow);
byId('filter').addEventListener('submit', (event) => {
  event.preventDefault();
  filterNow();
});
byId('filter').addEventListener('reset', (event) => {
  event.preventDefault();
  form.name.value = form.state.value = '';
  form.live.checked = false;
  filterNow();
});
addEventListener('popstate', () => {
  drawFilter();
  void askNow();
});

/** Redraws only when something that is shown has changed: a selection stays where it is. */
function show({ trust_domain: domain, authorities, identities, total }) {
  refusal.hidden = true;
  form.name.removeAttribute('aria-invalid');
  const ordered = bySoonest(identities);
  const told = domain === null ? '' : summary(ordered, total);
  if (byId('summary').textContent !== told) byId('summary').textContent = told;
  const rows = [...authorities.map(authorityRow), ...ordered.map(identityRow)];
  const key = JSON.stringify([domain, total, rows.map((row) => row.outerHTML)]);
  if (key === shown) return;
  shown = key;
  byId('no-authority').hidden = domain !== null;
  byId('authorities').hidden = authorities.length === 0;
  byId('identities').hidden = identities.length === 0;
  byId('filter').hidden = domain === null || total === 0;
  byId('none').hidden = domain === null || total > 0;
  byId('none-fits').hidden = total === 0 || identities.length > 0;
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
  return element('tr', { role: 'row', 'data-standing': one.state }, cells);
}

function hostLines({ hosts }) {
  return hosts.length === 0 ? [] : [breakable(hosts.join(', '))];
}

function leftCell(one) {
  const left = element('span', { class: 'standing' }, timeLeft(one));
  if (one.state === 'revoked') return cell('Left', left, moment(one.revoked_unix), reason(one.revoked_why));
  return cell('Left', left, `until ${moment(one.not_after_unix)}`, one.state === 'due' ? DUE[one.kind] : null);
}

function legsCell({ legs }) {
  if (legs.length === 0) return cell('Legs', '—');
  const [first, ...more] = legs.map(({ id, role, way, stream }) => [`${id} ${role} ${way} `, ...breakable(stream ?? '')]);
  return cell('Legs', first, ...more);
}
