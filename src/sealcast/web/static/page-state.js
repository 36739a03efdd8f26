// The pill in the page's header: one word for where the page is, with a colour that never says more than the word.

import { byId } from './elements.js';

const WORDS = {
  idle: 'Ready',
  joining: 'Connecting',
  live: 'Live',
  stalled: 'No media',
  moving: 'Changing path',
  waiting: 'Waiting',
  failed: 'Failed',
  stopped: 'Stopped',
};

export function showState(name) {
  byId('state').dataset.state = name;
  byId('state-text').textContent = WORDS[name];
  document.body.dataset.state = name;
}

/** "2.4 Mbit/s" */
export function bitrate(bitsPerSecond) {
  if (bitsPerSecond >= 1_000_000) return `${(bitsPerSecond / 1_000_000).toFixed(1)} Mbit/s`;
  return `${Math.round(bitsPerSecond / 1000)} kbit/s`;
}

/** Rows of the meter for one direction: size, rate, loss. Unknown ones are left out. */
export function meterRows(evidence, rates) {
  const side = evidence.sent.video || evidence.sent.audio ? evidence.sent : evidence.received;
  const rows = [];
  if (side.video?.width) rows.push(['Size', `${side.video.width} × ${side.video.height}`]);
  if (rates) {
    if (side.video) rows.push(['Rate', `${rates.framesPerSecond.toFixed(0)} fps`]);
    rows.push(['Bits', bitrate(rates.bitsPerSecond)], ['Lost', `${(100 * rates.lossShare).toFixed(1)} % lost`]);
  }
  return rows;
}
