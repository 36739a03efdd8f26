// Asks the node again and again while the page is looked at, as an administrator.

import { Problem } from './problem.js';

/**
 * Begins at once, and gives a function that asks now. `path()` is what to ask; an answer to what is asked no more is
 * left out. `shown` gets each answer, `refused` the Problem of each that is none; who is no longer logged in is
 * sent to do so. A page that nobody looks at asks nothing, so it does not keep a session alive.
 */
export function keepAsking(path, everyMs, { shown, refused }) {
  let timer = null;
  let asking = false;

  async function ask() {
    if (asking || document.hidden) return;
    clearTimeout(timer);
    asking = true;
    const asked = path();
    const isMeant = () => asked === path();
    try {
      const response = await fetch(asked, { headers: { accept: 'application/json' }, cache: 'no-store' });
      if (response.status === 401) {
        location.replace('/admin/login');
        return;
      }
      const told = response.ok ? await response.json() : await Problem.fromResponse(response);
      if (isMeant()) (response.ok ? shown : refused)(told);
    } catch (error) {
      refused(Problem.local('PAGE.NODE_UNREACHABLE', error.message));
    } finally {
      asking = false;
    }
    timer = setTimeout(ask, isMeant() ? everyMs : 0);
  }

  document.addEventListener('visibilitychange', ask);
  void ask();
  return ask;
}
