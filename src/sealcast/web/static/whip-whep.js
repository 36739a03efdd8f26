// A WHIP (RFC 9725) or WHEP (draft-ietf-wish-whep-03) client: one media session with the node.
//
// Does: POST of the offer, answer, Location, ETag, Link ice-servers, trickle PATCH (RFC 8840), ICE restart, DELETE on
// leaving that survives the closing of the page. Does not: make tracks, show anything, or decide when to restart.
// The caller must: add its transceivers before open(), and close() when it leaves.

import { Problem } from './problem.js';
import { buildFragment, mergeFragment } from './sdpfrag.js';

const SDP = 'application/sdp';
const FRAGMENT = 'application/trickle-ice-sdpfrag';
// Candidates of one gathering come within a few milliseconds of each other: one PATCH carries them together.
const TRICKLE_GATHER_MS = 40;
const REQUEST_TIMEOUT_MS = 10_000;

export class MediaSession {
  #peer;
  #endpoint;
  #token;
  #resource = null;
  #etag = null;
  #candidates = [];
  #trickleTimer = null;
  // Requests on the resource go one after another: each needs the ETag that the one before it left.
  #queue = Promise.resolve();
  #closed = false;

  constructor({ peer, endpoint, token }) {
    this.#peer = peer;
    this.#endpoint = endpoint;
    this.#token = token;
    peer.addEventListener('icecandidate', (event) => this.#gathered(event.candidate));
  }

  /** The path of the session on the node, once it is open. */
  get resource() {
    return this.#resource;
  }

  /** Offers, and applies the node's answer. Throws a Problem. */
  async open() {
    await this.#peer.setLocalDescription();
    const response = await this.#request(this.#endpoint, {
      method: 'POST',
      headers: { 'content-type': SDP, accept: `${SDP}, application/problem+json` },
      body: this.#peer.localDescription.sdp,
    });
    if (response.status !== 201) throw await Problem.fromResponse(response);
    const location = response.headers.get('location');
    const answer = await response.text();
    if (!location) throw Problem.local('PAGE.BAD_ANSWER', 'It names no Location (RFC 9725 §4.2).');
    this.#resource = new URL(location, response.url).href;
    this.#etag = response.headers.get('etag');
    if (this.#closed) {
      // The page was left while the node was answering: the session must not stay behind.
      this.#delete();
      return;
    }
    this.#useIceServers(response.headers.get('link'));
    try {
      await this.#peer.setRemoteDescription({ type: 'answer', sdp: answer });
    } catch (error) {
      this.close();
      throw Problem.local('PAGE.BAD_ANSWER', error.message);
    }
    this.#trickleSoon();
  }

  /** Moves the leg to a new path without a new session (RFC 9725 §4.3.3). Throws a Problem; the old path lives on. */
  async restartIce() {
    if (!this.#resource || this.#closed) return;
    await this.#inTurn(async () => {
      this.#candidates = [];
      await this.#peer.setLocalDescription(await this.#peer.createOffer({ iceRestart: true }));
      let response;
      try {
        response = await this.#request(this.#resource, {
          method: 'PATCH',
          headers: { 'content-type': FRAGMENT, 'if-match': '*' },
          body: buildFragment(this.#peer.localDescription.sdp, []),
        });
        if (response.status !== 200) throw await Problem.fromResponse(response);
        const sdp = mergeFragment(this.#peer.remoteDescription.sdp, await response.text());
        await this.#peer.setRemoteDescription({ type: 'answer', sdp });
      } catch (error) {
        if (this.#peer.signalingState === 'have-local-offer') {
          await this.#peer.setLocalDescription({ type: 'rollback' });
        }
        throw error instanceof Problem ? error : Problem.local('PAGE.BAD_ANSWER', error.message);
      }
      this.#etag = response.headers.get('etag') ?? this.#etag;
    });
    this.#trickleSoon();
  }

  /** What the node says of this leg, or null when it says nothing. */
  async leg() {
    if (!this.#resource) return null;
    const response = await this.#request(`${this.#resource}/leg`, { headers: { accept: 'application/json' } });
    return response.ok ? response.json() : null;
  }

  /** Ends the session: DELETE, also while the page is being closed. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#trickleTimer);
    this.#peer.close();
    this.#delete();
  }

  #delete() {
    if (!this.#resource) return;
    // keepalive lets the request outlive the page. Nobody is left to read an error.
    fetch(this.#resource, { method: 'DELETE', headers: this.#authorization(), keepalive: true }).catch(() => {});
    this.#resource = null;
  }

  #gathered(candidate) {
    this.#candidates.push(candidate);
    this.#trickleSoon();
  }

  #trickleSoon() {
    if (!this.#resource || this.#closed || this.#trickleTimer !== null || this.#candidates.length === 0) return;
    this.#trickleTimer = setTimeout(() => {
      this.#trickleTimer = null;
      this.#inTurn(() => this.#trickle()).catch(() => {
        // The node finds our addresses from authenticated checks; what it is told here helps diagnosis only.
      });
    }, TRICKLE_GATHER_MS);
  }

  async #trickle() {
    const candidates = this.#candidates.splice(0);
    if (candidates.length === 0 || this.#closed || !this.#resource) return;
    await this.#request(this.#resource, {
      method: 'PATCH',
      headers: { 'content-type': FRAGMENT, ...(this.#etag ? { 'if-match': this.#etag } : {}) },
      body: buildFragment(this.#peer.localDescription.sdp, candidates),
    });
  }

  #inTurn(work) {
    const turn = this.#queue.then(work);
    this.#queue = turn.catch(() => {});
    return turn;
  }

  #authorization() {
    return this.#token ? { authorization: `Bearer ${this.#token}` } : {};
  }

  async #request(url, { headers = {}, ...rest }) {
    try {
      return await fetch(url, {
        ...rest,
        headers: { ...headers, ...this.#authorization() },
        cache: 'no-store',
        credentials: 'same-origin',
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
    } catch (error) {
      throw Problem.local('PAGE.NODE_UNREACHABLE', '', { retryAfter: 3, cause: error });
    }
  }

  #useIceServers(link) {
    const iceServers = iceServersOf(link);
    if (iceServers.length > 0) this.#peer.setConfiguration({ ...this.#peer.getConfiguration(), iceServers });
  }
}

/** The ICE servers of a Link header (RFC 9725 §4.6); values with commas inside quotes are kept whole. */
export function iceServersOf(link) {
  if (!link) return [];
  const servers = [];
  for (const [, url, parameters] of link.matchAll(/<([^>]+)>((?:\s*;\s*[\w-]+\s*=\s*(?:"[^"]*"|[^\s;,]+))*)/g)) {
    const found = {};
    for (const [, name, quoted, bare] of parameters.matchAll(/;\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([^\s;,]+))/g)) {
      found[name.toLowerCase()] = quoted ?? bare;
    }
    if (found.rel !== 'ice-server') continue;
    servers.push(
      found.username === undefined ? { urls: url } : { urls: url, username: found.username, credential: found.credential },
    );
  }
  return servers;
}
