/**
 * The commands that stay in the foreground: `agent`, `tracker`, and the demonstration.
 *
 * Agent and tracker first print {"event":"ready","listen":…}, with and without --json; SIGTERM or SIGINT ends them cleanly with 0. The agent and the
 * demonstration are loaded when they are asked for, so that every other command starts without them.
 */

import { checkTrackerUrl } from '@diskswarm/announce';
import { DiskswarmError } from '@diskswarm/core';
import { systemClock, systemRandom } from '@diskswarm/core/system';
import { startTracker } from '@diskswarm/tracker';
import type { Command } from 'commander';
import { createLog } from '../log.ts';
import { parseCount, parseEndpoint, parseRate } from '../parse.ts';
import type { Action } from '../program.ts';
import { openTrackerStore, parseStore } from '../tracker-store.ts';

/** On all addresses, with the first port after the tracker's usual one. */
const AGENT_LISTEN = '0.0.0.0:6970';
const TRACKER_LISTEN = '0.0.0.0:6969';
/** Of one address, unless told otherwise: a household of busy hosts stays far below it. */
const QUESTIONS_PER_SECOND = 200;
const MAX_PLACES = 16;

interface AgentOptions {
  readonly listen: string;
  readonly tracker: readonly string[];
  readonly peer: readonly string[];
  readonly lan?: true;
  readonly dht?: true;
  readonly bootstrap: readonly string[];
  readonly uploadLimit?: number;
  readonly downloadLimit?: number;
}

interface TrackerOptions {
  readonly listen: string;
  readonly udp?: string;
  readonly store?: string;
  readonly limit: number;
}

function collect(
  field: string,
  check: (text: string) => string,
): (text: string, before: readonly string[]) => string[] {
  return (text, before) => {
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
      [],
    )
    .option(
      '--peer <host:port>',
      'a host to dial, up to 16 times',
      collect('peer', (text) => parseEndpoint('peer', text)),
      [],
    )
    .option('--lan', 'find hosts on the same network segment by multicast, and be found')
    .option('--dht', 'find hosts in the DHT of the hyperdht network, through NATs or other hosts, and be found')
    .option(
      '--bootstrap <host:port>',
      'a node of another DHT than the public one, up to 16 times',
      collect('bootstrap', (text) => parseEndpoint('bootstrap', text)),
      [],
    )
    .option('--upload-limit <rate>', 'bytes per second, like 20M', (text) => parseRate('upload-limit', text))
    .option('--download-limit <rate>', 'bytes per second, like 20M', (text) => parseRate('download-limit', text))
    .action(
      action<[], AgentOptions>(async ({ output, stateDir, signal }, _, options) => {
        if (options.dht !== true && options.bootstrap.length > 0) {
          const why = '--bootstrap names a node of the DHT: it goes with --dht';
          throw new DiskswarmError('INVALID_ARGUMENT', why, { data: { field: 'bootstrap' } });
        }
        const log = createLog(process.env.DISKSWARM_LOG);
        const { runAgent } = await import('../../agent/run.ts');
        const agent = await runAgent({
          stateDir,
          listen: options.listen,
          trackers: options.tracker,
          peers: options.peer,
          lan: options.lan === true,
          ...(options.dht === true ? { dht: options.bootstrap } : {}),
          uploadLimit: options.uploadLimit ?? null,
          downloadLimit: options.downloadLimit ?? null,
          log,
        });
        output.object({ event: 'ready', listen: agent.listen });
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
    .option('--store <folder>', 'keep who is where over a restart, in a folder of its own', parseStore)
    .option(
      '--limit <n>',
      'questions a second from one address',
      (text) => parseCount('limit', text),
      QUESTIONS_PER_SECOND,
    )
    .action(
      action<[], TrackerOptions>(async ({ output, signal }, _, { listen, udp, store, limit }) => {
        const kept = store === undefined ? null : await openTrackerStore(store);
        try {
          const tracker = await startTracker({
            listen,
            ...(udp === undefined ? {} : { udp }),
            ...(kept === null ? {} : { storage: kept.storage }),
            limitPerSecond: limit,
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
    .description('watch a VM boot on a host that holds none of its disk')
    .option('--keep', 'leave the folder of the run behind')
    .action(
      action<[], { keep?: boolean }>(async ({ output, signal }, _, { keep }) => {
        const { runDemo } = await import('../../demo/run.ts');
        await runDemo({ json: output.json, keep: keep === true, signal });
      }),
    );
}
