// What this browser itself can prove of its media leg, read from getStats (W3C Identifiers for WebRTC's Statistics).
//
// Does: condenses the report into one plain object. Does not: believe the node; this is the other half of the seal.

/** DTLS wire versions as getStats prints them (RFC 9147 §5.3, RFC 6347 §4.1). */
const DTLS_VERSIONS = { FEFC: '1.3', FEFD: '1.2', FEFF: '1.0' };

/** The browsers' spellings of SRTP profiles, less their prefix, in the words of RFC 5764 and RFC 7714. */
const SRTP_PROFILES = {
  AES_CM_128_HMAC_SHA1_80: 'AES128_CM_SHA1_80',
  AES128_CM_HMAC_SHA1_80: 'AES128_CM_SHA1_80',
  AES_CM_128_HMAC_SHA1_32: 'AES128_CM_SHA1_32',
  AES128_CM_HMAC_SHA1_32: 'AES128_CM_SHA1_32',
};

export const dtlsVersion = (wire) => (wire ? (DTLS_VERSIONS[wire.toUpperCase()] ?? wire) : null);

export function srtpProfile(name) {
  if (!name) return null;
  const bare = name.replace(/^SRTP_/, '');
  return SRTP_PROFILES[bare] ?? bare;
}

/** "sha-256 AB:CD:…" of every fingerprint line of a description. */
export function fingerprintsOf(sdp) {
  return [...sdp.matchAll(/^a=fingerprint:(\S+) (\S+)/gm)].map(
    ([, algorithm, value]) => `${algorithm.toLowerCase()} ${value.toUpperCase()}`,
  );
}

/** Reads a peer connection's statistics into one object; absent facts are null, counters start at 0. */
export async function readEvidence(peer) {
  // Chromium keeps what its first report said of certificates: asked before the handshake, it would never show the node's.
  const isSecured = peer.connectionState === 'connected' || dtlsStateOf(peer) === 'connected';
  const report = isSecured ? await peer.getStats() : new Map();
  const all = [...report.values()];
  const transport = all.find((entry) => entry.type === 'transport') ?? null;
  const pair =
    report.get(transport?.selectedCandidatePairId) ??
    all.find((entry) => entry.type === 'candidate-pair' && entry.nominated && entry.state === 'succeeded') ??
    null;
  const remoteCertificate = report.get(transport?.remoteCertificateId);
  const localCertificate = report.get(transport?.localCertificateId);
  const fingerprint = (entry) =>
    entry ? `${entry.fingerprintAlgorithm.toLowerCase()} ${entry.fingerprint.toUpperCase()}` : null;
  const remoteFingerprint = fingerprint(remoteCertificate);
  return {
    at: performance.now(),
    connectionState: peer.connectionState,
    iceConnectionState: peer.iceConnectionState,
    dtlsState: transport?.dtlsState ?? dtlsStateOf(peer),
    dtlsRole: transport?.dtlsRole ?? null,
    tlsVersion: transport?.tlsVersion ?? null,
    dtlsCipher: transport?.dtlsCipher ?? null,
    srtpCipher: transport?.srtpCipher ?? null,
    tlsGroup: transport?.tlsGroup ?? null,
    remoteFingerprint,
    // Its own certificate a browser names in its own description, also where its statistics do not show it.
    localFingerprint: fingerprint(localCertificate) ?? fingerprintsOf(peer.localDescription?.sdp ?? '')[0] ?? null,
    identityProved: isNamed(peer.remoteDescription, remoteFingerprint),
    path: pair ? pathOf(report, pair) : null,
    // Every path that was proved: of several good ones the two ends may rightly use different ones for a moment.
    provedPaths: all
      .filter((entry) => entry.type === 'candidate-pair' && entry.state === 'succeeded')
      .map((entry) => pathOf(report, entry)),
    roundTripMs: pair?.currentRoundTripTime === undefined ? null : pair.currentRoundTripTime * 1000,
    availableOutgoingBitrate: pair?.availableOutgoingBitrate ?? null,
    received: direction(report, all, 'inbound-rtp'),
    sent: direction(report, all, 'outbound-rtp'),
  };
}

/** Whether the answer names this fingerprint; null where it cannot be told. */
function isNamed(description, fingerprint) {
  if (!description || fingerprint === null) return null;
  const [algorithm] = fingerprint.split(' ');
  // A browser may keep only one of several lines in what it shows of the description, and of another hash.
  const comparable = fingerprintsOf(description.sdp).filter((named) => named.startsWith(`${algorithm} `));
  return comparable.length === 0 ? null : comparable.includes(fingerprint);
}

/** RTCDtlsTransport's own state, where the statistics have none. */
function dtlsStateOf(peer) {
  const sides = [...peer.getSenders(), ...peer.getReceivers()];
  return sides.find((side) => side.transport)?.transport.state ?? null;
}

function pathOf(report, pair) {
  const end = (id) => {
    const candidate = report.get(id);
    if (!candidate) return null;
    const address = candidate.address ?? candidate.ip ?? '?';
    const host = address.includes(':') ? `[${address}]` : address;
    return { address: `${host}:${candidate.port}`, type: candidate.candidateType, protocol: candidate.protocol };
  };
  return { local: end(pair.localCandidateId), remote: end(pair.remoteCandidateId) };
}

function direction(report, all, type) {
  const found = {};
  for (const entry of all) {
    if (entry.type !== type) continue;
    const codec = report.get(entry.codecId);
    const remote = report.get(entry.remoteId);
    const source = report.get(entry.mediaSourceId);
    found[entry.kind] = {
      codec: codec?.mimeType?.split('/')[1] ?? null,
      parameters: codec?.sdpFmtpLine ?? null,
      packets: entry.packetsReceived ?? entry.packetsSent ?? 0,
      bytes: entry.bytesReceived ?? entry.bytesSent ?? 0,
      lost: entry.packetsLost ?? remote?.packetsLost ?? 0,
      jitterMs: entry.jitter === undefined ? null : entry.jitter * 1000,
      frames: entry.framesDecoded ?? entry.framesEncoded ?? 0,
      framesPerSecond: entry.framesPerSecond ?? null,
      width: entry.frameWidth ?? null,
      height: entry.frameHeight ?? null,
      keyFrames: entry.keyFramesDecoded ?? entry.keyFramesEncoded ?? 0,
      retransmitted: entry.retransmittedPacketsReceived ?? entry.retransmittedPacketsSent ?? 0,
      nacks: entry.nackCount ?? 0,
      plis: entry.pliCount ?? 0,
      freezes: entry.freezeCount ?? 0,
      audioEnergy: entry.totalAudioEnergy ?? source?.totalAudioEnergy ?? 0,
      audioLevel: entry.audioLevel ?? source?.audioLevel ?? null,
      limitedBy: entry.qualityLimitationReason ?? null,
      encoder: entry.encoderImplementation ?? null,
      decoder: entry.decoderImplementation ?? null,
      reported: remote !== undefined,
    };
  }
  return { video: found.video ?? null, audio: found.audio ?? null };
}

/** Rates between two readings: bits and frames per second, and the share of packets lost in between. */
export function ratesBetween(before, after) {
  if (!before || !after) return null;
  const seconds = (after.at - before.at) / 1000;
  if (seconds <= 0) return null;
  const grown = (side, kind, field) => Math.max(0, (after[side][kind]?.[field] ?? 0) - (before[side][kind]?.[field] ?? 0));
  const side = after.sent.video || after.sent.audio ? 'sent' : 'received';
  const packets = grown(side, 'video', 'packets') + grown(side, 'audio', 'packets');
  const lost = grown(side, 'video', 'lost') + grown(side, 'audio', 'lost');
  return {
    bitsPerSecond: (8 * (grown(side, 'video', 'bytes') + grown(side, 'audio', 'bytes'))) / seconds,
    framesPerSecond: grown(side, 'video', 'frames') / seconds,
    lossShare: packets + lost === 0 ? 0 : lost / (packets + lost),
  };
}
