/**
 * Seals during writes, stopped at every step of a seal by a crash or a power cut.
 *
 * What was acknowledged before a seal that succeeded survives any power cut, and the generation that was sealed while nobody wrote is the disk
 * as the guest saw it.
 */
import { KIB, PRIORITY, pieceIndex } from '@diskswarm/core';
import { Guest } from '../guest.ts';
import { attempt } from '../outcomes.ts';
import type { Scenario } from '../scenarios.ts';
import type { SimulatedHost } from '../simulated-host.ts';
import { NAME, World } from '../world.ts';

const ROUNDS = 8;
/** A seal of this scenario changes the disk fewer times. */
const MOST_STEPS = 60;

export const seal: Scenario = {
  prepare: (simulation) => {
    // 320 pieces: a manifest of two levels.
    const world = new World(simulation, { hosts: ['home'], sizeBytes: 320 * 16 * KIB, chunkSizeBytes: 16 * KIB });
    return { world, play: () => play(world) };
  },
};

async function play(world: World): Promise<void> {
  const { random } = world.simulation;
  const host = world.host('home');
  await world.start();
  for (let round = 0; round < ROUNDS; round++) {
    await host.whenUp();
    if (host.attachment === null)
      await attempt(host.ask('disk.attach', { name: NAME, readOnly: false, socket: null }), ['DISK_ATTACHED']);
    const { attachment } = host;
    if (attachment === null) continue;
    const client = new Guest(world, host, attachment);
    await client.work({ requests: random.between(1, 60), depth: 4, pauseMs: 0 });
    const writing = random.chance(0.5) ? client.work({ requests: 60, depth: 3, pauseMs: 4 }) : Promise.resolve();
    if (random.chance(0.8)) host.machine.disk.stopAfter(random.below(MOST_STEPS), random.pick(['crash', 'power cut']));
    await sealOnce(world, host);
    await writing;
    await client.disconnect();
    host.machine.disk.heal();
    if (random.chance(0.2)) await attempt(host.ask('disk.detach', { name: NAME }), ['ATTACHMENT_STATE']);
  }
  await sealOnce(world, host);
  await holdGeneration(world, host);
  host.kill('power cut');
  await holdGeneration(world, host);
}

async function sealOnce(world: World, host: SimulatedHost): Promise<void> {
  const flush = world.model.beginFlush();
  const outcome = await attempt(host.ask('disk.seal', { name: NAME }), []);
  if ('result' in outcome) flush.completed();
}

/** The newest generation, piece by piece as a peer would get it, against the model. */
async function holdGeneration(world: World, host: SimulatedHost): Promise<void> {
  await host.use(async (agent, signal) => {
    const disk = agent.disk(NAME);
    const view = await disk.viewOf(disk.records.head!.id);
    const { geometry } = view.subject;
    for (let index = 0; index < geometry.pieces; index++) {
      const piece = pieceIndex(index);
      const length = geometry.lengthOf(piece);
      const expected = world.model.beginRead(geometry.startOf(piece), length);
      const bytes = await disk.chunks.read(view, piece, PRIORITY.bulk, { signal });
      expected.completed(bytes === null ? new Uint8Array(length) : bytes.subarray(0, length));
    }
  });
}
