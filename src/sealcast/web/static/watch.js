// The watch page: joins a stream by WHEP, plays it, and shows the leg it came over.

import { forgetToken, rememberToken, streamName, streamPath, takeToken } from './address.js';
import { offerToConsole } from './console-face.js';
import { byId, element, fill, passFocus } from './elements.js';
import { FailureView } from './failure.js';
import { guard } from './leg-watchdog.js';
import { LegView } from './leg-view.js';
import { meterRows, showState } from './page-state.js';
import { Problem } from './problem.js';
import { MediaSession } from './whip-whep.js';

const AWAY = new Set(['STREAM.ABSENT', 'STREAM.NOT_READY']);
// Nothing decoded for this long while the leg is up: the publisher has paused, and the page says so.
const STALL_MS = 3000;

const stream = streamName('watch');
const video = byId('video');
const controls = { play: byId('play'), mute: byId('mute'), volume: byId('volume'), full: byId('full') };
const failure = new FailureView(byId('failure'));
const view = new LegView({
  stageList: byId('stage-list'),
  seal: byId('seal'),
  announce: byId('announce'),
  onUpdate: updated,
});

let token = takeToken();
let peer = null;
let session = null;
let unguard = () => {};
let progress = { frames: 0, at: 0 };
// Why the node says that the leg ended, until pictures flow again. That the stream is away until then is no news, and
// must not stand in its place.
let reason = null;

offerToConsole(view, () => ({ peer, session }));

async function join() {
  leave();
  if (stream === '') {
    over(Problem.local('PAGE.NO_STREAM'));
    return;
  }
  if (typeof RTCPeerConnection === 'undefined') {
    over(Problem.local('PAGE.NO_WEBRTC'));
    return;
  }
  if (reason === null) showState('joining');
  showWaiting('Asking the node for the stream…');
  peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  const media = new MediaStream();
  peer.addEventListener('track', ({ track, receiver }) => {
    media.addTrack(track);
    // Live is what people came for: keep the browser's own buffer as small as the path allows.
    if ('jitterBufferTarget' in receiver) receiver.jitterBufferTarget = 0;
    if (video.srcObject !== media) video.srcObject = media;
    void play();
  });
  peer.addTransceiver('video', { direction: 'recvonly' });
  peer.addTransceiver('audio', { direction: 'recvonly' });
  session = new MediaSession({ peer, endpoint: streamPath('whep', stream), token });
  const mine = session;
  unguard = guard(peer, session, {
    moving: () => showState('moving'),
    settled: () => showState('live'),
    over: (problem) => void explain(mine, problem),
  });
  view.follow(peer, session);
  try {
    await session.open();
    if (session === mine) {
      view.tracker.done('signalling');
      showWaiting('Opening the sealed path…');
    }
  } catch (problem) {
    if (session === mine) over(problem);
  }
}

function leave() {
  unguard();
  view.release();
  session?.close();
  session = null;
  peer = null;
  progress = { frames: 0, at: performance.now() };
}

/** The node often knows more than the browser of why a leg ended: its code and sentence go first. */
async function explain(mine, problem) {
  const leg = await view.askNode();
  if (session !== mine) return;
  const told = Problem.fromLeg(leg, problem);
  if (told !== problem && told.retryAfter !== null) reason = told;
  over(told);
}

function over(problem) {
  const shown = problem instanceof Problem ? problem : Problem.local('PAGE.BAD_ANSWER', String(problem));
  view.tracker.fail(shown);
  leave();
  byId('waiting').hidden = true;
  // Nothing arrives any more.
  fill(byId('meter'));
  enableControls(false);
  if (shown.status === 401 || shown.status === 403) {
    forgetToken();
    token = '';
    byId('token-form').hidden = false;
  }
  showState(shown.retryAfter === null ? 'failed' : 'waiting');
  const again = () => void join();
  if (reason !== null && (shown === reason || AWAY.has(shown.code))) {
    failure.keep(reason, again, shown.retryAfter, 'Waiting for the stream to come back');
  } else failure.show(shown, again);
}

function updated({ evidence, rates }) {
  const frames = evidence.received.video?.frames ?? evidence.received.audio?.packets ?? 0;
  const now = performance.now();
  if (frames > progress.frames) {
    if (progress.frames === 0) {
      reason = null;
      failure.hide();
      byId('waiting').hidden = true;
      enableControls(true);
      passFocus(byId('token-form'), controls.play);
      byId('token-form').hidden = true;
    }
    progress = { frames, at: now };
    if (document.body.dataset.state !== 'moving') showState('live');
  } else if (document.body.dataset.state === 'live' && now - progress.at > STALL_MS && !video.paused) {
    showState('stalled');
  }
  fill(
    byId('meter'),
    meterRows(evidence, rates).map(([label, value]) =>
      element('div', {}, element('dt', { class: 'visually-hidden' }, label), element('dd', {}, value)),
    ),
  );
}

/** Plays with sound where the browser allows it, else silently with a button to turn the sound on. */
async function play() {
  try {
    await video.play();
  } catch (error) {
    if (error.name !== 'NotAllowedError') return;
    video.muted = true;
    byId('unmute').hidden = false;
    await video.play().catch(() => {});
  }
  drawControls();
}

function showWaiting(text) {
  byId('waiting').hidden = reason !== null;
  byId('waiting-text').textContent = text;
}

function enableControls(on) {
  for (const control of Object.values(controls)) control.disabled = !on;
  if (!on) byId('unmute').hidden = true;
  drawControls();
}

function drawControls() {
  controls.play.textContent = video.paused ? 'Play' : 'Pause';
  controls.mute.textContent = video.muted ? 'Sound on' : 'Mute';
  if (!video.muted) byId('unmute').hidden = true;
}

controls.play.addEventListener('click', () => (video.paused ? void play() : video.pause()));
controls.mute.addEventListener('click', () => (video.muted = !video.muted));
controls.volume.addEventListener('input', () => {
  video.volume = Number(controls.volume.value);
  video.muted = video.volume === 0;
});
controls.full.addEventListener('click', () => {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void (byId('picture').requestFullscreen?.() ?? video.webkitEnterFullscreen?.());
});
byId('unmute').addEventListener('click', () => {
  video.muted = false;
  void play();
});
for (const event of ['play', 'pause', 'volumechange']) video.addEventListener(event, drawControls);
byId('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  token = byId('token').value.trim();
  rememberToken(token);
  byId('token').value = '';
  failure.hide();
  void join();
});
// A page that goes into the back-forward cache comes back without its leg: it joins again.
addEventListener('pagehide', leave);
addEventListener('pageshow', (event) => {
  if (event.persisted) void join();
});

byId('stream-name').textContent = stream || 'No stream';
document.title = stream ? `${stream} · sealcast` : document.title;
void join();
