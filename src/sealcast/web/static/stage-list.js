// Draws the six stages: as this browser sees them, and under each how the node saw the same one.

import { breakable, element, fill } from './elements.js';
import { STAGES } from './stages.js';

const STATE_WORDS = { waiting: 'waiting', active: 'under way', done: 'done', failed: 'failed', held: 'waiting, and tried again' };

/** "0.4 ms", "12 ms", "1.3 s" */
export function duration(ms) {
  if (ms === null || ms === undefined) return '';
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(1)} s`;
}

export class StageList {
  #items = new Map();

  constructor(root) {
    fill(
      root,
      STAGES.map(({ name, label, about }) => {
        const item = {
          here: element('span', { class: 'stage-here' }),
          node: element('span', { class: 'stage-node' }),
          word: element('span', { class: 'visually-hidden' }),
        };
        item.root = element(
          'li',
          { class: 'stage', 'data-stage': name, title: about },
          element('span', { class: 'stage-mark', 'aria-hidden': 'true' }),
          element('span', { class: 'stage-label' }, label, item.word),
          element('span', { class: 'stage-about' }, about),
          item.here,
          item.node,
        );
        this.#items.set(name, item);
        return item.root;
      }),
    );
  }

  /** `stages` from a StageTracker; `nodeStages` as the node lists them, or null. */
  update(stages, nodeStages) {
    for (const stage of stages) {
      const item = this.#items.get(stage.name);
      // A failure that is tried again by itself is a wait, and does not shout.
      const shown = stage.state === 'failed' && stage.problem.retryAfter !== null ? 'held' : stage.state;
      item.root.dataset.state = shown;
      if (stage.state === 'active') item.root.setAttribute('aria-current', 'step');
      else item.root.removeAttribute('aria-current');
      item.word.textContent = `: ${STATE_WORDS[shown]}`;
      fill(item.here, stage.state === 'failed' ? breakable(stage.problem.code) : duration(stage.tookMs));
      const seen = nodeStages?.find((candidate) => candidate.stage === stage.name);
      fill(item.node, seen ? nodeWords(seen) : '');
      item.node.dataset.outcome = seen?.outcome ?? '';
    }
  }
}

function nodeWords({ outcome, code, started_ms: began, ended_ms: ended }) {
  if (outcome === 'failed') return ['node: ', ...breakable(code)];
  if (outcome === 'done') return began === null || ended === null ? 'node: done' : `node: ${duration(ended - began)}`;
  return outcome === 'started' ? 'node: under way' : '';
}
