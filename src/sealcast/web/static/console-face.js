// `globalThis.sealcast`: the live leg for the browser's console and for tests. Reads only, but for the ICE restart.

import { readEvidence } from './evidence.js';

/** `live()` gives the page's present { peer, session }, either of which may be null. */
export function offerToConsole(view, live) {
  globalThis.sealcast = Object.freeze({
    get pc() {
      return live().peer;
    },
    get resource() {
      return live().session?.resource ?? null;
    },
    get leg() {
      return view.leg;
    },
    get stages() {
      return view.tracker.stages;
    },
    stats: async () => (live().peer ? readEvidence(live().peer) : null),
    askNode: () => view.askNode(),
    restartIce: () => live().session?.restartIce(),
  });
}
