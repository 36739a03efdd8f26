// A key of its own and a request to have it certified (PKCS#10, RFC 2986), by the browser's own cryptography.
//
// Does: P-256, signed with SHA-256. The request has no name in it: what the certificate is for, the token says. Does not:
// send or keep anything.

import { TAG, der, pemOf, unsigned } from './der.js';

const CURVE = { name: 'ECDSA', namedCurve: 'P-256' };
// ecdsa-with-SHA256, 1.2.840.10045.4.3.2 (RFC 5758 §3.2); it has no parameters.
const ALGORITHM = der(TAG.sequence, der(TAG.oid, [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]));

/** A fresh pair. It can be taken out, since a device is to have it. */
export function makeKey() {
  return crypto.subtle.generateKey(CURVE, true, ['sign', 'verify']);
}

/** The private key as PKCS#8 (RFC 5958), PEM. */
export async function keyPem({ privateKey }) {
  return pemOf('PRIVATE KEY', new Uint8Array(await crypto.subtle.exportKey('pkcs8', privateKey)));
}

/** The request, PEM. */
export async function requestPem({ publicKey, privateKey }) {
  const key = new Uint8Array(await crypto.subtle.exportKey('spki', publicKey));
  // RFC 2986 §4.1: version 0, subject, key, attributes; here the second and the last are empty.
  const asked = der(TAG.sequence, unsigned([0]), der(TAG.sequence), key, der(TAG.first));
  const signature = new Uint8Array(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, privateKey, asked));
  return pemOf('CERTIFICATE REQUEST', der(TAG.sequence, asked, ALGORITHM, der(TAG.bits, [0], signatureOf(signature))));
}

/** The browser gives r and s as one after the other; a request has them as a sequence (RFC 3279 §2.2.3). */
export function signatureOf(raw) {
  const half = raw.length / 2;
  return der(TAG.sequence, unsigned(raw.subarray(0, half)), unsigned(raw.subarray(half)));
}
