// How an identity stands: what it is called, how urgent it is, how long it has left.
//
// Does: turns what `GET /api/identities` says into words and an order. Does not: show anything, or judge; the node says
// how it stands (`state`) and what is left.

const MINUTE_S = 60;
const HOUR_S = 3600;
const DAY_S = 86400;

/** What ends soonest first; after all others what was revoked, the last first: nothing is left to do there. */
export function bySoonest(identities) {
  const isOver = ({ state }) => state === 'revoked';
  return [...identities].sort(
    (a, b) =>
      isOver(a) - isOver(b) ||
      (isOver(a) ? b.revoked_unix - a.revoked_unix : a.left_s - b.left_s) ||
      a.name.localeCompare(b.name, 'en') ||
      a.side.localeCompare(b.side, 'en'),
  );
}

/** "89.9 days left", "7 h left", "expired 2 days ago"; of what was revoked "revoked". */
export function timeLeft(one) {
  if (one.state === 'revoked') return 'revoked';
  return one.state === 'expired' ? `expired ${duration(-one.left_s)} ago` : `${duration(one.left_s)} left`;
}

function duration(seconds) {
  if (seconds < MINUTE_S) return 'less than a minute';
  if (seconds < HOUR_S) return `${Math.floor(seconds / MINUTE_S)} min`;
  if (seconds < 2 * DAY_S) return `${Math.floor(seconds / HOUR_S)} h`;
  return `${Math.floor(seconds / DAY_S)} days`;
}

/** "2026-03-01 12:00Z", as `sealcast doors` writes it. */
export function moment(unix) {
  return `${new Date(unix * 1000).toISOString().slice(0, 16).replace('T', ' ')}Z`;
}

/** The reason of a revocation (RFC 5280 §5.3.1) in words: "key compromise". */
export function reason(name) {
  return name ? name.replace(/(?<=[a-z])(?=[A-Z])/g, ' ').toLowerCase() : '';
}

/** "4 identities: 1 expired, 1 revoked"; "4 of 200 identities: …" where there are more than are shown. */
export function summary(identities, total) {
  const counted = new Map();
  for (const { state } of identities) counted.set(state, (counted.get(state) ?? 0) + 1);
  const told = ['expired', 'due', 'revoked'].filter((state) => counted.has(state)).map((state) => `${counted.get(state)} ${state}`);
  const some = identities.length === total ? '' : `${identities.length} of `;
  const all = `${some}${total} ${total === 1 ? 'identity' : 'identities'}`;
  return told.length === 0 ? all : `${all}: ${told.join(', ')}`;
}
