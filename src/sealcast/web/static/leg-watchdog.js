// Watches one peer connection and says when its leg is in trouble or over.
//
// Does: gives path and handshake a deadline each (a browser may look for a path for minutes), tries an ICE restart when
// the path stops answering, and names the failure. Does not: join again or show anything; its caller does.

import { Problem } from './problem.js';

// From the node's answer to the first path, and from there to the end of the handshake. Shorter than the node's own
// deadlines, so that the page tells first.
const PATH_MS = 15_000;
const HANDSHAKE_MS = 15_000;
// A browser calls a path disconnected after a few lost checks; a short dip heals by itself.
const PATIENCE_MS = 2000;
// The restart has this long before the leg is called lost.
const RESTART_MS = 8000;

/** Calls `moving()` when a restart begins, `settled()` when the path is back, `over(problem)` once at the end. */
export function guard(peer, session, { moving, settled, over }) {
  let wasConnected = false;
  let isMoving = false;
  let ended = false;
  let timer = null;
  let rising = null;

  const finish = (problem) => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    clearTimeout(rising);
    over(problem);
  };

  const restart = async () => {
    isMoving = true;
    moving();
    timer = setTimeout(() => finish(Problem.local('PAGE.PATH_LOST', '', { retryAfter: 1 })), RESTART_MS);
    try {
      await session.restartIce();
    } catch (problem) {
      // 404: the node has given the session up; a new one is the way on. Otherwise the old path may still heal.
      if (problem.status === 404) finish(Problem.local('PAGE.ENDED', '', { retryAfter: 1 }));
    }
  };

  const expect = (code, ms) => {
    clearTimeout(rising);
    rising = setTimeout(() => finish(Problem.local(code)), ms);
  };

  const changed = () => {
    if (ended || peer.signalingState === 'closed') return;
    const ice = peer.iceConnectionState;
    const dtls = dtlsTransportOf(peer)?.state;
    if (dtls === 'failed' && (ice === 'connected' || ice === 'completed')) {
      finish(Problem.local('PAGE.HANDSHAKE_FAILED'));
    } else if (dtls === 'closed') {
      finish(Problem.local('PAGE.ENDED', '', { retryAfter: 2 }));
    } else if (ice === 'connected' || ice === 'completed') {
      clearTimeout(timer);
      timer = null;
      if (isMoving) settled();
      isMoving = false;
      if (!wasConnected) expect('PAGE.HANDSHAKE_FAILED', HANDSHAKE_MS);
      wasConnected = true;
      if (dtls === 'connected' || peer.connectionState === 'connected') clearTimeout(rising);
    } else if (!wasConnected && ice === 'failed') {
      finish(Problem.local('PAGE.PATH_FAILED'));
    } else if (wasConnected && ice === 'failed') {
      clearTimeout(timer);
      void restart();
    } else if (wasConnected && ice === 'disconnected' && timer === null) {
      timer = setTimeout(() => void restart(), PATIENCE_MS);
    }
  };

  peer.addEventListener('iceconnectionstatechange', changed);
  peer.addEventListener('connectionstatechange', changed);
  // The DTLS transport exists once the descriptions are set, and is one and the same for all media (BUNDLE).
  peer.addEventListener('signalingstatechange', () => {
    const transport = dtlsTransportOf(peer);
    if (transport) transport.onstatechange = changed;
    if (peer.signalingState === 'stable' && !wasConnected) expect('PAGE.PATH_FAILED', PATH_MS);
  });
  return () => {
    ended = true;
    clearTimeout(timer);
    clearTimeout(rising);
  };
}

function dtlsTransportOf(peer) {
  return [...peer.getSenders(), ...peer.getReceivers()].find((side) => side.transport)?.transport ?? null;
}
