/**
 * A guest works while its host's process crashes or its machine loses power, at operations of the disk that the seed picks.
 *
 * Every read is held against the model, which forgets what no flush covered at a power cut and nothing else. Seals go on meanwhile.
 */
import { KIB } from '@diskswarm/core';
import type { Simulation } from '@diskswarm/sim';
import { Guest } from '../guest.ts';
import { attempt } from '../outcomes.ts';
import type { Scenario } from '../scenarios.ts';
import type { SimulatedHost } from '../simulated-host.ts';
import { NAME, World } from '../world.ts';

const LIVES = 6;

export const guest: Scenario = {
  prepare: (simulation: Simulation) => {
    const world = new World(simulation, {
      hosts: ['home'],
      sizeBytes: 2048 * KIB,
      chunkSizeBytes: simulation.random.pick([16, 64]) * KIB,
    });
    return { world, play: () => play(world) };
  },
};

async function play(world: World): Promise<void> {
  const { random } = world.simulation;
  const host = world.host('home');
  await world.start();
  for (let life = 0; life < LIVES; life++) {
    host.machine.disk.stopAfter(random.between(1, random.pick([20, 200, 1000])), random.pick(['crash', 'power cut']));
    await live(world, host);
    if (random.chance(0.2)) host.kill(random.pick(['crash', 'power cut']));
  }
  host.machine.disk.heal();
  await look(world, host);
  await attempt(host.ask('disk.seal', { name: NAME }), []);
  host.kill('power cut');
  await look(world, host);
}

/** A guest and seals beside it, until the process dies or the guest has enough. */
async function live(world: World, host: SimulatedHost): Promise<void> {
  const { random } = world.simulation;
  if (host.attachment === null)
    await attempt(
      host.use((agent) => agent.disk(NAME).attach({ readOnly: false, socket: null })),
      ['DISK_ATTACHED'],
    );
  const { attachment } = host;
  if (attachment === null) return;
  const client = new Guest(world, host, attachment);
  const seals = async (): Promise<void> => {
    for (let count = random.below(4); count > 0 && host.attachment === attachment; count--) {
      await world.pause(random.below(400));
      const flush = world.model.beginFlush();
      const outcome = await attempt(host.ask('disk.seal', { name: NAME }), []);
      if ('result' in outcome) flush.completed();
    }
  };
  await Promise.all([
    client.work({ requests: random.between(5, 150), depth: random.between(1, 6), pauseMs: random.pick([0, 5, 20]) }),
    seals(),
  ]);
  await client.disconnect();
}

async function look(world: World, host: SimulatedHost): Promise<void> {
  await host.whenUp();
  if (host.attachment === null) await host.ask('disk.attach', { name: NAME, readOnly: false, socket: null });
  const client = new Guest(world, host, host.attachment!);
  await client.readAll();
  await client.disconnect();
}
