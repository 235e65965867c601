// Pages in a headless Chromium that the machine has; nothing is downloaded.

import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import which from 'which';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

const args = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

/** A browser, or undefined where the machine has none: then it says that `what` is skipped. */
export async function openBrowser(what: string): Promise<Browser | undefined> {
  for (const name of names) {
    const executablePath = await which(name, { nothrow: true });
    if (executablePath !== null) return chromium.launch({ executablePath, args });
  }
  console.log(`[SKIP] no chromium on the PATH: ${what}`);
  return undefined;
}

/** A page of a file, and what it complained of or asked for since. */
export interface OpenPage {
  readonly page: Page;
  /** Words on the console, exceptions, and requests for anything but the file. */
  readonly complaints: readonly string[];
}

export async function openFile(
  browser: Browser,
  file: string,
  { width = 1280, height = 800, colorScheme = 'light' as 'light' | 'dark' } = {},
): Promise<OpenPage> {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme, reducedMotion: 'reduce' });
  const url = pathToFileURL(file).href;
  const complaints: string[] = [];
  page.on('console', (message) => void complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => void complaints.push(`exception: ${error.stack ?? error.message}`));
  page.on('request', (request) => {
    if (request.url() !== url && !request.url().startsWith('data:')) complaints.push(`request: ${request.url()}`);
  });
  await page.goto(url);
  return { page, complaints };
}
