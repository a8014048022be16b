/** Whom a host asks for a piece of a template that several have: who has all of it only where the others are far away. */
import type { DiskId, GenerationId, HostId, PieceIndex } from '@diskswarm/core';
import test from 'ava';
import type { Environment } from '../src/agent/environment.ts';
import type { ManagedDisk } from '../src/agent/managed-disk.ts';
import { SharedSources } from '../src/agent/shared-sources.ts';
import { TestClock } from './support/test-clock.ts';

const GENERATION = 'ab'.repeat(32) as GenerationId;
const PIECES = 100;

interface Holder {
  readonly host: string;
  readonly pieces: number;
  readonly rttUs: number;
}

/** `host certainty` of each that may be asked. */
function asked(holders: readonly Holder[], { isTemplate = true }: { isTemplate?: boolean } = {}): string[] {
  const links = holders.map(({ host, pieces, rttUs }) => ({
    channel: { host: host as HostId, rttUs, knows: () => true },
    claimsOf: () => ({ has: { count: pieces } }),
  }));
  const head = { subject: { generation: GENERATION }, allLeavesKnown: true, piecesTotal: PIECES + 20, piecesZero: 20 };
  const disk = {
    peers: {
      disk: 'cd'.repeat(32) as DiskId,
      links: () => links,
      holders: () => links.map(({ channel }) => ({ channel, certainty: 'has' })),
    },
    templates: { lists: () => isTemplate },
    content: { head },
  } as unknown as ManagedDisk;
  const env = { hostId: 'ff'.repeat(68), clock: new TestClock() } as unknown as Environment;
  const sources = new SharedSources(disk, env);
  return [...sources.holders(GENERATION, 3 as PieceIndex)].map(
    ({ channel, certainty }) => `${channel.host} ${certainty}`,
  );
}

const seed = { host: 'seed', pieces: PIECES, rttUs: 30_000 };

test('a host that has everything is asked last where another one is as near', (t) => {
  t.deepEqual(asked([seed, { host: 'lab', pieces: 7, rttUs: 1_000 }]), ['seed unknown', 'lab has']);
  t.deepEqual(asked([seed, { host: 'lab', pieces: 7, rttUs: 110_000 }]), ['seed unknown', 'lab has']);
});

test('it is asked like any other where the others are much further away, or have everything too', (t) => {
  t.deepEqual(asked([seed, { host: 'far', pieces: 7, rttUs: 130_000 }]), ['seed has', 'far has']);
  t.deepEqual(asked([seed, { ...seed, host: 'twin' }]), ['seed has', 'twin has']);
});

test('of a disk that is no template everybody who has a piece is asked', (t) => {
  t.deepEqual(asked([seed, { host: 'lab', pieces: 7, rttUs: 1_000 }], { isTemplate: false }), ['seed has', 'lab has']);
});
