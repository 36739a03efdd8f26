// Enrolling a device that has a browser or a page of its own: what `sealcast identity token NAME --qr` shows leads here.
//
// Does: makes the key, has it certified with the token of the address's fragment, hands out the files. Sends the token
// only when the node's authority is the one that the code names. Does not: prove the node; the browser does that by its
// own roots, before this page is there (docs/decisions/0024-enrolment-by-code.md). Keeps nothing.

import { breakable, byId, element, fill } from './elements.js';
import { certificatesIn, endOf, fingerprintOf } from './certificate.js';
import { moment } from './identity-standing.js';
import { Problem } from './problem.js';
import { showRefusal } from './refusal.js';
import { keyPem, makeKey, requestPem } from './signing-request.js';

const enrol = byId('enrol');
let invitation = null;
let keys = null;
let isKeySaved = true;

/** `{ token, fingerprint, name }` of the fragment, which leaves the address bar at once. */
function takeInvitation() {
  const told = new URLSearchParams(location.hash.slice(1));
  history.replaceState(null, '', location.pathname);
  const found = { token: told.get('token') ?? '', fingerprint: told.get('fp') ?? '', name: told.get('name') ?? '' };
  const isWhole = /^[\w-]+$/.test(found.token) && /^[0-9a-f]{64}$/.test(found.fingerprint) && /^[\w./-]+$/.test(found.name);
  return isWhole ? found : null;
}

async function begin() {
  byId('invitation').hidden = byId('done').hidden = byId('refusal').hidden = true;
  invitation = takeInvitation();
  keys = null;
  try {
    if (invitation === null) throw Problem.local('PAGE.NO_INVITATION');
    if (!globalThis.crypto?.subtle) throw Problem.local('PAGE.NO_CRYPTO');
    invitation.roots = await rootsOf(invitation);
  } catch (problem) {
    refuse(problem);
    return;
  }
  fill(byId('name'), breakable(invitation.name));
  // As the terminal shows it, so that both can be compared.
  fill(byId('fingerprint'), breakable(invitation.fingerprint.toUpperCase().match(/../g).join(':')));
  enrol.disabled = false;
  byId('invitation').hidden = false;
}

/** The roots of the node, if one of them is the one that the code names. */
async function rootsOf({ fingerprint }) {
  const roots = await (await asked('/identity/authority.pem')).text();
  const prints = await Promise.all(certificatesIn(roots).map(fingerprintOf));
  if (!prints.includes(fingerprint)) throw Problem.local('PAGE.OTHER_AUTHORITY', `The node has ${prints.join(' and ')}.`);
  return roots;
}

async function getCertificate() {
  const { token, name } = invitation;
  enrol.disabled = true;
  byId('refusal').hidden = true;
  byId('status').textContent = 'Making the key…';
  try {
    // The same one when it is tried again: the answer may have been lost on its way.
    keys ??= await makeKey();
    const body = await requestPem(keys);
    const answer = await asked(`/identity/enrol?name=${encodeURIComponent(name)}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-pem-file', authorization: `Bearer ${token}` },
      body,
    });
    await handOut(await answer.text());
  } catch (problem) {
    byId('status').textContent = '';
    // What the node says of a token stays true; that it is busy does not.
    enrol.disabled = problem.status >= 400 && problem.status < 500 && problem.status !== 429;
    enrol.focus();
    refuse(problem);
  }
}

async function handOut(chain) {
  const stem = invitation.name.split('/').at(-1);
  const [leaf] = certificatesIn(chain);
  isKeySaved = false;
  fill(
    byId('files'),
    file(`${stem}-key.pem`, 'Private key: for this device and nobody else', await keyPem(keys), () => (isKeySaved = true)),
    file(`${stem}.pem`, 'Certificate, with the one that issued it', chain),
    file('authority.pem', 'Authority: whom the device trusts', invitation.roots),
  );
  byId('valid').textContent = `${invitation.name} has a certificate until ${moment(endOf(leaf) / 1000)}.`;
  byId('status').textContent = byId('valid').textContent;
  byId('invitation').hidden = true;
  byId('done').hidden = false;
  byId('done-title').focus();
}

function file(name, about, text, taken = () => {}) {
  // An address within this page: nothing goes over the network.
  const href = URL.createObjectURL(new Blob([text], { type: 'application/x-pem-file' }));
  const copy = element('button', { type: 'button', class: 'small', 'aria-label': `Copy ${name}` }, 'Copy');
  copy.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(text);
      taken();
      copy.textContent = 'Copied';
      byId('status').textContent = `${name} is copied.`;
    } catch {
      copy.textContent = 'Not allowed: save it';
    }
  });
  return element(
    'li',
    {},
    element('span', {}, element('strong', {}, breakable(name)), element('span', { class: 'hint' }, about)),
    element('a', { class: 'button', href, download: name, 'aria-label': `Save ${name}`, onclick: taken }, 'Save'),
    copy,
  );
}

async function asked(path, more = {}) {
  let response;
  try {
    response = await fetch(path, { cache: 'no-store', ...more });
  } catch (error) {
    throw Problem.local('PAGE.NODE_UNREACHABLE', error.message);
  }
  if (!response.ok) throw await Problem.fromResponse(response);
  return response;
}

function refuse(problem) {
  showRefusal(byId('refusal'), problem instanceof Problem ? problem : Problem.local('PAGE.BAD_ANSWER', String(problem)));
}

enrol.addEventListener('click', () => void getCertificate());
// Another code that is opened in this tab changes the fragment only.
addEventListener('hashchange', () => {
  if (location.hash !== '') void begin();
});
addEventListener('beforeunload', (event) => {
  if (!isKeySaved) event.preventDefault();
});
void begin();
