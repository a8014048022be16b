/**
 * The files that a browser gets: read once, from the `dashboard` folder of this package, and nothing but those listed.
 *
 * The policy lets the page load its own files and speak to its own agent: nothing inline, nothing from elsewhere.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../../dashboard/', import.meta.url));

const HTML = 'text/html; charset=utf-8';
const SCRIPT = 'text/javascript; charset=utf-8';
const FILES: Readonly<Record<string, string>> = {
  'index.html': HTML,
  'style.css': 'text/css; charset=utf-8',
  'icon.svg': 'image/svg+xml',
  'main.js': SCRIPT,
  'connection.js': SCRIPT,
  'elements.js': SCRIPT,
  'words.js': SCRIPT,
  'disks.js': SCRIPT,
  'swarm.js': SCRIPT,
  'charts.js': SCRIPT,
  'machines.js': SCRIPT,
  'fleets.js': SCRIPT,
  'pairing.js': SCRIPT,
};

/** Headers of everything that the dashboard answers. */
export const SECURITY_HEADERS = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
} as const;

export interface Asset {
  readonly type: string;
  readonly bytes: Uint8Array;
}

/** By the path that a browser asks for. */
export async function loadAssets(): Promise<ReadonlyMap<string, Asset>> {
  const entries = await Promise.all(
    Object.entries(FILES).map(async ([name, type]): Promise<[string, Asset]> => {
      const path = name === 'index.html' ? '/' : `/${name}`;
      return [path, { type, bytes: new Uint8Array(await readFile(`${FOLDER}${name}`)) }];
    }),
  );
  return new Map(entries);
}
