/**
 * Both machines against each other, with the host agents modelled: each effect happens or fails, messages and processes are lost at any step.
 *
 * What must hold at the end, whatever happened: the guest runs at exactly one host, or a hand-over is open and neither runs it.
 */
import type { GenerationId } from '@diskswarm/core';
import test from 'ava';
import {
  applyDestination,
  applySource,
  beginDestination,
  type DestinationEffect,
  type DestinationEvent,
  type DestinationState,
  initialSource,
  type MigrationMessage,
  type Prepare,
  type SourceEffect,
  type SourceEvent,
  type SourceState,
} from '../src/index.ts';

const GENERATION = '33'.repeat(32) as GenerationId;

/** What the two host agents and their disk are in the model. */
class World {
  source: SourceState;
  destination: DestinationState | null = null;
  guestAtSource = true;
  guestAtDestination = false;
  /** The hand-over of the disk, as the ownership package would have it. */
  owner: 'source' | 'offered' | 'destination' = 'source';
  held = false;
  nowUs = 0;
  readonly events: (() => void)[] = [];
  /** QEMU at the destination has what it needs to run, with post-copy before the rest of its memory. */
  #canRun = false;
  #toRun: (() => void) | null = null;
  readonly #lossAt: number;
  #steps = 0;
  lost = false;

  /** At step `lossAt` what is to be lost is lost. */
  constructor(
    diskMode: 'precopy' | 'hybrid' | 'postcopy',
    lossAt: number,
    memoryMode: 'precopy' | 'postcopy' = 'precopy',
  ) {
    this.#lossAt = lossAt;
    const plan = { migration: 'aa'.repeat(16), diskMode, memoryMode, maxDowntimeMs: 300, channels: 2, compress: true };
    this.source = initialSource({ ...plan, definition: new Uint8Array(1), qemuVersion: '7.2', memoryBytes: 2 ** 27 });
  }

  run(fault: (world: World) => void): void {
    this.tellSource({ kind: 'started' });
    while (this.events.length > 0) {
      if (this.#steps++ === this.#lossAt) fault(this);
      this.nowUs += 100_000;
      this.events.shift()!();
      if (this.#steps > 10_000) throw new Error('it never ends');
    }
  }

  tellSource(event: SourceEvent): void {
    const step = applySource(this.source, event);
    this.source = step.state;
    for (const effect of step.effects) this.#source(effect);
  }

  tellDestination(event: DestinationEvent): void {
    if (this.destination === null) return;
    const step = applyDestination(this.destination, event);
    this.destination = step.state;
    for (const effect of step.effects) this.#destination(effect);
  }

  /** The connection is gone: what is on its way is lost, and both hear of it. Records of ownership come through in the end. */
  cut(): void {
    this.lost = true;
    this.events.push(() =>
      this.tellSource({ kind: 'failed', result: 'failed', code: 'PEER_UNREACHABLE', message: 'cut' }),
    );
    this.events.push(() => this.tellDestination({ kind: 'failed', code: 'PEER_UNREACHABLE', message: 'cut' }));
  }

  #soon(happen: () => void): void {
    this.events.push(happen);
  }

  #source(effect: SourceEffect): unknown {
    switch (effect.kind) {
      case 'send':
        return this.#toDestination(effect.message);
      case 'sealRound':
        return this.#soon(() =>
          this.tellSource({ kind: 'sealed', generations: [GENERATION], startedUs: this.nowUs, nowUs: this.nowUs }),
        );
      case 'startMemory':
        if (this.source.plan.memoryMode === 'postcopy')
          return this.#soon(() => this.tellSource({ kind: 'passed', passes: 1 }));
        return this.#soon(() => this.#stopGuest());
      case 'startPostcopy':
        return this.#soon(() => this.#stopGuest());
      case 'hold':
        this.held = true;
        return this.#soon(() => this.tellSource({ kind: 'held' }));
      case 'finalSeal':
        return this.#soon(() => this.tellSource({ kind: 'finalSealed', generations: [GENERATION] }));
      case 'continueMemory':
        if (this.lost) return this.#soon(() => this.#qemusFail());
        this.#soon(() => {
          this.#canRun = true;
          this.#toRun?.();
        });
        this.#soon(() => this.lost || this.tellDestination({ kind: 'memoryArrived' }));
        return this.#soon(() =>
          this.lost ? this.#qemusFail() : this.tellSource({ kind: 'memory', status: 'completed' }),
        );
      case 'relinquish':
        this.owner = 'offered';
        return this.#soon(() => this.offer());
      case 'takeBack':
        if (this.owner === 'offered') throw new Error('taken back while the disk is offered');
        if (this.owner === 'source') {
          this.held = false;
          this.guestAtSource = true;
        }
        return this.#toDestination({
          kind: 'cancel',
          migration: this.source.plan.migration,
          code: effect.code,
          message: effect.message,
        });
      case 'leave':
        return this.#soon(() => this.tellSource({ kind: 'free' }));
      default:
        return;
    }
  }

  /** Their connection broke. */
  #qemusFail(): void {
    this.tellSource({ kind: 'failed', result: 'failed', code: 'MIGRATION_FAILED', message: 'broken' });
    this.tellDestination({ kind: 'failed', code: 'MIGRATION_FAILED', message: 'broken' });
  }

  #stopGuest(): void {
    if (this.source.phase !== 'memory') return;
    this.guestAtSource = false;
    this.tellSource({ kind: 'memory', status: 'pre-switchover' });
  }

  /** The relinquish record arrives, now or after a reconnection; a destination that is not ready signs a refusal. */
  offer(): void {
    if (this.owner !== 'offered') return;
    const before = this.destination?.phase;
    this.tellDestination({ kind: 'offered' });
    if (before !== 'confirmed') this.#refused();
  }

  #refused(): void {
    if (this.owner !== 'offered') return;
    this.owner = 'source';
    this.#soon(() => this.tellSource({ kind: 'verdict', accepted: false, message: 'refused' }));
  }

  #destination(effect: DestinationEffect): unknown {
    switch (effect.kind) {
      case 'send':
        return this.#toSource(effect.message);
      case 'check':
        return this.#soon(() => this.tellDestination({ kind: 'checked' }));
      case 'adopt': {
        const { round } = effect;
        this.#soon(() => this.tellDestination({ kind: 'adopted', round }));
        this.#soon(() => this.tellDestination({ kind: 'progress', round, known: true, missingBytes: 65_536 }));
        return this.#soon(() => this.tellDestination({ kind: 'progress', round, known: true, missingBytes: 0 }));
      }
      case 'launch':
        return this.#soon(() => this.tellDestination({ kind: 'launched' }));
      case 'openMemory':
        return this.#soon(() => this.tellDestination({ kind: 'memoryOpened' }));
      case 'adoptFinal':
        return this.#soon(() => this.tellDestination({ kind: 'finalAdopted' }));
      case 'accept':
        if (this.owner !== 'offered') throw new Error('accepted what was not offered');
        this.owner = 'destination';
        this.#soon(() => this.tellSource({ kind: 'verdict', accepted: true, message: '' }));
        return this.#soon(() => this.tellDestination({ kind: 'accepted' }));
      case 'resume':
        this.#toRun = () => {
          this.#toRun = null;
          this.#soon(() => {
            if (this.destination?.phase !== 'resuming') return;
            this.guestAtDestination = true;
            this.tellDestination({ kind: 'resumed' });
          });
        };
        if (this.#canRun) this.#toRun();
        return;
      case 'ended':
        if (effect.outcome.result === 'stopped') this.guestAtDestination = false;
        return;
      default:
        return;
    }
  }

  #toDestination(message: MigrationMessage): void {
    this.#soon(() => {
      if (this.lost) return;
      if (message.kind !== 'prepare') {
        this.tellDestination({ kind: 'message', message });
        return;
      }
      const begun = beginDestination(message as Prepare);
      this.destination = begun.state;
      for (const effect of begun.effects) this.#destination(effect);
    });
  }

  #toSource(message: MigrationMessage): void {
    this.#soon(() => {
      if (!this.lost) this.tellSource({ kind: 'message', message, nowUs: this.nowUs });
    });
  }
}

const MODES = ['precopy', 'hybrid', 'postcopy'] as const;
const MEMORY_MODES = ['precopy', 'postcopy'] as const;

test('post-copy of the memory: the disks are given away before the last of it goes, and what is cut then is lost', (t) => {
  const world = new World('hybrid', -1, 'postcopy');
  world.run(() => {});
  t.deepEqual([world.guestAtSource, world.guestAtDestination, world.owner], [false, true, 'destination']);
  t.like(world.source, { phase: 'ended', outcome: { result: 'done' } });
  const outcomes = new Set<string>();
  for (let step = 0; step < 120; step++) {
    const cut = new World('hybrid', step, 'postcopy');
    cut.run((at) => at.cut());
    outcomes.add(`${cut.owner} ${cut.source.outcome?.result}`);
    if (cut.source.outcome?.result === 'lost') {
      t.is(cut.destination?.outcome?.result, 'stopped');
      t.is(cut.owner, 'destination');
    }
  }
  t.true(outcomes.has('source failed') && outcomes.has('destination lost') && outcomes.has('destination done'));
});

for (const mode of MODES) {
  test(`${mode}: without a fault the guest runs at the destination, and there alone`, (t) => {
    const world = new World(mode, -1);
    world.run(() => {});
    t.deepEqual([world.guestAtSource, world.guestAtDestination, world.owner], [false, true, 'destination']);
    t.like(world.source, { phase: 'ended', outcome: { result: 'done' } });
    t.is(world.destination?.phase, 'running');
  });
}

const FAULTS: Readonly<Record<string, (world: World) => void>> = {
  'the connection is cut': (world) => world.cut(),
  'the operator cancels': (world) =>
    world.tellSource({ kind: 'failed', result: 'cancelled', code: 'ABORTED', message: 'cancelled' }),
  'the destination fails': (world) =>
    world.tellDestination({ kind: 'failed', code: 'QMP_CLOSED', message: 'QEMU ended' }),
  'the source fails': (world) =>
    world.tellSource({ kind: 'failed', result: 'failed', code: 'QMP_ERROR', message: 'no' }),
  'a message comes twice, and one of another migration': (world) => {
    const migration = world.source.plan.migration;
    for (const kind of ['prepared', 'memoryReady', 'finalReady', 'confirmed'] as const) {
      const other = { kind, migration: 'bb'.repeat(16) };
      world.tellSource({ kind: 'message', message: other, nowUs: world.nowUs });
      world.tellDestination({ kind: 'message', message: other });
    }
    world.tellSource({ kind: 'message', message: { kind: 'prepared', migration }, nowUs: world.nowUs });
  },
};

for (const [name, fault] of Object.entries(FAULTS)) {
  test(`${name}, at every step: one host runs the guest, and it is the disk's owner`, (t) => {
    for (const [mode, memory] of MODES.flatMap((disk) => MEMORY_MODES.map((way) => [disk, way] as const))) {
      for (let step = 0; step < 120; step++) {
        const world = new World(mode, step, memory);
        world.run(fault);
        const where = `${mode}, memory ${memory}, step ${step}: source ${world.source.phase}, destination ${world.destination?.phase}`;
        t.false(world.guestAtSource && world.guestAtDestination, `two guests: ${where}`);
        t.not(world.owner, 'offered', where);
        if (world.owner === 'source') t.true(world.guestAtSource && !world.held, `no guest: ${where}`);
        else if (world.destination?.outcome?.result === 'stopped') t.false(world.guestAtSource, where);
        else t.true(world.guestAtDestination, `no guest: ${where}`);
      }
    }
  });
}
