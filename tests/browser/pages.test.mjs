// The parts of the pages that need no browser. Run by `node --test`, and by test_page_modules.py.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

import { streamName, streamPath } from '../../src/sealcast/web/static/address.js';
import { endOf } from '../../src/sealcast/web/static/certificate.js';
import { TAG, der, fromPem, pemOf, unsigned, values } from '../../src/sealcast/web/static/der.js';
import { dtlsVersion, fingerprintsOf, ratesBetween, srtpProfile } from '../../src/sealcast/web/static/evidence.js';
import { filterOf, queryOf } from '../../src/sealcast/web/static/identity-filter.js';
import { bySoonest, moment, reason, summary, timeLeft } from '../../src/sealcast/web/static/identity-standing.js';
import { Problem } from '../../src/sealcast/web/static/problem.js';
import { buildFragment, credentialsOf, mergeFragment } from '../../src/sealcast/web/static/sdpfrag.js';
import { sealFacts } from '../../src/sealcast/web/static/seal.js';
import { keyPem, makeKey, requestPem, signatureOf } from '../../src/sealcast/web/static/signing-request.js';
import { StageTracker } from '../../src/sealcast/web/static/stages.js';
import { iceServersOf } from '../../src/sealcast/web/static/whip-whep.js';

const OFFER = [
  'v=0',
  'o=- 1 2 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'a=group:BUNDLE 0 1',
  'a=ice-options:trickle',
  'm=video 9 UDP/TLS/RTP/SAVPF 96',
  'a=ice-ufrag:old',
  'a=ice-pwd:oldpasswordoldpasswordold',
  'a=mid:0',
  'a=candidate:1 1 udp 1 192.0.2.1 1 typ host',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111',
  'a=ice-ufrag:old',
  'a=ice-pwd:oldpasswordoldpasswordold',
  'a=mid:1',
  '',
].join('\r\n');

test('a fragment carries the credentials, the group and the candidates of the first section', () => {
  const fragment = buildFragment(OFFER, [{ candidate: 'candidate:2 1 udp 1 192.0.2.2 5 typ host' }, null]);
  assert.equal(
    fragment,
    [
      'a=ice-options:trickle',
      'a=group:BUNDLE 0 1',
      'm=video 9 UDP/TLS/RTP/SAVPF 96',
      'a=mid:0',
      'a=ice-ufrag:old',
      'a=ice-pwd:oldpasswordoldpasswordold',
      'a=candidate:2 1 udp 1 192.0.2.2 5 typ host',
      'a=end-of-candidates',
      '',
    ].join('\r\n'),
  );
});

test('an answer to an ICE restart replaces credentials everywhere and candidates once, and nothing else', () => {
  const answer = 'a=ice-ufrag:new\r\na=ice-pwd:newpasswordnewpasswordnew\r\na=candidate:9 1 udp 1 192.0.2.9 9 typ host\r\n';
  const merged = mergeFragment(OFFER, answer);
  assert.deepEqual(credentialsOf(merged), { ufrag: 'new', pwd: 'newpasswordnewpasswordnew' });
  assert.equal(merged.match(/a=ice-ufrag:new/g).length, 2);
  assert.deepEqual(merged.match(/a=candidate:.*/g).map((line) => line.trim()), ['a=candidate:9 1 udp 1 192.0.2.9 9 typ host']);
  const bare = (sdp) => sdp.replace(/a=(ice-|candidate).*\r\n/g, '');
  assert.equal(bare(merged), bare(OFFER));
});

test('a fragment without candidates keeps those that are known', () => {
  const merged = mergeFragment(OFFER, 'a=ice-ufrag:new\r\na=ice-pwd:newpasswordnewpasswordnew\r\n');
  assert.match(merged, /192\.0\.2\.1 1 typ host/);
});

test('a fragment without credentials is refused', () => {
  assert.throws(() => mergeFragment(OFFER, 'a=mid:0\r\n'), /no ICE credentials/);
});

test('a stream name may have slashes and letters that a path escapes', () => {
  assert.equal(streamName('watch', '/watch/venue/stage-1'), 'venue/stage-1');
  assert.equal(streamName('watch', '/watch/caf%C3%A9/1/'), 'café/1');
  assert.equal(streamName('watch', '/watch/'), '');
  assert.equal(streamPath('whep', 'venue/stage 1'), '/whep/venue/stage%201');
});

test('ICE servers are read from a Link header, commas in quotes included', () => {
  const link =
    '<stun:stun.example.net>; rel="ice-server", <turn:turn.example.net?transport=udp>; rel="ice-server"; ' +
    'username="user,1"; credential="pa;ss"; credential-type="password", <https://example.net/>; rel="other"';
  assert.deepEqual(iceServersOf(link), [
    { urls: 'stun:stun.example.net' },
    { urls: 'turn:turn.example.net?transport=udp', username: 'user,1', credential: 'pa;ss' },
  ]);
  assert.deepEqual(iceServersOf(null), []);
});

test('wire names of versions and profiles become the names of the registry', () => {
  assert.equal(dtlsVersion('FEFC'), '1.3');
  assert.equal(dtlsVersion('fefd'), '1.2');
  assert.equal(srtpProfile('SRTP_AES128_CM_HMAC_SHA1_80'), 'AES128_CM_SHA1_80');
  assert.equal(srtpProfile('AES_CM_128_HMAC_SHA1_80'), 'AES128_CM_SHA1_80');
  assert.equal(srtpProfile('SRTP_AEAD_AES_128_GCM'), 'AEAD_AES_128_GCM');
  assert.deepEqual(fingerprintsOf('v=0\r\na=fingerprint:SHA-256 ab:cd\r\n'), ['sha-256 AB:CD']);
});

test('stages go in order and each is timed from the end of the one before', () => {
  let now = 1000;
  const tracker = new StageTracker(() => now);
  tracker.start();
  now += 40;
  tracker.done('signalling');
  now += 5;
  tracker.observe(evidence({ iceConnectionState: 'connected' }));
  now += 7;
  tracker.observe(evidence({ iceConnectionState: 'connected', dtlsState: 'connected' }));
  assert.deepEqual(
    tracker.stages.map(({ name, state, tookMs }) => [name, state, tookMs]),
    [
      ['signalling', 'done', 40],
      ['path', 'done', 5],
      ['handshake', 'done', 7],
      ['identity', 'done', 0],
      ['keys', 'done', 0],
      ['media', 'active', null],
    ],
  );
});

test('a certificate other than the named one fails the identity stage and nothing after it begins', () => {
  const tracker = new StageTracker(() => 0);
  tracker.start();
  tracker.done('signalling');
  tracker.observe(evidence({ dtlsState: 'connected', identityProved: false, remoteFingerprint: 'sha-256 00' }));
  assert.equal(tracker.current.name, 'identity');
  assert.equal(tracker.current.problem.code, 'PAGE.IDENTITY_MISMATCH');
  tracker.observe(evidence({ dtlsState: 'connected', identityProved: true }));
  assert.equal(tracker.stages.at(-1).state, 'waiting');
});

test('a problem document becomes stage, sentence, detail, code and next step', async () => {
  const body = {
    type: 'urn:sealcast:code:TOKEN.EXPIRED',
    title: 'The token has expired.',
    detail: 'It ended at 12:00.',
    code: 'TOKEN.EXPIRED',
    stage: 'identity',
    remedy: 'Ask for a new one.',
  };
  const headers = { 'content-type': 'application/problem+json', 'retry-after': '7' };
  const problem = await Problem.fromResponse(new Response(JSON.stringify(body), { status: 401, headers }));
  assert.deepEqual(
    [problem.stage, problem.title, problem.detail, problem.code, problem.remedy, problem.retryAfter],
    ['identity', 'The token has expired.', 'It ended at 12:00.', 'TOKEN.EXPIRED', 'Ask for a new one.', 7],
  );
});

test('an answer that is no problem document still has a sentence and a next step', async () => {
  const problem = await Problem.fromResponse(new Response('<html>', { status: 406 }));
  assert.equal(problem.code, 'HTTP.406');
  assert.ok(problem.title && problem.remedy);
});

test('a fact that both ends state alike is marked so, and one that differs is not hidden', () => {
  const leg = { seal: { protocol: 'DTLS', version: '1.3', cipher: 'TLS_AES_128_GCM_SHA256', srtp_profile: 'AEAD_AES_128_GCM' } };
  const seen = evidence({ tlsVersion: 'FEFC', dtlsCipher: 'TLS_AES_256_GCM_SHA384', srtpCipher: 'SRTP_AEAD_AES_128_GCM' });
  const known = Object.fromEntries(sealFacts(leg, seen).map((fact) => [fact.label, fact.known]));
  assert.equal(known.Protocol, 'both');
  assert.equal(known.Cipher, 'differs');
  assert.equal(known['Media protection'], 'both');
});

test('rates are per second between two readings', () => {
  const reading = (at, bytes, packets, lost, frames) =>
    evidence({ at, received: { video: { bytes, packets, lost, frames }, audio: null } });
  const rates = ratesBetween(reading(1000, 0, 0, 0, 0), reading(3000, 250_000, 190, 10, 60));
  assert.deepEqual(rates, { bitsPerSecond: 1_000_000, framesPerSecond: 30, lossShare: 0.05 });
  assert.equal(ratesBetween(null, reading(1, 1, 1, 1, 1)), null);
});

function evidence(facts) {
  const nothing = { video: null, audio: null };
  return { received: nothing, sent: nothing, iceConnectionState: 'new', connectionState: 'new', ...facts };
}

test('a failure of the node carries the instance that leads to the line of its log', async () => {
  const answer = (told) => new Response(JSON.stringify(told), { status: 500, headers: { 'content-type': 'application/problem+json' } });
  const named = await Problem.fromResponse(answer({ code: 'HTTP.INTERNAL', instance: 'urn:uuid:1' }));
  assert.equal(named.instance, 'urn:uuid:1');
  const unnamed = await Problem.fromResponse(answer({ code: 'HTTP.INTERNAL' }));
  assert.equal(unnamed.instance, null);
});

const DAY_S = 86400;
const identity = (name, left, more = {}) => ({
  ...{ name, side: 'client', left_s: left, revoked_unix: null, revoked_why: null },
  ...{ state: 'revoked_unix' in more ? 'revoked' : left <= 0 ? 'expired' : 'valid', ...more },
});

test('what ends soonest stands first, and after all others what was revoked, the last first', () => {
  const listed = bySoonest([
    identity('revoked-long-ago', -DAY_S, { revoked_unix: 10 }),
    identity('valid', 80 * DAY_S),
    identity('revoked-now', 80 * DAY_S, { revoked_unix: 20 }),
    identity('b', DAY_S),
    identity('a', DAY_S, { side: 'server' }),
    identity('a', DAY_S),
    identity('expired', -5),
  ]);
  assert.deepEqual(
    listed.map(({ name, side }) => (side === 'client' ? name : `${name} ${side}`)),
    ['expired', 'a', 'a server', 'b', 'valid', 'revoked-now', 'revoked-long-ago'],
  );
});

test('what is left is said in the unit that counts, never more than there is', () => {
  const told = [90 * DAY_S - 1, 2 * DAY_S, 2 * DAY_S - 1, 3600, 3599, 59, 0, -61, -3 * DAY_S].map((left) => timeLeft(identity('a', left)));
  assert.deepEqual(told, [
    ...['89 days left', '2 days left', '47 h left', '1 h left', '59 min left', 'less than a minute left'],
    ...['expired less than a minute ago', 'expired 1 min ago', 'expired 3 days ago'],
  ]);
  assert.equal(timeLeft(identity('a', DAY_S, { revoked_unix: 1 })), 'revoked');
});

test('moments are in UTC to the minute, and reasons are words', () => {
  assert.equal(moment(0), '1970-01-01 00:00Z');
  assert.equal(reason('keyCompromise'), 'key compromise');
  assert.equal(reason('cessationOfOperation'), 'cessation of operation');
  assert.equal(reason(null), '');
});

test('the summary counts what wants attention', () => {
  assert.equal(summary([], 0), '0 identities');
  assert.equal(summary([identity('a', DAY_S)], 1), '1 identity');
  const all = [identity('a', DAY_S), identity('b', -1), identity('c', 5, { state: 'due' }), identity('d', 5, { revoked_unix: 1 })];
  assert.equal(summary(all, 4), '4 identities: 1 expired, 1 due, 1 revoked');
  assert.equal(summary(all, 200), '4 of 200 identities: 1 expired, 1 due, 1 revoked');
});

test('a filter of identities is the same in the address, in the question and in the form', () => {
  for (const query of ['', '?name=encoder/venue-*', '?name=viewer/**&state=due&state=expired&legs=live', '?legs=live']) {
    assert.equal(queryOf(filterOf(query)), query);
  }
  assert.equal(queryOf({ name: ' a&b=c#d ', states: [], live: false }), '?name=a%26b%3Dc%23d', 'what is typed stays a value');
  assert.equal(queryOf({ name: ' ', states: [], live: false }), '');
});

const hex = (bytes) => Buffer.from(bytes).toString('hex');

function openssl(input, ...words) {
  const done = spawnSync('openssl', words, { input, encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
  return done.stdout;
}

test('OpenSSL reads each signing request, and finds its signature good and its key the one that is handed out', async () => {
  // Half of all numbers have a first bit that is set, one in 256 has an octet less: several of each kind.
  for (let round = 0; round < 24; round += 1) {
    const keys = await makeKey();
    const request = await requestPem(keys);
    const read = openssl(request, 'req', '-verify', '-noout', '-pubkey');
    const key = await keyPem(keys);
    assert.equal(openssl(key, 'pkey', '-pubout'), read);
    assert.match(openssl(key, 'pkey', '-noout', '-text'), /prime256v1/);
  }
});

test('a number in DER is never negative and never longer than it must be', () => {
  assert.equal(hex(unsigned(new Uint8Array([0, 0, 0x7f]))), '02017f');
  assert.equal(hex(unsigned(new Uint8Array([0x80, 1]))), '0203008001');
  assert.equal(hex(unsigned(new Uint8Array([0, 0]))), '020100');
  const raw = new Uint8Array(64);
  raw.set([0xff], 0);
  raw.set([0x01], 63);
  assert.equal(hex(signatureOf(raw)), `30260221 00ff${'00'.repeat(31)} 020101`.replaceAll(' ', ''));
});

test('lengths in DER are short, or as many octets as they need, and what is cut off is refused', () => {
  for (const size of [0, 1, 127, 128, 255, 256, 65_535, 65_536]) {
    const written = der(TAG.sequence, new Uint8Array(size));
    const [{ tag, value }, ...more] = values(written);
    assert.deepEqual([tag, value.length, more.length], [TAG.sequence, size, 0]);
    if (size > 0) assert.throws(() => values(written.subarray(0, -1)), RangeError);
  }
  assert.equal(hex(der(TAG.sequence, new Uint8Array(128)).subarray(0, 3)), '308180');
  assert.throws(() => values(new Uint8Array([0x30])), RangeError);
  assert.throws(() => values(new Uint8Array([0x30, 0x82, 0x01])), RangeError);
});

test('PEM comes back as it went', () => {
  const bytes = Uint8Array.from({ length: 200 }, (_, index) => index);
  const text = pemOf('CERTIFICATE', bytes);
  assert.ok(text.split('\n').every((line) => line.length <= 64));
  assert.deepEqual(fromPem('CERTIFICATE', text + text), [bytes, bytes]);
  assert.deepEqual(fromPem('CERTIFICATE', 'nothing'), []);
});

test('the end of a certificate is read from both kinds of time', () => {
  const at = (tag, text) => der(tag, Buffer.from(text));
  const certificate = (end) => {
    const validity = der(TAG.sequence, at(TAG.utcTime, '261121120000Z'), end);
    const none = der(TAG.sequence);
    return der(TAG.sequence, der(TAG.sequence, der(TAG.first), unsigned(new Uint8Array([7])), none, none, validity, none), none);
  };
  assert.equal(endOf(certificate(at(TAG.utcTime, '270219120001Z'))).toISOString(), '2027-02-19T12:00:01.000Z');
  assert.equal(endOf(certificate(at(TAG.utcTime, '500101000000Z'))).getUTCFullYear(), 1950);
  assert.equal(endOf(certificate(at(TAG.time, '20500101000000Z'))).getUTCFullYear(), 2050);
});
