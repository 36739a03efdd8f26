// Shows one failure: its stage, what happened, why, and the next step; and counts down to the next try, if there is one.

import { commandsIn, element, fill, passFocus } from './elements.js';
import { STAGES } from './stages.js';

export class FailureView {
  #root;
  #timer = null;
  #kept = null;
  #again = () => {};
  #wait = null;

  constructor(root) {
    this.#root = root;
  }

  /** `again` is called by the button, and by itself after `problem.retryAfter` seconds when that is a number. */
  show(problem, again) {
    this.hide();
    const stage = STAGES.find(({ name }) => name === problem.stage)?.label ?? problem.stage;
    this.#again = () => {
      this.hide();
      again();
    };
    this.#draw(problem, `${problem.retryAfter === null ? 'Failed at' : 'Waiting at'}: ${stage}`);
    if (problem.retryAfter !== null) this.#countDown(problem.retryAfter);
  }

  /**
   * As `show`, but what happened stays where it is, the keyboard's place included, while `again` is tried every
   * `seconds`; until `hide`. `waiting` says in words what for.
   */
  keep(problem, again, seconds, waiting) {
    clearTimeout(this.#timer);
    this.#again = () => {
      clearTimeout(this.#timer);
      this.#wait.textContent = 'Trying again now';
      again();
    };
    if (this.#kept !== problem) {
      this.hide();
      this.#draw(problem, waiting);
      this.#kept = problem;
    }
    this.#countDown(seconds);
  }

  hide() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#kept = null;
    // The button that was pressed goes away: the keyboard stays at the picture.
    passFocus(this.#root, this.#root.parentElement);
    this.#root.hidden = true;
    fill(this.#root);
  }

  #draw(problem, where) {
    this.#wait = element('p', { class: 'failure-wait' });
    this.#root.dataset.kind = problem.retryAfter === null ? 'stop' : 'wait';
    fill(
      this.#root,
      element(
        'div',
        { class: 'failure-card', role: 'group', 'aria-label': 'What went wrong' },
        element('p', { class: 'failure-stage' }, where),
        element('p', { class: 'failure-title' }, problem.title),
        problem.detail ? element('p', { class: 'failure-detail' }, problem.detail) : null,
        problem.remedy ? element('p', { class: 'failure-remedy' }, element('strong', {}, 'Next: '), commandsIn(problem.remedy)) : null,
        problem.instance ? element('p', { class: 'failure-instance' }, 'Instance: ', element('code', {}, problem.instance)) : null,
        element(
          'div',
          { class: 'failure-foot' },
          element('button', { type: 'button', class: 'primary', onclick: () => this.#again() }, 'Try again'),
          this.#wait,
          element('code', { class: 'failure-code' }, problem.code),
        ),
      ),
    );
    this.#root.hidden = false;
  }

  #countDown(seconds) {
    if (seconds <= 0) {
      this.#again();
      return;
    }
    this.#wait.textContent = `Trying again in ${Math.ceil(seconds)} s`;
    this.#timer = setTimeout(() => this.#countDown(seconds - 1), Math.min(seconds, 1) * 1000);
  }
}
