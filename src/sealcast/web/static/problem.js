// One failure, as people see it: the stage it happened in, what happened, why, and what to do next.
//
// Does: turns the node's problem details (RFC 9457) and the browser's own errors into the same shape.
// Does not: show anything; see failure.js.

/** What the browser alone can find out. The node's codes come with their own sentences. */
const LOCAL = {
  'PAGE.NO_STREAM': {
    stage: 'signalling',
    title: 'This address names no stream.',
    remedy: 'Open the list of streams, or ask for the full address.',
  },
  'PAGE.NODE_UNREACHABLE': {
    stage: 'signalling',
    title: 'The node does not answer.',
    remedy: 'Check the network, and that the node is running at this address. This page keeps trying.',
  },
  'PAGE.BAD_ANSWER': {
    stage: 'signalling',
    title: 'The node’s answer could not be used.',
    remedy: 'Tell the operator of the node; the detail says what the browser objected to.',
  },
  'PAGE.NO_WEBRTC': {
    stage: 'signalling',
    title: 'This browser has WebRTC switched off.',
    remedy: 'Allow WebRTC in the browser’s settings, or use another browser.',
  },
  'PAGE.CAMERA_REFUSED': {
    stage: 'signalling',
    title: 'The browser may not use the camera or the microphone.',
    remedy: 'Allow both for this address in the browser’s site settings, then start again. The test picture needs neither.',
  },
  'PAGE.CAMERA_MISSING': {
    stage: 'signalling',
    title: 'No camera or microphone was found.',
    remedy: 'Connect one, or choose the test picture.',
  },
  'PAGE.CAMERA_BUSY': {
    stage: 'signalling',
    title: 'The camera or the microphone is in use by another program.',
    remedy: 'Close the other program, then start again.',
  },
  'PAGE.PATH_FAILED': {
    stage: 'path',
    title: 'No path to the node was found: no UDP packet came back.',
    remedy: 'A firewall may block UDP to the node’s media port. Try another network, or ask the operator which port to open.',
  },
  'PAGE.PATH_LOST': {
    stage: 'path',
    title: 'The path to the node was lost.',
    remedy: 'Check the network. This page joins again by itself.',
  },
  'PAGE.HANDSHAKE_FAILED': {
    stage: 'handshake',
    title: 'The DTLS handshake with the node failed.',
    remedy: 'The node’s own view names the cause, if it is shown below. Someone between may be altering packets.',
  },
  'PAGE.IDENTITY_MISMATCH': {
    stage: 'identity',
    title: 'The media leg’s certificate is not the one that the node named.',
    remedy: 'Do not go on: someone may stand between. Tell the operator of the node.',
  },
  'PAGE.NO_INVITATION': {
    stage: 'signalling',
    title: 'This address carries no token.',
    remedy: 'Scan the code that `sealcast identity token NAME --qr` shows, or open the whole address beneath it; it is good once.',
  },
  'PAGE.NO_CRYPTO': {
    stage: 'signalling',
    title: 'This browser makes no keys.',
    remedy: 'Use a newer browser, or have the files made by `sealcast identity issue NAME`.',
  },
  'PAGE.OTHER_AUTHORITY': {
    stage: 'identity',
    title: 'The authority of this node is not the one that the code names.',
    remedy: 'Do not go on: ask for a new code, and compare the fingerprint. The token was not sent.',
  },
  'PAGE.NO_MEDIA': {
    stage: 'media',
    title: 'The leg is sealed, but no media arrives.',
    remedy: 'The publisher may have paused. This page keeps waiting.',
  },
  'PAGE.ENDED': {
    stage: 'media',
    title: 'The node ended this leg.',
    remedy: 'The publisher may have stopped. This page joins again when the stream is back.',
  },
};

/** What people at a page do, where the node's own words are for those who write to it. */
const AT_A_PAGE = {
  'TOKEN.MISSING': 'Open the whole address that came with your token, or enter the token below.',
};

/** Names that a status has when the answer has no problem details of its own. */
const BY_STATUS = {
  401: ['The node asks for a token.', 'Open the address that came with your token, or enter the token below.'],
  403: ['This token does not admit you here.', 'Ask for a token for this stream and this purpose.'],
  404: ['The node knows no such address.', 'Check the stream’s name.'],
  406: ['This browser cannot decode the stream’s format.', 'Try another browser.'],
  409: ['The stream is not live.', 'This page tries again by itself.'],
  413: ['The offer is larger than the node accepts.', 'Tell the operator of the node.'],
  415: ['The node does not take this kind of body.', 'Tell the operator of the node.'],
  429: ['Too many requests.', 'This page tries again by itself.'],
  503: ['The node is busy or shutting down.', 'This page tries again by itself.'],
};

const STAGE_NAMES = new Set(['signalling', 'path', 'handshake', 'identity', 'keys', 'media']);

/**
 * A failure that can be shown. `retryAfter` is in seconds, or null when trying again by itself makes no sense; `instance`
 * names this one occurrence in the node's log (RFC 9457 §3.1.5), where the node gave it a name.
 */
export class Problem extends Error {
  constructor({ stage = 'signalling', title, detail = '', code, remedy = '', status = 0, retryAfter = null, instance = null }) {
    super(detail ? `${title} ${detail}` : title);
    this.name = 'Problem';
    Object.assign(this, { stage, title, detail, code, remedy, status, retryAfter, instance });
  }

  /** One of the page's own codes. */
  static local(code, detail = '', more = {}) {
    return new Problem({ code, detail, ...LOCAL[code], ...more });
  }

  /** From an HTTP answer that is not a success (RFC 9457; members `code`, `remedy` and `stage` are the node's). */
  static async fromResponse(response) {
    const [title, remedy] = BY_STATUS[response.status] ?? [`The node answered ${response.status}.`, 'Try again later.'];
    let told = {};
    if ((response.headers.get('content-type') ?? '').includes('json')) {
      told = await response.json().catch(() => ({}));
    }
    return new Problem({
      stage: STAGE_NAMES.has(told.stage) ? told.stage : 'signalling',
      title: told.title || title,
      detail: told.detail || '',
      code: told.code || `HTTP.${response.status}`,
      remedy: AT_A_PAGE[told.code] || told.remedy || remedy,
      status: response.status,
      retryAfter: retryAfter(response),
      instance: typeof told.instance === 'string' ? told.instance : null,
    });
  }

  /** Why the node says `leg` ended, where it says so; else `fallback`, what the browser saw. */
  static fromLeg(leg, fallback) {
    const end = leg?.end;
    if (!end) return fallback;
    return new Problem({
      stage: STAGE_NAMES.has(end.stage) ? end.stage : fallback.stage,
      title: end.sentence,
      detail: end.detail ?? '',
      code: end.code,
      remedy: end.remedy,
      retryAfter: fallback.retryAfter,
    });
  }

  /** From whatever getUserMedia threw. */
  static fromDevice(error) {
    const codes = {
      NotAllowedError: 'PAGE.CAMERA_REFUSED',
      SecurityError: 'PAGE.CAMERA_REFUSED',
      NotFoundError: 'PAGE.CAMERA_MISSING',
      OverconstrainedError: 'PAGE.CAMERA_MISSING',
      NotReadableError: 'PAGE.CAMERA_BUSY',
    };
    return Problem.local(codes[error.name] ?? 'PAGE.CAMERA_MISSING', error.message);
  }
}

function retryAfter(response) {
  const value = response.headers.get('retry-after');
  if (value === null) return response.status === 409 || response.status === 429 || response.status === 503 ? 3 : null;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return Math.min(Math.max(seconds, 1), 60);
  const date = Date.parse(value);
  return Number.isNaN(date) ? 3 : Math.min(Math.max((date - Date.now()) / 1000, 1), 60);
}
