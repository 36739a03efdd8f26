// What this page says of a certificate: its fingerprint and its end. Does not: judge it; a handshake does.

import { TAG, fromPem, values } from './der.js';

/** The certificates of a PEM text, as DER. */
export function certificatesIn(text) {
  return fromPem('CERTIFICATE', text);
}

/** The SHA-256 of a certificate, 64 hexadecimal digits. */
export async function fingerprintOf(certificate) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', certificate));
  return [...digest].map((octet) => octet.toString(16).padStart(2, '0')).join('');
}

/** When a certificate ends. */
export function endOf(certificate) {
  const [{ value: whole }] = values(certificate);
  const [{ value: body }] = values(whole);
  // RFC 5280 §4.1: version, serial, algorithm, issuer, validity.
  const [, , , , { value: validity }] = values(body);
  const [, { tag, value }] = values(validity);
  const text = String.fromCharCode(...value);
  // RFC 5280 §4.1.2.5.1: two digits of a year are of 1950 to 2049.
  const full = tag === TAG.utcTime ? `${Number(text.slice(0, 2)) < 50 ? '20' : '19'}${text}` : text;
  return new Date(full.replace(/^(....)(..)(..)(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}
