// Asks the node again and again while the page is looked at, as an administrator.

import { Problem } from './problem.js';

/**
 * Begins at once. `shown` gets each answer, `refused` the Problem of each that is none; who is no longer logged in is
 * sent to do so. A page that nobody looks at asks nothing, so it does not keep a session alive.
 */
export function keepAsking(path, everyMs, { shown, refused }) {
  let timer = null;
  let asking = false;

  async function ask() {
    if (asking || document.hidden) return;
    clearTimeout(timer);
    asking = true;
    try {
      const response = await fetch(path, { headers: { accept: 'application/json' }, cache: 'no-store' });
      if (response.status === 401) {
        location.replace('/admin/login');
        return;
      }
      if (response.ok) shown(await response.json());
      else refused(await Problem.fromResponse(response));
    } catch (error) {
      refused(Problem.local('PAGE.NODE_UNREACHABLE', error.message));
    } finally {
      asking = false;
    }
    timer = setTimeout(ask, everyMs);
  }

  document.addEventListener('visibilitychange', ask);
  void ask();
}
