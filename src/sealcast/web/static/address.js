// What this page's address says: the stream, and the token that came in the fragment.
//
// Does: takes the token out of the address bar at once and keeps it for this tab only, so that a copied address or a
// screenshot does not give it away, and a reload still works. Does not: check the token; the node does.

const TOKEN_PREFIX = 'sealcast.token:';

/** The stream named by `/watch/<stream>` or `/publish/<stream>`; it may contain slashes. */
export function streamName(page, pathname = location.pathname) {
  const prefix = `/${page}/`;
  if (!pathname.startsWith(prefix)) return '';
  return pathname.slice(prefix.length).split('/').map(decodeURIComponent).join('/').replace(/\/+$/, '');
}

/** The path of a WHIP or WHEP endpoint, or of a page, for a stream. */
export function streamPath(kind, stream) {
  return `/${kind}/${stream.split('/').map(encodeURIComponent).join('/')}`;
}

/** The bearer token for this page: from the fragment, else what this tab kept. Empty when there is none. */
export function takeToken() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const token = fragment.get('token');
  if (token) {
    rememberToken(token);
    fragment.delete('token');
    const rest = fragment.toString();
    history.replaceState(null, '', location.pathname + location.search + (rest ? `#${rest}` : ''));
  }
  return token || recall();
}

/** Keeps a token for this tab and this page. */
export function rememberToken(token) {
  try {
    sessionStorage.setItem(TOKEN_PREFIX + location.pathname, token);
  } catch {
    // Storage may be refused by the browser's settings: then a reload asks for the token again.
  }
}

/** Forgets it: the node refused it. */
export function forgetToken() {
  try {
    sessionStorage.removeItem(TOKEN_PREFIX + location.pathname);
  } catch {
    // Nothing was kept, then.
  }
}

function recall() {
  try {
    return sessionStorage.getItem(TOKEN_PREFIX + location.pathname) ?? '';
  } catch {
    return '';
  }
}
