// The pictures of the page in the README: `npm run screenshots` takes them anew, with the Chromium of this machine.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { openBrowser, openFile } from '../test/page/chromium.ts';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** What is done to the page before each picture. */
const pictures: Readonly<Record<string, (page: Page) => Promise<void>>> = {
  async overview() {},
  async kernel(page) {
    const kernel = page.locator('#map .kernel', { hasText: 'rescore_topk' }).first();
    await kernel.evaluate('(element) => element.scrollIntoView({ block: "center" })');
    await kernel.click();
  },
  async work(page) {
    await page.selectOption('#tokens', { label: '256' });
    await page.check('[name=order][value=kind]');
    await page.locator('#work').evaluate('(element) => element.scrollIntoView()');
  },
  async memory(page) {
    await page.locator('#memory').evaluate('(element) => element.scrollIntoView()');
    await page.locator('.memory:visible .buffer[aria-label^="v_rescore_topk_81,"]').hover();
  },
};

const browser = await openBrowser('pictures of the page');
if (browser === undefined) process.exit(1);
const folder = mkdtempSync(join(tmpdir(), 'ultramem-pictures-'));
try {
  const file = join(folder, 'page.html');
  const command = ['inspect', path('../examples/bytes-lm/model.ts'), '--html', file];
  execFileSync(process.execPath, [path('../bin/ultramem.js'), ...command], { stdio: 'inherit' });
  for (const [name, prepare] of Object.entries(pictures)) {
    const { page } = await openFile(browser, file, { height: 700 });
    await prepare(page);
    await page.screenshot({ path: path(`page-${name}.png`) });
    await page.close();
  }
} finally {
  await browser.close();
  rmSync(folder, { recursive: true });
}
