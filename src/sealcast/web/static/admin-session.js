// Who administers: what the node says of this browser's certificate or session, and how to end the session.

import { byId, element, fill } from './elements.js';
import { Problem } from './problem.js';

/** `{name, proof}` of an administrator; `{problem}` otherwise. */
export async function whoAdministers() {
  try {
    const response = await fetch('/api/admin/session', { headers: { accept: 'application/json' }, cache: 'no-store' });
    return response.ok ? await response.json() : { problem: await Problem.fromResponse(response) };
  } catch (error) {
    return { problem: Problem.local('PAGE.NODE_UNREACHABLE', error.message) };
  }
}

export async function logOut() {
  // Whatever becomes of it: the page that follows asks the node who this is.
  await fetch('/api/admin/logout', { method: 'POST' }).catch(() => null);
  location.replace('/admin/login');
}

/** The pages of administration, in the order of their links. A new page is one row here, one in pages.py and a file in rooms/. */
const ROOMS = [
  { path: '/admin', name: 'Legs' },
  { path: '/admin/identities', name: 'Identities' },
];

/**
 * Fills the header of a page of administration. Resolves to who administers; somebody who does not is sent to log in
 * and the promise stays open, so a page that awaits it shows nothing.
 */
export async function enterAdministration() {
  const who = await whoAdministers();
  if (who.problem?.status === 401) {
    location.replace('/admin/login');
    return new Promise(() => {});
  }
  fill(
    byId('rooms'),
    ROOMS.map(({ path, name }) =>
      element('a', { href: path, 'aria-current': path === location.pathname.replace(/\/+$/, '') ? 'page' : null }, name),
    ),
  );
  if (who.name) {
    const shown = who.name.replace(/^spiffe:\/\/[^/]+\//, '').replace(/^account\//, '');
    fill(
      byId('who'),
      element('span', { title: who.name }, shown),
      element('span', { class: 'who-proof' }, ` by ${who.proof}`),
      who.proof === 'password' ? element('button', { type: 'button', class: 'small', id: 'leave', onclick: logOut }, 'Log out') : null,
    );
  }
  return who;
}
