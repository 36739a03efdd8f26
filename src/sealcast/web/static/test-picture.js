// The test picture: a running clock, a sweep, colour bars and a tone, as a MediaStream.
//
// Does: draws from the wall clock, so the delay to a viewer can be read off two screens; beeps and flashes together at
// each full second, so lip sync can be heard. Does not: need a camera, a font file or the network.

const FRAMES_PER_SECOND = 30;
const TONE_HZ = 440;
const BEEP_HZ = 880;
const BARS = ['#c8c8c8', '#c8c800', '#00c8c8', '#00c800', '#c800c8', '#c80000', '#0000c8'];
const GRAIN = 256;

const two = (number) => String(number).padStart(2, '0');

/** Starts it. `busy` adds moving grain that no encoder can predict: it fills whatever bitrate is allowed. */
export function startTestPicture({ width, height, busy, title }) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d', { alpha: false });
  const grain = busy ? makeGrain() : null;
  const tone = startTone();
  let frame = 0;
  let second = -1;

  const draw = () => {
    const now = new Date();
    if (now.getSeconds() !== second) {
      second = now.getSeconds();
      tone.beep();
    }
    paint(context, { width, height, now, frame, title, grain });
    frame += 1;
  };
  draw();
  const ticker = new Worker(new URL('./ticker.js', import.meta.url));
  ticker.addEventListener('message', draw);
  ticker.postMessage(1000 / FRAMES_PER_SECOND);

  const stream = canvas.captureStream(FRAMES_PER_SECOND);
  for (const track of tone.stream.getAudioTracks()) stream.addTrack(track);
  return {
    stream,
    stop() {
      ticker.terminate();
      tone.stop();
      for (const track of stream.getTracks()) track.stop();
    },
  };
}

function startTone() {
  const audio = new AudioContext({ sampleRate: 48_000 });
  void audio.resume();
  const out = audio.createMediaStreamDestination();
  const voice = (frequency, level) => {
    const oscillator = new OscillatorNode(audio, { frequency });
    const gain = new GainNode(audio, { gain: level });
    oscillator.connect(gain).connect(out);
    oscillator.start();
    return gain.gain;
  };
  voice(TONE_HZ, 0.06);
  const beep = voice(BEEP_HZ, 0);
  return {
    stream: out.stream,
    beep() {
      const at = audio.currentTime;
      beep.cancelScheduledValues(at);
      beep.setValueAtTime(0.25, at);
      beep.setTargetAtTime(0, at + 0.08, 0.01);
    },
    stop: () => void audio.close(),
  };
}

function makeGrain() {
  const canvas = document.createElement('canvas');
  canvas.width = GRAIN;
  canvas.height = GRAIN;
  const context = canvas.getContext('2d');
  const image = context.createImageData(GRAIN, GRAIN);
  const noise = new Uint8Array(GRAIN * GRAIN);
  crypto.getRandomValues(noise);
  noise.forEach((value, index) => image.data.set([value, value, value, 255], index * 4));
  context.putImageData(image, 0, 0);
  return canvas;
}

function paint(context, { width, height, now, frame, title, grain }) {
  const unit = height / 36;
  const flash = now.getMilliseconds() < 80;
  context.fillStyle = '#12181c';
  context.fillRect(0, 0, width, height);

  if (grain) {
    // A new offset each frame: nothing of it can be predicted from the frame before.
    const across = Math.ceil(width / GRAIN) + 1;
    const shiftX = (frame * 97) % GRAIN;
    const shiftY = (frame * 61) % GRAIN;
    for (let x = 0; x < across; x += 1) {
      for (let y = 0; y < 2; y += 1) context.drawImage(grain, x * GRAIN - shiftX, height * 0.55 + y * GRAIN - shiftY);
    }
    context.fillStyle = '#12181c';
    context.fillRect(0, 0, width, height * 0.55);
  }

  BARS.forEach((colour, index) => {
    context.fillStyle = colour;
    context.fillRect((index * width) / BARS.length, height - 5 * unit, width / BARS.length + 1, 5 * unit);
  });

  context.textAlign = 'left';
  context.textBaseline = 'alphabetic';
  context.fillStyle = '#9fb0b4';
  context.font = `${1.8 * unit}px system-ui, sans-serif`;
  context.fillText(title, 2 * unit, 3.6 * unit);
  context.textAlign = 'right';
  context.fillText(`frame ${frame}`, width - 2 * unit, 3.6 * unit);

  context.textAlign = 'center';
  context.fillStyle = flash ? '#ffffff' : '#e4efec';
  context.font = `600 ${8 * unit}px ui-monospace, monospace`;
  const clock = `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
  const thousandths = String(now.getMilliseconds()).padStart(3, '0');
  context.fillText(`${clock}.${thousandths}`, width / 2, 16 * unit);

  // One turn of the sweep is one second.
  const turn = (now.getMilliseconds() / 1000) * 2 * Math.PI - Math.PI / 2;
  const [x, y, radius] = [width / 2, 23.5 * unit, 4.5 * unit];
  context.lineWidth = 0.5 * unit;
  context.strokeStyle = '#35464b';
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.stroke();
  context.strokeStyle = '#4fc3a8';
  context.beginPath();
  context.arc(x, y, radius, -Math.PI / 2, turn);
  context.stroke();
  if (flash) {
    context.fillStyle = '#4fc3a8';
    context.beginPath();
    context.arc(x, y, radius * 0.6, 0, 2 * Math.PI);
    context.fill();
  }
}
