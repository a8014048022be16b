/**
 * A real browser on a page: Debian's Chromium without a screen, driven over its own protocol. The single place that imports
 * `playwright-core`, which brings no browser of its own.
 */
import type { ExecutionContext } from 'ava';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

export type { Page } from 'playwright-core';

const PROGRAM = '/usr/bin/chromium';
const PATIENCE_MS = 40_000;

/** Starts a browser that goes away with the test; each page gets a profile of its own. `more`: arguments of Chromium. */
export async function startBrowser(
  t: ExecutionContext,
  more: readonly string[] = [],
): Promise<(options?: BrowserContextOptions) => Promise<{ page: Page; problems: string[] }>> {
  const browser: Browser = await chromium.launch({
    executablePath: PROGRAM,
    // Root, as in most containers, has no sandbox for it; the pages are our own.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', ...more],
  });
  t.teardown(() => browser.close());
  return async (options = {}) => {
    const context: BrowserContext = await browser.newContext(options);
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    /** What the browser complained about: errors of scripts, of the page's policy, and requests to elsewhere. */
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text());
    });
    page.on('request', (request) => {
      if (!/^(?:http:\/\/(?:127\.0\.0\.1|localhost):\d+|blob:|data:)/.test(request.url())) problems.push(request.url());
    });
    return { page, problems };
  };
}
