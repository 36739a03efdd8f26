// SDP fragments for trickle ICE and ICE restart over HTTP (RFC 8840 §4.4, RFC 9725 §4.3).
//
// Does: builds the fragment for a PATCH, and writes the ICE lines of the node's answer to a restart into the
// description that the browser already holds: a browser takes a new remote ufrag only inside a whole description.
// Does not: touch any other line. Lines end in CRLF (RFC 8866 §5).

const CRLF = '\r\n';

const linesOf = (sdp) => sdp.split(/\r\n|\n/).filter((line) => line !== '');

/** The media sections of a description, each a list of lines; the first entry is the session's own. */
function sectionsOf(sdp) {
  const sections = [[]];
  for (const line of linesOf(sdp)) {
    if (line.startsWith('m=')) sections.push([]);
    sections.at(-1).push(line);
  }
  return sections;
}

const valueOf = (lines, prefix) => lines.find((line) => line.startsWith(prefix))?.slice(prefix.length);

/** The ICE user fragment and password of a description or fragment, wherever they stand. */
export function credentialsOf(sdp) {
  const lines = linesOf(sdp);
  return { ufrag: valueOf(lines, 'a=ice-ufrag:'), pwd: valueOf(lines, 'a=ice-pwd:') };
}

/**
 * A fragment with `candidates` (RTCIceCandidate, or null for the end) of the offer `sdp`. With BUNDLE all of them
 * belong to the first media section (RFC 9725 §4.3.1), and an ICE restart is the same fragment with new credentials.
 */
export function buildFragment(sdp, candidates) {
  const [session, first] = sectionsOf(sdp);
  if (!first) throw new Error('the offer has no media section');
  const { ufrag, pwd } = credentialsOf(sdp);
  const out = [];
  const options = session.find((line) => line.startsWith('a=ice-options:'));
  if (options) out.push(options);
  const group = session.find((line) => line.startsWith('a=group:BUNDLE'));
  if (group) out.push(group);
  out.push(first[0], `a=mid:${valueOf(first, 'a=mid:') ?? '0'}`, `a=ice-ufrag:${ufrag}`, `a=ice-pwd:${pwd}`);
  for (const candidate of candidates) {
    if (candidate === null || candidate.candidate === '') out.push('a=end-of-candidates');
    else out.push(`a=${candidate.candidate.replace(/^a=/, '')}`);
  }
  return out.join(CRLF) + CRLF;
}

/** The description `sdp` with the credentials and candidates of `fragment`: the node's answer to an ICE restart. */
export function mergeFragment(sdp, fragment) {
  const { ufrag, pwd } = credentialsOf(fragment);
  if (!ufrag || !pwd) throw new Error('the fragment names no ICE credentials');
  const candidates = linesOf(fragment).filter((line) => line.startsWith('a=candidate:'));
  const [session, ...media] = sectionsOf(sdp);
  const swap = (lines) =>
    lines.map((line) => {
      if (line.startsWith('a=ice-ufrag:')) return `a=ice-ufrag:${ufrag}`;
      if (line.startsWith('a=ice-pwd:')) return `a=ice-pwd:${pwd}`;
      return line;
    });
  const isCandidate = (line) => line.startsWith('a=candidate:') || line === 'a=end-of-candidates';
  const merged = [swap(session)];
  media.forEach((lines, index) => {
    // A fragment without candidates keeps the old ones: the node's own addresses do not change with its credentials.
    const kept = candidates.length > 0 ? lines.filter((line) => !isCandidate(line)) : lines;
    const added = candidates.length > 0 && index === 0 ? candidates : [];
    merged.push([...swap(kept), ...added]);
  });
  return merged.flat().join(CRLF) + CRLF;
}
