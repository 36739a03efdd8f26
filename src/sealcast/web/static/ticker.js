// A worker that ticks: a page's own timers slow down to one a second when its tab is hidden, a worker's do not.

self.addEventListener('message', ({ data: intervalMs }) => {
  setInterval(() => self.postMessage(null), intervalMs);
});
