// One leg on the page: its stages, its seal and its meter, kept up to date from both ends until it is let go.
//
// Does: polls this browser's evidence and the node's statement, moves the stage tracker, redraws. Does not: open or
// close the leg; the page does.

import { readEvidence, ratesBetween } from './evidence.js';
import { SealView } from './seal.js';
import { StageList } from './stage-list.js';
import { STAGES, StageTracker } from './stages.js';

// Quick while the leg comes up, so that a stage's time is its own; calm once media flows.
const RISING_MS = 100;
const LIVE_MS = 1000;
// The node's own statement is asked for at most this often.
const NODE_MS = 1000;
// Rates over less than this jump about.
const RATE_MS = 900;

export class LegView {
  tracker = new StageTracker();
  evidence = null;
  rates = null;
  leg = null;

  #stageList;
  #seal;
  #announce;
  #onUpdate;
  #peer = null;
  #session = null;
  #timer = null;
  #askedNodeAt = -Infinity;
  #rateFrom = null;
  #saidStage = '';
  #saidFailure = '';

  constructor({ stageList, seal, announce, onUpdate = () => {} }) {
    this.#stageList = new StageList(stageList);
    this.#seal = new SealView(seal);
    this.#announce = announce;
    this.#onUpdate = onUpdate;
    this.tracker.addEventListener('changed', () => this.#draw());
    this.#draw();
  }

  /** Follows a new leg from its very start. */
  follow(peer, session) {
    this.release();
    this.#peer = peer;
    this.#session = session;
    this.evidence = null;
    this.rates = null;
    this.leg = null;
    this.#askedNodeAt = -Infinity;
    this.#rateFrom = null;
    this.tracker.start();
    this.#seal.update(null, null);
    for (const event of ['iceconnectionstatechange', 'connectionstatechange']) {
      peer.addEventListener(event, () => this.#poll(peer));
    }
    this.#schedule(RISING_MS);
  }

  /** Stops polling; what was last seen stays on the page. */
  release() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#peer = null;
    this.#session = null;
  }

  /** Asks the node once more, so that a failed leg shows the node's reason too. Never throws. */
  async askNode() {
    const session = this.#session;
    if (!session) return null;
    this.#askedNodeAt = performance.now();
    try {
      this.leg = (await session.leg()) ?? this.leg;
    } catch {
      // The media leg may be fine while the node's HTTPS door is not: what is known stays.
    }
    this.#draw();
    return this.leg;
  }

  #schedule(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#poll(this.#peer), ms);
  }

  async #poll(peer) {
    if (peer === null || peer !== this.#peer || peer.signalingState === 'closed') return;
    const evidence = await readEvidence(peer);
    if (peer !== this.#peer) return;
    this.evidence = evidence;
    if (!this.#rateFrom || evidence.at - this.#rateFrom.at >= RATE_MS) {
      this.rates = ratesBetween(this.#rateFrom, evidence);
      this.#rateFrom = evidence;
    }
    this.tracker.observe(evidence);
    if (this.#session?.resource && performance.now() - this.#askedNodeAt >= NODE_MS) void this.askNode();
    this.#draw();
    this.#onUpdate(this);
    this.#schedule(this.tracker.isDone ? LIVE_MS : RISING_MS);
  }

  #draw() {
    const stages = this.tracker.stages;
    this.#stageList.update(stages, this.leg?.stages ?? null);
    this.#seal.update(this.leg, this.evidence);
    this.#say(stages);
  }

  /**
   * Tells people who listen rather than look; only when a stage begins or fails, and once. A page that tries again by
   * itself and meets the same failure says nothing more.
   */
  #say(stages) {
    const current = this.tracker.current;
    const label = STAGES.find(({ name }) => name === current?.name)?.label;
    let sentence = this.#saidStage;
    if (current?.state === 'failed') {
      const { title, remedy, retryAfter } = current.problem;
      sentence = `${retryAfter === null ? `${label} failed` : `Waiting at ${label}`}. ${title} ${remedy}`;
      if (sentence === this.#saidFailure) return;
      this.#saidFailure = sentence;
    } else if (current) {
      if (this.#saidFailure !== '' && current.name === STAGES[0].name) return;
      sentence = `${label}…`;
    } else if (stages.every(({ state }) => state === 'done')) {
      sentence = 'Media is flowing. The leg is sealed.';
      this.#saidFailure = '';
    }
    if (sentence !== this.#saidStage) {
      this.#saidStage = sentence;
      this.#announce.textContent = sentence;
    }
  }
}
