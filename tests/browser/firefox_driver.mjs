// Drives one Firefox by WebDriver BiDi for a Python test: commands come in on stdin, answers go out on stdout, one JSON
// value a line. Ends, and ends Firefox, when stdin closes: a test that dies leaves nothing behind.
//
//   { "id": 1, "do": "open", "page": "a", "url": "https://…" }
//   { "id": 2, "do": "evaluate", "page": "a", "expression": "…" }     its value, or that of the promise it gives
//   { "id": 3, "do": "click", "page": "a", "selector": "#start" }   a person's click, to the browser
//   { "id": 4, "do": "screenshot", "page": "a", "path": "/…png" }
//   { "id": 5, "do": "close", "page": "a" }
//
// Usage: node firefox_driver.mjs FIREFOX PROFILE_FOLDER

import { createInterface } from 'node:readline';
import puppeteer from 'puppeteer-core';

const [executablePath, userDataDir] = process.argv.slice(2);

const browser = await puppeteer.launch({
  browser: 'firefox',
  executablePath,
  userDataDir,
  headless: true,
  // The certificate must be proved by the authority in the profile, not waved through.
  acceptInsecureCerts: false,
  extraPrefsFirefox: {
    'media.navigator.streams.fake': true,
    'media.navigator.permission.disabled': true,
    'media.peerconnection.ice.obfuscate_host_addresses': false,
    'media.autoplay.default': 0,
    'media.autoplay.blocking_policy': 0,
    // No H264 plugin can be fetched here; without this Firefox keeps trying.
    'media.gmp-manager.updateEnabled': false,
  },
});

const pages = new Map();

const commands = {
  async open({ page, url }) {
    if (!pages.has(page)) {
      const opened = await browser.newPage();
      opened.on('console', (message) => process.stderr.write(`firefox ${page}: ${message.text()}\n`));
      opened.on('pageerror', (error) => process.stderr.write(`firefox ${page}: ${error}\n`));
      pages.set(page, opened);
    }
    await pages.get(page).goto(url, { waitUntil: 'load' });
    return null;
  },
  async evaluate({ page, expression }) {
    // Through the page's own eval the content security policy would refuse it; BiDi evaluates beside it.
    return (await pages.get(page).evaluate(expression)) ?? null;
  },
  async click({ page, selector }) {
    await pages.get(page).click(selector);
    return null;
  },
  async screenshot({ page, path }) {
    await pages.get(page).screenshot({ path });
    return null;
  },
  async close({ page }) {
    await pages.get(page)?.close();
    pages.delete(page);
    return null;
  },
};

function answer(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

answer({ ready: await browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  try {
    answer({ id: command.id, value: await commands[command.do](command) });
  } catch (error) {
    answer({ id: command.id, error: String(error?.message ?? error) });
  }
}
await browser.close();
