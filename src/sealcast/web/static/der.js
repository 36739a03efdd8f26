// DER and PEM, as much of them as a signing request and the end of a certificate need (X.690, RFC 7468).
//
// Does: writes values, reads them one after another. Does not: check what it reads beyond its lengths; the node's
// authority is the judge of requests, BoringSSL that of certificates.

export const TAG = Object.freeze({ integer: 0x02, bits: 0x03, oid: 0x06, utcTime: 0x17, time: 0x18, sequence: 0x30, first: 0xa0 });

/** One value: tag, length, and its contents one after another. */
export function der(tag, ...parts) {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  const written = new Uint8Array([tag, ...lengthOf(size), ...new Uint8Array(size)]);
  let at = written.length - size;
  for (const part of parts) {
    written.set(part, at);
    at += part.length;
  }
  return written;
}

/** X.690 §8.1.3: below 128 in one octet, else the octets of the length after their number. */
function lengthOf(size) {
  if (size < 0x80) return [size];
  const octets = [];
  for (let rest = size; rest > 0; rest >>>= 8) octets.unshift(rest & 0xff);
  return [0x80 | octets.length, ...octets];
}

/** A number of big-endian octets that is not negative: no octet more than it needs (X.690 §8.3.2). */
export function unsigned(octets) {
  const first = octets.findIndex((octet) => octet !== 0);
  const bare = first === -1 ? new Uint8Array(1) : octets.subarray(first);
  return der(TAG.integer, bare[0] & 0x80 ? [0] : [], bare);
}

/** The values that stand one after another in `bytes`: `{ tag, value }`. RangeError if they are cut off. */
export function values(bytes) {
  const found = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at];
    let size = bytes[at + 1];
    at += 2;
    if (size & 0x80) {
      const octets = bytes.subarray(at, at + (size & 0x7f));
      at += octets.length;
      size = octets.reduce((sum, octet) => sum * 256 + octet, 0);
    }
    if (!(at + size <= bytes.length)) throw new RangeError('DER that is cut off');
    found.push({ tag, value: bytes.subarray(at, at + size) });
    at += size;
  }
  return found;
}

export function pemOf(label, bytes) {
  const text = btoa(String.fromCharCode(...bytes));
  return [`-----BEGIN ${label}-----`, ...text.match(/.{1,64}/g), `-----END ${label}-----`, ''].join('\n');
}

/** What stands in the PEM blocks of a text with this label. */
export function fromPem(label, text) {
  const blocks = text.matchAll(new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`, 'g'));
  return [...blocks].map(([, block]) => Uint8Array.from(atob(block.replace(/\s/g, '')), (letter) => letter.charCodeAt(0)));
}
