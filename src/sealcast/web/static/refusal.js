// One refusal as the pages of administration show it: what happened, why, what to do next, its code.

import { commandsIn, element, fill } from './elements.js';

/** `wait` is a paragraph of the caller's, for a countdown. */
export function showRefusal(root, problem, wait = null) {
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
