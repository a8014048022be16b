/**
 * The commands that stay in the foreground: `agent`, `tracker`, and the demonstration.
 *
 * Agent and tracker first print {"event":"ready","listen":…}, with and without --json; SIGTERM or SIGINT ends them cleanly with 0. What a command
 * runs is loaded when it is asked for, so that every other command starts without it.
 */

import { checkTrackerUrl } from '@diskswarm/announce';
import { DiskswarmError } from '@diskswarm/core';
import { systemClock, systemRandom } from '@diskswarm/core/system';
import type { Command } from 'commander';
import type { AgentLog } from '../log.ts';
import { parseChoice, parseCount, parseEndpoint, parseRate } from '../parse.ts';
import type { Action } from '../program.ts';
import { openTrackerStore, parseStore, type StorePlace } from '../tracker-store.ts';

/** On all addresses, with the first port after the tracker's usual one. */
const AGENT_LISTEN = '0.0.0.0:6970';
const TRACKER_LISTEN = '0.0.0.0:6969';
/** Of one address, unless told otherwise: a household of busy hosts stays far below it. */
const QUESTIONS_PER_SECOND = 200;
const MAX_PLACES = 16;
/** Of `demo fleet`. */
const FLEET_HOSTS = 8;
const MAX_DEMO_HOSTS = 16;

interface AgentOptions {
  readonly listen: string;
  readonly tracker?: readonly string[];
  readonly peer?: readonly string[];
  readonly lan?: true;
  readonly dht?: true;
  readonly bootstrap?: readonly string[];
  readonly uploadLimit?: number;
  readonly downloadLimit?: number;
  readonly metrics?: string;
}

interface TrackerOptions {
  readonly listen: string;
  readonly udp?: string;
  readonly store?: StorePlace;
  readonly limit: number;
}

function collect(
  field: string,
  check: (text: string) => string,
): (text: string, before: readonly string[] | undefined) => string[] {
  return (text, before = []) => {
    if (before.length >= MAX_PLACES) {
      throw new DiskswarmError('INVALID_ARGUMENT', `at most ${MAX_PLACES} times --${field}`, { data: { field } });
    }
    return [...before, check(text)];
  };
}

function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

export function registerDaemonCommands(program: Command, action: Action): void {
  program
    .command('agent')
    .description('run this host: serve and fetch disks until SIGTERM')
    .option(
      '--listen <host:port>',
      'where other hosts connect; port 0 picks a free one',
      (text) => parseEndpoint('listen', text),
      AGENT_LISTEN,
    )
    .option(
      '--tracker <url>',
      'announce URL, up to 16 times',
      collect('tracker', (text) => checkTrackerUrl(text).href),
    )
    .option(
      '--peer <host:port>',
      'a host to dial, up to 16 times',
      collect('peer', (text) => parseEndpoint('peer', text)),
    )
    .option('--lan', 'find hosts on the same network segment by multicast, and be found')
    .option('--dht', 'find hosts in the DHT of the hyperdht network, through NATs or other hosts, and be found')
    .option(
      '--bootstrap <host:port>',
      'a node of another DHT than the public one, up to 16 times',
      collect('bootstrap', (text) => parseEndpoint('bootstrap', text)),
    )
    .option('--upload-limit <rate>', 'bytes per second, like 20M', (text) => parseRate('upload-limit', text))
    .option('--download-limit <rate>', 'bytes per second, like 20M', (text) => parseRate('download-limit', text))
    .option('--metrics <host:port>', 'let Prometheus read metrics there, like 127.0.0.1:6971', (text) =>
      parseEndpoint('metrics', text),
    )
    .action(
      action<[], AgentOptions>(async ({ output, stateDir, signal }, _, options) => {
        if (options.dht !== true && options.bootstrap !== undefined) {
          const why = '--bootstrap names a node of the DHT: it goes with --dht';
          throw new DiskswarmError('INVALID_ARGUMENT', why, { data: { field: 'bootstrap' } });
        }
        const log = await openLog();
        const { runAgent } = await import('../../agent/run.ts');
        const agent = await runAgent({
          stateDir,
          listen: options.listen,
          trackers: options.tracker ?? [],
          peers: options.peer ?? [],
          lan: options.lan === true,
          ...(options.dht === true ? { dht: options.bootstrap ?? [] } : {}),
          uploadLimit: options.uploadLimit ?? null,
          downloadLimit: options.downloadLimit ?? null,
          ...(options.metrics === undefined ? {} : { metrics: options.metrics }),
          log,
        });
        const { listen, metrics } = agent;
        output.object({
          event: 'ready',
          listen,
          ...(metrics === null ? {} : { metrics: `http://${metrics}/metrics` }),
        });
        await stopped(signal);
        await agent.stop();
        if (output.json) output.object({ event: 'stopped' });
      }),
    );

  program
    .command('tracker')
    .description('run a tracker: hosts of a disk find each other there')
    .option('--listen <host:port>', 'port 0 picks a free one', (text) => parseEndpoint('listen', text), TRACKER_LISTEN)
    .option('--udp <host:port>', 'answer datagrams (BEP 15) there as well', (text) => parseEndpoint('udp', text))
    .option(
      '--store <place>',
      'keep who is where, and their news, over a restart, in a folder of its own; or share it with other trackers in redis://HOST:PORT (its password in REDISCLI_AUTH)',
      parseStore,
    )
    .option(
      '--limit <n>',
      'questions a second from one address',
      (text) => parseCount('limit', text),
      QUESTIONS_PER_SECOND,
    )
    .action(
      action<[], TrackerOptions>(async ({ output, signal }, _, { listen, udp, store, limit }) => {
        const { startTracker } = await import('@diskswarm/tracker');
        const onStore = storeLog(await openLog());
        const kept = store !== undefined && 'folder' in store ? await openTrackerStore(store.folder) : null;
        const password = process.env.REDISCLI_AUTH;
        try {
          const tracker = await startTracker({
            listen,
            ...(udp === undefined ? {} : { udp }),
            ...(kept === null ? {} : { storage: kept.storage }),
            ...(store !== undefined && 'redis' in store ? { redis: { url: store.redis, password } } : {}),
            limitPerSecond: limit,
            onStore,
            clock: systemClock,
            random: systemRandom,
          });
          const { announceUrl, udpAnnounceUrl } = tracker;
          output.object({
            event: 'ready',
            listen: tracker.listen,
            announceUrl,
            ...(udpAnnounceUrl === null ? {} : { udpAnnounceUrl }),
          });
          output.note(`agents take --tracker ${announceUrl}`);
          await stopped(signal);
          await tracker.stop();
        } finally {
          kept?.release();
        }
        if (output.json) output.object({ event: 'stopped' });
      }),
    );

  program
    .command('demo')
    .argument('[story]', 'move, or fleet: eight hosts boot one template at once', parseStory, 'move')
    .description('watch a VM boot on a host that holds none of its disk')
    .option('--keep', 'leave the folder of the run behind')
    .option('--hosts <n>', 'of a fleet: so many (2 to 16), if not eight', (text) => parseCount('hosts', text))
    .action(
      action<[string], { keep?: boolean; hosts?: number }>(async ({ output, signal }, [story], { keep, hosts }) => {
        const options = { json: output.json, keep: keep === true, signal };
        if (story === 'fleet') {
          const count = fleetSize(hosts);
          await (await import('../../demo/fleet.ts')).runFleetDemo({ ...options, hosts: count });
        } else if (hosts !== undefined) throw wrongHosts('--hosts is for `diskswarm demo fleet`');
        else await (await import('../../demo/run.ts')).runDemo(options);
      }),
    );
}

function fleetSize(hosts = FLEET_HOSTS): number {
  if (hosts >= 2 && hosts <= MAX_DEMO_HOSTS) return hosts;
  throw wrongHosts(`--hosts is 2 to ${MAX_DEMO_HOSTS}: each is an agent and a guest on this machine`);
}

function wrongHosts(message: string): DiskswarmError {
  return new DiskswarmError('INVALID_ARGUMENT', message, { data: { field: 'hosts' } });
}

async function openLog(): Promise<AgentLog> {
  const { createLog } = await import('../log.ts');
  return createLog(process.env.DISKSWARM_LOG);
}

/** Says in the log that a shared store is away: nothing else would change for whoever looks at this tracker. */
function storeLog(log: AgentLog): (ok: boolean) => void {
  return (ok) => {
    if (ok) log.info({}, 'the Redis of --store answers');
    else log.warn({}, 'the Redis of --store does not answer: this tracker goes on with what it knows, and tries again');
  };
}

function parseStory(text: string): string {
  return parseChoice('story', text, ['move', 'fleet']);
}
