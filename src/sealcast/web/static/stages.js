// Where a leg is: signalling → path → handshake → identity → keys → media, as this browser sees it.
//
// Does: turns what the peer connection shows into six stages, each with a start, an end and an outcome; a stage begins
// when the one before it is done. Does not: touch the page, the network or a clock of its own (`now` is given).

import { Problem } from './problem.js';

/** In the order in which they must happen. */
export const STAGES = Object.freeze([
  { name: 'signalling', label: 'Signalling', about: 'Offer and answer over HTTPS' },
  { name: 'path', label: 'Path', about: 'UDP both ways, proved by ICE' },
  { name: 'handshake', label: 'Handshake', about: 'DTLS, with certificates on both sides' },
  { name: 'identity', label: 'Identity', about: 'The certificate is the one that was named' },
  { name: 'keys', label: 'Keys', about: 'SRTP keys taken from the handshake' },
  { name: 'media', label: 'Media', about: 'Packets opened, pictures decoded' },
]);

const INDEX = new Map(STAGES.map((stage, index) => [stage.name, index]));

/** Emits `changed` after each change. */
export class StageTracker extends EventTarget {
  #now;
  #origin = 0;
  #stages = [];

  constructor(now = () => performance.now()) {
    super();
    this.#now = now;
    this.reset();
  }

  /** All six, in order: { name, state: 'waiting' | 'active' | 'done' | 'failed', beganMs, tookMs, problem }. */
  get stages() {
    return this.#stages.map((stage) => ({ ...stage }));
  }

  /** The stage that is under way or failed, or null before the start and after the last. */
  get current() {
    return this.#stages.find((stage) => stage.state === 'active' || stage.state === 'failed') ?? null;
  }

  get isDone() {
    return this.#stages.every((stage) => stage.state === 'done');
  }

  reset() {
    this.#stages = STAGES.map(({ name }) => ({ name, state: 'waiting', beganMs: null, tookMs: null, problem: null }));
    this.#changed();
  }

  start() {
    this.reset();
    this.#origin = this.#now();
    this.#begin(0, 0);
    this.#changed();
  }

  /** `name` has succeeded; stages before it that nobody reported have too, since it could not have begun otherwise. */
  done(name) {
    const last = INDEX.get(name);
    const at = this.#now() - this.#origin;
    let moved = false;
    for (let index = 0; index <= last; index += 1) {
      const stage = this.#stages[index];
      if (stage.state === 'failed') return;
      if (stage.state === 'done') continue;
      if (stage.beganMs === null) this.#begin(index, at);
      stage.state = 'done';
      stage.tookMs = at - stage.beganMs;
      moved = true;
      if (index + 1 < this.#stages.length && this.#stages[index + 1].state === 'waiting') this.#begin(index + 1, at);
    }
    if (moved) this.#changed();
  }

  /** The leg is over, in the problem's stage. Later stages never began. */
  fail(problem) {
    const index = INDEX.get(problem.stage) ?? 0;
    const at = this.#now() - this.#origin;
    this.#stages.forEach((stage, position) => {
      if (position > index) Object.assign(stage, { state: 'waiting', beganMs: null, tookMs: null, problem: null });
      else if (position < index && stage.state === 'active') Object.assign(stage, { state: 'done', tookMs: at - stage.beganMs });
    });
    const stage = this.#stages[index];
    Object.assign(stage, { state: 'failed', problem, tookMs: stage.beganMs === null ? null : at - stage.beganMs });
    this.#changed();
  }

  /** Moves on as far as `evidence` (see evidence.js) proves. */
  observe(evidence) {
    if (this.current?.state === 'failed' || this.#stages[0].state !== 'done') return;
    const secured = evidence.dtlsState === 'connected' || evidence.connectionState === 'connected';
    if (secured || ['connected', 'completed'].includes(evidence.iceConnectionState)) this.done('path');
    if (!secured) return;
    this.done('handshake');
    // A browser compares the fingerprint itself before it exports keys (RFC 8827 §6.5); where its statistics show the
    // certificate, it is compared here once more.
    if (evidence.identityProved === false) {
      this.fail(Problem.local('PAGE.IDENTITY_MISMATCH', `Presented: ${evidence.remoteFingerprint}.`));
      return;
    }
    this.done('identity');
    this.done('keys');
    if (hasMedia(evidence)) this.done('media');
  }

  #begin(index, at) {
    Object.assign(this.#stages[index], { state: 'active', beganMs: at });
  }

  #changed() {
    this.dispatchEvent(new Event('changed'));
  }
}

function hasMedia({ received, sent }) {
  const decoded = (received.video?.frames ?? 0) > 0 || (!received.video && (received.audio?.packets ?? 0) > 0);
  return decoded || (sent.video?.packets ?? 0) > 0 || (!sent.video && (sent.audio?.packets ?? 0) > 0);
}
