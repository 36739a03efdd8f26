// Shows one failure: its stage, what happened, why, and the next step; and counts down to the next try, if there is one.

import { commandsIn, element, fill, passFocus } from './elements.js';
import { STAGES } from './stages.js';

export class FailureView {
  #root;
  #timer = null;

  constructor(root) {
    this.#root = root;
  }

  /** `again` is called by the button, and by itself after `problem.retryAfter` seconds when that is a number. */
  show(problem, again) {
    this.hide();
    const stage = STAGES.find(({ name }) => name === problem.stage);
    const wait = element('p', { class: 'failure-wait' });
    const goAgain = () => {
      this.hide();
      again();
    };
    const gentle = problem.retryAfter !== null;
    this.#root.dataset.kind = gentle ? 'wait' : 'stop';
    fill(
      this.#root,
      element(
        'div',
        { class: 'failure-card', role: 'group', 'aria-label': 'What went wrong' },
        element('p', { class: 'failure-stage' }, `${gentle ? 'Waiting at' : 'Failed at'}: ${stage?.label ?? problem.stage}`),
        element('p', { class: 'failure-title' }, problem.title),
        problem.detail ? element('p', { class: 'failure-detail' }, problem.detail) : null,
        problem.remedy ? element('p', { class: 'failure-remedy' }, element('strong', {}, 'Next: '), commandsIn(problem.remedy)) : null,
        problem.instance ? element('p', { class: 'failure-instance' }, 'Instance: ', element('code', {}, problem.instance)) : null,
        element(
          'div',
          { class: 'failure-foot' },
          element('button', { type: 'button', class: 'primary', onclick: goAgain }, 'Try again'),
          wait,
          element('code', { class: 'failure-code' }, problem.code),
        ),
      ),
    );
    this.#root.hidden = false;
    if (gentle) this.#countDown(problem.retryAfter, wait, goAgain);
  }

  hide() {
    clearTimeout(this.#timer);
    this.#timer = null;
    // The button that was pressed goes away: the keyboard stays at the picture.
    passFocus(this.#root, this.#root.parentElement);
    this.#root.hidden = true;
    fill(this.#root);
  }

  #countDown(seconds, wait, goAgain) {
    if (seconds <= 0) {
      goAgain();
      return;
    }
    wait.textContent = `Trying again in ${Math.ceil(seconds)} s`;
    this.#timer = setTimeout(() => this.#countDown(seconds - 1, wait, goAgain), Math.min(seconds, 1) * 1000);
  }
}
