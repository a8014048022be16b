/** Hosts that boot one template at once behind a slow line to its seed: what the seed sends, and whether any host starves. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { bootGuest, type GuestArtefacts, prepareGuest, probeQemu } from '@diskswarm/guest';
import { AgentHost } from '../hosts/agent-host.ts';
import { metForTemplate } from '../hosts/met-for-template.ts';
import { type Line, openLine } from '../link/link.ts';
import { pause, run, type Service, serve } from '../programs.ts';
import { check, type Row, type RowResult, type Series, valueFigure } from '../row.ts';
import { median, percentile } from '../statistics.ts';

const MIB = 2 ** 20;
const CHUNK_BYTES = 65536;
const LINE = { bitsPerSecond: 20_000_000, delayMs: 10, queueBytes: 256 * 1024 };
const FULL = {
  hosts: 8,
  image: { sizeBytes: 768 * MIB, contentBytes: 284 * MIB, bootBytes: 60 * MIB, incompressible: true },
};
const SMALL = {
  hosts: 3,
  image: { sizeBytes: 128 * MIB, contentBytes: 64 * MIB, bootBytes: 6 * MIB, incompressible: true },
};
const BOOT_MS = 900_000;
const NBD_PORT = 10_809;
/** The line says four times a second what has crossed it. */
const LAST_BYTES_MS = 600;

/** What one way of starting them all came to. */
interface Outcome {
  readonly loginsMs: readonly number[];
  /** That left the seed, as it crossed the line. */
  readonly sentBytes: number;
}

/** Of clones, more is known. */
interface CloneOutcome extends Outcome {
  /** Chunks that a guest touched, median. */
  readonly neededBytes: number;
  /** Chunks that came from the seed, however they travelled. */
  readonly chunkBytes: number;
}

export const fleet: Row = {
  name: 'fleet',
  title: 'Eight hosts boot one template of 768 MiB at once, its seed behind 20 Mbit/s',
  target: 'the seed sends at most 1.3 × what one boot needs; p99 of the time to login at most 1.5 × p50',
  programs: ['qemu-system-x86_64', 'qemu-nbd', 'qemu-img', 'busybox', 'mke2fs', 'ip', 'python3'],
  needsRoot: true,
  rounds: 3,
  async run({ folder, smoke, rounds, log }) {
    check(probeQemu().available, 'QEMU is here but cannot run the guest');
    const { hosts, image } = smoke ? SMALL : FULL;
    const artefacts = await prepareGuest({ log, image });
    const ours: CloneOutcome[] = [];
    const overlays: Outcome[] = [];
    let crossedBytes = 0;
    const onBytes = (near: number): void => {
      crossedBytes = near;
    };
    const line = await openLine({ ...LINE, onBytes });
    const sent = async (): Promise<number> => {
      await pause(LAST_BYTES_MS);
      return crossedBytes;
    };
    try {
      for (let round = 0; round < rounds; round++) {
        const start = { folder, round, hosts, line, artefacts, sent };
        const clones = await startClones(start);
        const overlay = await startOverlays(start);
        ours.push(clones);
        overlays.push(overlay);
        log(`one boot needs ${mib(clones.neededBytes)} MiB; sent ${mib(clones.sentBytes)}, ${mib(overlay.sentBytes)}`);
      }
    } finally {
      await line.close();
    }
    return resultOf(hosts, ours, overlays);
  },
};

interface Start {
  readonly folder: string;
  readonly round: number;
  readonly hosts: number;
  readonly line: Line;
  readonly artefacts: GuestArtefacts;
  readonly sent: () => Promise<number>;
}

async function startClones({ folder, round, hosts, line, artefacts, sent }: Start): Promise<CloneOutcome> {
  const state = (name: string): string => join(folder, `${name}-${round}`);
  const seed = new AgentHost({ stateDir: state('seed'), prefix: line.far.prefix, listen: `${line.far.address}:0` });
  await seed.start();
  await seed.import(artefacts.rootImage, 'template');
  await seed.publish('template');
  const labs: AgentHost[] = [];
  for (let index = 0; index < hosts; index++) {
    const peers = [seed, ...labs].map((host) => host.listen);
    const near = { prefix: line.near.prefix, listen: `${line.near.address}:0` };
    const lab = new AgentHost({ stateDir: state(`lab${index}`), peers, ...near });
    await lab.start();
    await seed.invite(lab, 'template');
    labs.push(lab);
  }
  const uris: string[] = [];
  for (const lab of labs) {
    await metForTemplate(lab, hosts);
    const records = lab.newDiskRecords();
    await lab.call('disk.clone', { template: 'template', sequence: null, name: 'clone', records });
    uris.push(await lab.attach('clone'));
  }
  const before = await sent();
  const loginsMs = await bootAll(uris, artefacts);
  const sentBytes = (await sent()) - before;
  const statuses = await Promise.all(labs.map((lab) => lab.call('status', {})));
  const disks = statuses.flatMap((status) => status.disks);
  const touched = disks.filter(({ name }) => name === 'clone').map(({ touchedPieces }) => touchedPieces);
  const chunkBytes = disks.reduce((sum, { bytesBySource }) => sum + (bytesBySource[seed.hostId] ?? 0), 0);
  for (const host of [...labs, seed]) await host.stop();
  return { loginsMs, sentBytes, chunkBytes, neededBytes: median(touched) * CHUNK_BYTES };
}

/** The same with an overlay for each guest on one export of the image. */
async function startOverlays({ folder, round, hosts, line, artefacts, sent }: Start): Promise<Outcome> {
  const address = `${line.far.address}:${NBD_PORT}`;
  const shared = ['--read-only', '--persistent', `--shared=${hosts}`, '--format=raw'];
  const bound = [`--bind=${line.far.address}`, `--port=${NBD_PORT}`];
  const exported = [...line.far.prefix, 'qemu-nbd', ...shared, ...bound, artefacts.rootImage];
  const listening = async (): Promise<boolean> => {
    const { stdout } = await run([...line.far.prefix, 'ss', '-Hltn']);
    return stdout.includes(address);
  };
  const services: Service[] = [await serve(exported, listening)];
  const uris: string[] = [];
  for (let index = 0; index < hosts; index++) {
    const overlay = join(folder, `overlay-${round}-${index}.qcow2`);
    const socket = join(folder, `overlay-${round}-${index}.sock`);
    const backing = ['-F', 'raw', '-b', `nbd://${address}`];
    await run([...line.near.prefix, 'qemu-img', 'create', '-q', '-f', 'qcow2', ...backing, overlay]);
    const server = ['qemu-nbd', '--persistent', '--format=qcow2', `--socket=${socket}`, overlay];
    services.push(await serve([...line.near.prefix, ...server], async () => existsSync(socket)));
    uris.push(`nbd+unix:///?socket=${socket}`);
  }
  const before = await sent();
  const loginsMs = await bootAll(uris, artefacts);
  const sentBytes = (await sent()) - before;
  for (const service of services.toReversed()) await service.stop();
  return { loginsMs, sentBytes };
}

/** Boots a guest on each disk at once; times to login, from the start of QEMU. */
async function bootAll(uris: readonly string[], { kernel, initramfs }: GuestArtefacts): Promise<number[]> {
  const guests = uris.map((nbdUri) => bootGuest({ disk: { nbdUri }, kernel, initramfs }));
  try {
    const ready = await Promise.all(guests.map((guest) => guest.ready({ timeoutMs: BOOT_MS })));
    for (const guest of guests) {
      await guest.write('letter', 100_000, 7);
      check((await guest.checkAll()) === 1, 'a guest does not find what it wrote');
    }
    return ready.map(({ elapsedMs }) => elapsedMs);
  } finally {
    await Promise.all(guests.map((guest) => guest.stop()));
  }
}

function resultOf(hosts: number, ours: readonly CloneOutcome[], overlays: readonly Outcome[]): RowResult {
  const needed = ours.map(({ neededBytes }) => neededBytes);
  const share = (outcomes: readonly Outcome[]): number[] =>
    outcomes.map(({ sentBytes }, round) => sentBytes / needed[round]!);
  const login = (subject: string, outcomes: readonly Outcome[], at: number, words: string): Series => ({
    ...{ subject, measure: `power-on to login, ${words}`, unit: 's' },
    values: outcomes.map(({ loginsMs }) => percentile(loginsMs, at) / 1000),
  });
  const spreads = (outcomes: readonly Outcome[]): number[] =>
    outcomes.map(({ loginsMs }) => percentile(loginsMs, 0.99) / percentile(loginsMs, 0.5));
  const bytes = (subject: string, outcomes: readonly Outcome[]): Series => ({
    ...{ subject, measure: 'sent by the seed', unit: 'MiB' },
    values: outcomes.map(({ sentBytes }) => sentBytes / MIB),
  });
  const subject = `${hosts} hosts with clones`;
  const peer = `${hosts} qcow2 overlays on one qemu-nbd`;
  return {
    series: [
      { subject: 'one boot', measure: 'needs', unit: 'MiB', values: needed.map((each) => each / MIB) },
      ...[bytes(subject, ours), bytes(peer, overlays)],
      ...[login(subject, ours, 0.5, 'p50'), login(subject, ours, 0.99, 'p99')],
      ...[login(peer, overlays, 0.5, 'p50'), login(peer, overlays, 0.99, 'p99')],
    ],
    figures: [
      valueFigure('sent by the seed, over what one boot needs', 'x', share(ours), { kind: 'at most', value: 1.3 }),
      valueFigure(
        'chunks that came from the seed, over those one boot needs',
        'x',
        ours.map(({ chunkBytes, neededBytes }) => chunkBytes / neededBytes),
        null,
      ),
      valueFigure('p99 of the time to login, over p50', 'x', spreads(ours), { kind: 'at most', value: 1.5 }),
      valueFigure('overlays: sent by the seed, over what one boot needs', 'x', share(overlays), null),
      valueFigure('overlays: p99 of the time to login, over p50', 'x', spreads(overlays), null),
    ],
    checks: ['every guest finds its files, writes one, and reads it back past its cache'],
    notes: [
      `The seed is behind a modelled line of 20 Mbit/s and 10 ms (relay.py); the other hosts share one network namespace, so that the line among them is not what limits anything. All guests share this machine's processors.`,
      'What one boot needs are the chunks of 64 KiB that a guest touched until then. What was sent is everything that crossed the line towards the hosts from the moment the guests were started, headers included, and less what compression gained on this line; the manifest came before, when the hosts joined.',
    ],
  };
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1);
}
