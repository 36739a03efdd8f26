// One refusal as the pages of administration show it: what happened, why, what to do next, its code.

import { commandsIn, element, fill } from './elements.js';

// What each box shows: the same refusal again, as of a page that asks every few seconds, is not read aloud again.
const shown = new WeakMap();

/** `wait` is a paragraph of the caller's, for a countdown. */
export function showRefusal(root, problem, wait = null) {
  const key = JSON.stringify([problem.code, problem.title, problem.detail, problem.remedy]);
  if (wait === null && !root.hidden && shown.get(root) === key) return;
  shown.set(root, key);
  fill(
    root,
    element('p', { class: 'refusal-title' }, problem.title),
    problem.detail && wait === null ? element('p', {}, problem.detail) : null,
    wait,
    problem.remedy ? element('p', {}, element('strong', {}, 'Next: '), commandsIn(problem.remedy)) : null,
    element('code', { class: 'refusal-code' }, problem.code),
  );
  root.hidden = false;
}
