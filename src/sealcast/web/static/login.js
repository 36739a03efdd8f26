// Logging in: account, password and code go to the node once; what comes back is a cookie that no script can read.
//
// Does: says what the node said, counts down where it says to wait. Does not: keep anything that was typed.

import { whoAdministers } from './admin-session.js';
import { byId, element } from './elements.js';
import { Problem } from './problem.js';
import { showRefusal } from './refusal.js';

const form = byId('login-form');
const enter = byId('enter');
const code = byId('code');
const refusal = byId('refusal');
let timer = null;

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  refusal.hidden = true;
  enter.disabled = true;
  enter.textContent = 'Logging in…';
  const told = { account: byId('account').value, password: byId('password').value, code: code.value };
  const problem = await logIn(told);
  if (problem === null) {
    location.replace('/admin');
    return;
  }
  enter.textContent = 'Log in';
  enter.disabled = false;
  show(problem);
});

/** Null when it was good. */
async function logIn(told) {
  let response;
  try {
    response = await fetch('/api/admin/login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(told),
      cache: 'no-store',
    });
  } catch (error) {
    return Problem.local('PAGE.NODE_UNREACHABLE', error.message);
  }
  return response.ok ? null : Problem.fromResponse(response);
}

function show(problem) {
  // A code is good once, and soon over: it is typed anew in any case.
  code.value = '';
  // A timer is read when it is looked for, not at each second, as the rest of an alert would be.
  const wait = element('p', { class: 'refusal-wait', role: 'timer' });
  showRefusal(refusal, problem, problem.code === 'ADMIN.TOO_MANY' ? wait : null);
  code.focus();
  clearTimeout(timer);
  if (problem.code === 'ADMIN.TOO_MANY') countDown(Math.ceil(problem.retryAfter), wait);
}

function countDown(seconds, wait) {
  enter.disabled = seconds > 0;
  wait.textContent = seconds > 0 ? `The next attempt is taken in ${seconds} s.` : 'The next attempt is taken now.';
  if (seconds > 0) timer = setTimeout(() => countDown(seconds - 1, wait), 1000);
}

// Who is known already, by certificate or by a session that still runs, has nothing to type.
const known = await whoAdministers();
if (known.name) location.replace('/admin');
