/**
 * What a page with WebTorrent comes from: its bundle and a tracker that speaks WebSocket, both as others wrote them, at one loopback port.
 *
 * The page asks no STUN server, and connects at loopback addresses.
 */
import fs from 'node:fs';
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';
import Server from 'bittorrent-tracker/server';
import type { Page } from './browser.ts';

/** Lets a browser find peers at loopback, which are of no use to any other page. */
export const LOOPBACK_PEERS = ['--allow-loopback-in-peer-connection'];
const BUNDLE = new URL('../node_modules/webtorrent/dist/webtorrent.min.js', import.meta.url);

export interface WebPage {
  /** Of the page. */
  readonly url: string;
  /** Of the tracker. */
  readonly announceUrl: string;
  /** How many are at the tracker who have all of it. */
  seeds(infoHash: string): number;
  /** And how many who have not. */
  others(infoHash: string): number;
}

export async function startWebPage(t: ExecutionContext): Promise<WebPage> {
  // Pages ask again after a fifth of the interval.
  const tracker = new Server({ http: false, udp: false, ws: true, stats: false, interval: 50_000 });
  const { http } = tracker;
  http.on('request', ({ url }, response) => {
    if (url === '/') {
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end('<!doctype html><title>template</title><link rel="icon" href="data:,">');
    } else if (url === '/webtorrent.min.js') {
      response.writeHead(200, { 'content-type': 'text/javascript' });
      fs.createReadStream(BUNDLE).pipe(response);
    }
  });
  await new Promise<void>((resolve) => tracker.listen({ http: 0 }, { http: '127.0.0.1' }, resolve));
  t.teardown(() => {
    http.closeAllConnections();
    return new Promise<void>((resolve) => tracker.close(resolve));
  });
  const { port } = http.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    announceUrl: `ws://127.0.0.1:${port}`,
    seeds: (infoHash) => tracker.torrents[infoHash]?.complete ?? 0,
    others: (infoHash) => tracker.torrents[infoHash]?.incomplete ?? 0,
  };
}

/** Has the page download the only file of a torrent; its SHA-256, in hex. Its client stays. */
export function downloadInPage(page: Page, magnet: string): Promise<string> {
  return page.evaluate(async (link) => {
    const bundle = '/webtorrent.min.js';
    const { default: WebTorrent } = await import(bundle);
    const client = new WebTorrent({ tracker: { rtcConfig: { iceServers: [] } } });
    const torrent = client.add(link);
    await new Promise((resolve, reject) => {
      torrent.once('done', resolve);
      client.once('error', reject);
    });
    const bytes = await (await torrent.files[0].blob()).arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  }, magnet);
}
