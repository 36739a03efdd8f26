// The publish page: sends a camera or the test picture by WHIP, and shows the leg that it goes over.

import { forgetToken, rememberToken, streamName, streamPath, takeToken } from './address.js';
import { offerToConsole } from './console-face.js';
import { byId, element, fill, passFocus } from './elements.js';
import { FailureView } from './failure.js';
import { guard } from './leg-watchdog.js';
import { LegView } from './leg-view.js';
import { meterRows, showState } from './page-state.js';
import { Problem } from './problem.js';
import { startTestPicture } from './test-picture.js';
import { MediaSession } from './whip-whep.js';

// In the order in which they are offered to the person: what most viewers can decode stands first.
const CODECS = ['H264', 'VP8', 'VP9', 'AV1'];

const stream = streamName('publish');
const video = byId('video');
const failure = new FailureView(byId('failure'));
const view = new LegView({
  stageList: byId('stage-list'),
  seal: byId('seal'),
  announce: byId('announce'),
  onUpdate: updated,
});

let token = takeToken();
let source = null;
let peer = null;
let session = null;
let unguard = () => {};

offerToConsole(view, () => ({ peer, session }));

const setting = (id) => byId(id).value;

async function openSource() {
  const [width, height] = setting('size').split('x').map(Number);
  if (new FormData(byId('publish-form')).get('source') === 'picture') {
    return startTestPicture({ width, height, busy: setting('detail') === 'busy', title: stream });
  }
  if (!navigator.mediaDevices) throw Problem.local('PAGE.CAMERA_REFUSED', 'This page was not opened over HTTPS.');
  try {
    const media = await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30 } },
      audio: { channelCount: { ideal: 2 } },
    });
    return { stream: media, stop: () => media.getTracks().forEach((track) => track.stop()) };
  } catch (error) {
    throw Problem.fromDevice(error);
  }
}

async function start() {
  failure.hide();
  if (stream === '') {
    over(Problem.local('PAGE.NO_STREAM'));
    return;
  }
  if (typeof RTCPeerConnection === 'undefined') {
    over(Problem.local('PAGE.NO_WEBRTC'));
    return;
  }
  const typed = setting('token').trim();
  if (typed) {
    token = typed;
    rememberToken(token);
    byId('token').value = '';
  }
  showPublishing(true);
  showState('joining');
  try {
    source ??= await openSource();
  } catch (problem) {
    over(problem);
    return;
  }
  video.srcObject = source.stream;
  byId('waiting').hidden = true;
  await connect();
}

/** One session for the source that runs; called again when a session was lost, the source goes on meanwhile. */
async function connect() {
  disconnect();
  if (!source) return;
  showState('joining');
  peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  for (const track of source.stream.getTracks()) {
    const isVideo = track.kind === 'video';
    const transceiver = peer.addTransceiver(track, {
      direction: 'sendonly',
      streams: [source.stream],
      sendEncodings: isVideo ? [{ maxBitrate: Number(setting('bitrate')) }] : [{}],
    });
    if (isVideo) transceiver.setCodecPreferences?.(preferredCodecs(setting('codec')));
  }
  session = new MediaSession({ peer, endpoint: streamPath('whip', stream), token });
  const mine = session;
  unguard = guard(peer, session, {
    moving: () => showState('moving'),
    settled: () => showState('live'),
    over: (problem) => void explain(mine, problem),
  });
  view.follow(peer, session);
  try {
    await session.open();
    if (session === mine) view.tracker.done('signalling');
  } catch (problem) {
    if (session === mine) over(problem);
  }
}

function disconnect() {
  unguard();
  view.release();
  fill(byId('meter'));
  session?.close();
  session = null;
  peer = null;
}

function stop() {
  disconnect();
  source?.stop();
  source = null;
  video.srcObject = null;
  showPublishing(false);
  byId('waiting').hidden = false;
  byId('waiting-text').textContent = 'Stopped. Nothing is being sent.';
  showState('stopped');
}

/** The chosen codec alone, with what carries its retransmissions: then there is nothing to guess about what is sent. */
function preferredCodecs(name) {
  const { codecs } = RTCRtpSender.getCapabilities('video');
  const chosen = codecs.filter(({ mimeType, sdpFmtpLine = '' }) => {
    if (mimeType !== `video/${name}`) return false;
    // RFC 6184 §6.2: mode 0 would forbid NAL units larger than a packet.
    return name !== 'H264' || sdpFmtpLine.includes('packetization-mode=1');
  });
  return [...chosen, ...codecs.filter(({ mimeType }) => mimeType === 'video/rtx')];
}

/** The node often knows more than the browser of why a leg ended: its code and sentence go first. */
async function explain(mine, problem) {
  const leg = await view.askNode();
  if (session !== mine) return;
  over(Problem.fromLeg(leg, problem));
}

function over(problem) {
  const shown = problem instanceof Problem ? problem : Problem.local('PAGE.BAD_ANSWER', String(problem));
  // Back by itself only when the path or the node was lost. A leg that the node ended may have been taken over by the
  // same person elsewhere: two pages that push one another out would never stop.
  const again = shown.code === 'PAGE.PATH_LOST' || shown.code === 'PAGE.NODE_UNREACHABLE';
  if (!again) shown.retryAfter = null;
  view.tracker.fail(shown);
  disconnect();
  if (!again) {
    source?.stop();
    source = null;
    video.srcObject = null;
    showPublishing(false);
  }
  byId('waiting').hidden = true;
  if (shown.status === 401 || shown.status === 403) {
    forgetToken();
    token = '';
    showTokenField();
  }
  showState(again ? 'waiting' : 'failed');
  failure.show(shown, () => void (source ? connect() : start()));
}

function updated({ evidence, rates }) {
  const sending = (evidence.sent.video?.packets ?? 0) > 0;
  if (sending && document.body.dataset.state === 'joining') showState('live');
  if (sending && byId('share').hidden) showShare();
  fill(
    byId('meter'),
    meterRows(evidence, rates).map(([label, value]) =>
      element('div', {}, element('dt', { class: 'visually-hidden' }, label), element('dd', {}, value)),
    ),
  );
}

function showPublishing(on) {
  const [shown, gone] = on ? [byId('stop'), byId('start')] : [byId('start'), byId('stop')];
  shown.hidden = false;
  passFocus(gone, shown);
  gone.hidden = true;
  byId('silence').hidden = !on;
  if (on) passFocus(byId('publish-form'), shown);
  byId('publish-form').hidden = on;
  if (!on) byId('share').hidden = true;
  drawSilence();
}

function showShare() {
  const link = new URL(streamPath('watch', stream), location.origin).href;
  byId('share-link').href = link;
  byId('share-link').textContent = link;
  byId('share').hidden = false;
}

function showTokenField() {
  byId('token-field').hidden = token !== '';
}

function drawSilence() {
  const muted = source?.stream.getAudioTracks().some((track) => !track.enabled) ?? false;
  byId('silence').textContent = muted ? 'Sound on' : 'Mute';
}

function drawSource() {
  byId('detail-field').hidden = new FormData(byId('publish-form')).get('source') !== 'picture';
}

byId('publish-form').addEventListener('submit', (event) => {
  event.preventDefault();
  void start();
});
byId('publish-form').addEventListener('change', drawSource);
byId('stop').addEventListener('click', stop);
byId('silence').addEventListener('click', () => {
  for (const track of source?.stream.getAudioTracks() ?? []) track.enabled = !track.enabled;
  drawSilence();
});
byId('share-copy').addEventListener('click', async () => {
  try {
    await navigator.clipboard.writeText(byId('share-link').href);
    byId('share-copy').textContent = 'Copied';
  } catch {
    byId('share-copy').textContent = 'Select and copy it';
  }
});
addEventListener('pagehide', disconnect);
addEventListener('pageshow', (event) => {
  if (event.persisted && source) void connect();
});

byId('stream-name').textContent = stream || 'No stream';
document.title = stream ? `Publish ${stream} · sealcast` : document.title;
if (stream) byId('token-command').textContent = `sealcast token publish ${stream} --for 1h`;
const able = new Set((globalThis.RTCRtpSender?.getCapabilities('video')?.codecs ?? []).map(({ mimeType }) => mimeType));
fill(
  byId('codec'),
  CODECS.filter((name) => able.has(`video/${name}`)).map((name) => element('option', { value: name }, name)),
);
showTokenField();
drawSource();
showState('idle');
