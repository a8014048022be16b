/**
 * The torrent clients that others wrote: aria2c and transmission, as peers that find each other through the torrent's tracker alone.
 *
 * transmission takes no peer with a loopback address, so it runs in a network namespace that has another one (`spaceOfItsOwn`), which needs root.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { freePort } from '@diskswarm/test-servers';
import type { ExecutionContext } from 'ava';
import { eventually, program } from './processes.ts';

const QUIET = [
  '--enable-dht=false',
  '--enable-dht6=false',
  '--bt-enable-lpd=false',
  '--enable-peer-exchange=false',
  '--disable-ipv6',
];

/** A network namespace with one address besides loopback, and a command in front of what runs in it. */
export function spaceOfItsOwn(t: ExecutionContext): { readonly address: string; readonly prefix: readonly string[] } {
  const name = `dswbt-${process.pid}`;
  const address = '10.77.0.1';
  const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  ip('netns', 'add', name);
  t.teardown(() => ip('netns', 'del', name));
  ip('-n', name, 'link', 'set', 'lo', 'up');
  ip('-n', name, 'addr', 'add', `${address}/32`, 'dev', 'lo');
  return { address, prefix: ['ip', 'netns', 'exec', name] };
}

/** Downloads with aria2c; the folder it is in. */
export async function downloadWithAria(
  torrent: string,
  folder: string,
  prefix: readonly string[] = [],
): Promise<string> {
  fs.mkdirSync(folder, { recursive: true });
  await program([...prefix, 'aria2c', `--dir=${folder}`, '--seed-time=0', '--file-allocation=none', ...QUIET, torrent]);
  return folder;
}

/** Seeds what lies in `folder` with aria2c until it is stopped. `limit` bounds what it sends, as aria2c writes rates. */
export async function seedWithAria(
  t: ExecutionContext,
  torrent: string,
  folder: string,
  limit = '0',
): Promise<() => Promise<void>> {
  const rate = `--max-upload-limit=${limit}`;
  return daemon(t, [
    'aria2c',
    `--dir=${folder}`,
    '--seed-ratio=0.0',
    '--check-integrity=true',
    rate,
    ...QUIET,
    torrent,
  ]);
}

/** Downloads with transmission until `file` has so many bytes and is whole; transmission does not end by itself. */
export async function downloadWithTransmission(
  t: ExecutionContext,
  torrent: string,
  folder: string,
  { prefix, isWhole }: { prefix: readonly string[]; isWhole: () => boolean },
): Promise<void> {
  const config = path.join(folder, 'config');
  fs.mkdirSync(config, { recursive: true });
  const settings = {
    'dht-enabled': false,
    'lpd-enabled': false,
    'pex-enabled': false,
    'utp-enabled': false,
    'port-forwarding-enabled': false,
  };
  fs.writeFileSync(path.join(config, 'settings.json'), JSON.stringify(settings));
  const stop = await daemon(t, [
    ...prefix,
    'transmission-cli',
    '-g',
    config,
    '-w',
    folder,
    '-M',
    '-p',
    String(await freePort()),
    torrent,
  ]);
  await eventually('transmission has all of it', isWhole, 60_000);
  await stop();
}

/** Makes a torrent of a file or folder with transmission's tool. */
export async function createTorrent(of: string, tracker: string, torrent: string): Promise<void> {
  await program(['transmission-create', '-o', torrent, '-t', tracker, of]);
}

async function daemon(t: ExecutionContext, command: readonly string[]): Promise<() => Promise<void>> {
  const child: ChildProcess = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-3000);
    });
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  t.teardown(async () => {
    await stop();
    if (!t.passed) t.log(`${command[0]}: ${said}`);
  });
  return stop;
}
