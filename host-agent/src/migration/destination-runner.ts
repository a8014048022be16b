/**
 * The host that a machine comes to: carries out what the destination's state machine decides, with QEMU, the disks and the other agent.
 *
 * The disks' offers are examined by the ordinary hand-over, which waits here until all are in and the machine has arrived; what is refused is refused
 * with a signature, so that the source can go on.
 */
import { DiskswarmError, type GenerationId, type HostId, sleep } from '@diskswarm/core';
import type { Generation } from '@diskswarm/identity';
import {
  applyDestination,
  beginDestination,
  type DestinationEffect,
  type DestinationEvent,
  type DestinationState,
  encodeMigrationMessage,
  type MigrationMessage,
  type OpenMemory,
  type Prepare,
} from '@diskswarm/migration';
import type { PeerStream, StreamHandlers } from '@diskswarm/swarm';
import type { Agent } from '../agent/agent.ts';
import type { ManagedDisk } from '../agent/managed-disk.ts';
import { codeOf } from '../agent/ownership-driver.ts';
import type { VmDefinition } from '../vm/definition.ts';
import type { QemuProcess } from '../vm/machinery.ts';
import type { VmDrive } from '../vm/qemu-command.ts';
import type { Vm } from '../vm/vm.ts';
import type { VmManager } from '../vm/vm-manager.ts';
import { checkArrival } from './arrival-check.ts';
import { ArrivalStatistics } from './arrival-statistics.ts';
import { destinationCapabilities, multifdParameters } from './memory-settings.ts';
import { rememberRefusal } from './refused-offer.ts';
import { Runner } from './runner.ts';

/** While QEMU reads the state of its devices, which is short. */
const DEVICE_STATE_LOOK_MS = 5;
/** Progress is told at least so often apart. */
const PROGRESS_MS = 200;
/** So are statistics. */
const STATISTICS_MS = 1_000;

export interface DestinationOptions {
  readonly agent: Agent;
  readonly vms: VmManager;
  readonly prepare: Prepare;
  readonly from: HostId;
  /** The disk whose channel carries the messages. */
  readonly disk: ManagedDisk;
  /** What is put away before this may begin. */
  readonly after: Promise<unknown>;
  /** The state folder: what arrives needs room there. */
  readonly folder: string;
}

interface Offer {
  readonly final: Generation;
  readonly decided: PromiseWithResolvers<void>;
}

export class DestinationRunner extends Runner<DestinationState, DestinationEvent, DestinationEffect> {
  readonly from: HostId;
  readonly #options: DestinationOptions;
  readonly #agent: Agent;
  readonly #offers = new Map<ManagedDisk, Offer>();
  readonly #first: readonly DestinationEffect[];
  readonly #settled = Promise.withResolvers<void>();
  readonly #statistics = new ArrivalStatistics();
  #definition: VmDefinition | null = null;
  #disks: readonly ManagedDisk[] = [];
  #vm: Vm | null = null;
  #process: QemuProcess | null = null;
  #socket = '';
  #launching: Promise<void> = Promise.resolve();

  constructor(options: DestinationOptions) {
    const { state, effects } = beginDestination(options.prepare);
    super(state, applyDestination, options.agent.env.log);
    this.#first = effects;
    this.#options = options;
    this.#agent = options.agent;
    this.from = options.from;
  }

  /** Name of the machine, once its definition was read. */
  get name(): string | null {
    return this.#definition?.name ?? null;
  }

  get vm(): Vm | null {
    return this.#vm;
  }

  /** Resolves when everything that follows from the end is done. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  start(): void {
    this.stayWith(this.from, this.#options.disk, this.#agent.env.swarm, (message) =>
      this.feed({ kind: 'failed', code: 'PEER_UNREACHABLE', message }),
    );
    this.run(this.#first);
  }

  /** A message of the source. */
  hear(message: MigrationMessage): void {
    this.feed({ kind: 'message', message });
  }

  /** One of QEMU's migration connections; null while QEMU does not listen. */
  onStream(stream: PeerStream): StreamHandlers | null {
    return this.#socket === '' || this.state.memoryArrived
      ? null
      : this.#options.vms.machinery.pipe(this.#socket, stream);
  }

  protected failed(error: DiskswarmError): void {
    this.feed({ kind: 'failed', code: error.code, message: error.message });
  }

  protected perform(effect: DestinationEffect): void {
    switch (effect.kind) {
      case 'send':
        this.#options.disk.peers.sendMigration(this.from, encodeMigrationMessage(effect.message));
        return;
      case 'check':
        this.work(async () => {
          await this.#options.after;
          const { definition, disks } = await checkArrival(effect.prepare, this.from, this.#options);
          this.#definition = definition;
          this.#disks = disks;
          this.#vm = await this.#options.vms.make(definition);
          for (const disk of disks) disk.live.examineOffers((final) => this.#examine(disk, final));
          void this.#tellStatistics();
          this.feed({ kind: 'checked' });
        });
        return;
      case 'adopt':
        this.work(() => this.#adopt(effect.round, effect.generations));
        return;
      case 'launch':
        this.work(() => {
          this.#launching = this.#launch();
          return this.#launching;
        });
        return;
      case 'openMemory':
        this.work(() => this.#openMemory(effect.open));
        return;
      case 'adoptFinal':
        this.work(async () => {
          if (!(await this.#known(effect.generations))) return;
          const wanted = { signal: this.over.signal, urgent: true };
          if (effect.whole) await Promise.all(this.#disks.map((disk) => disk.completion.complete(wanted)));
          await this.#agent.env.store.sync();
          this.feed({ kind: 'finalAdopted' });
        });
        return;
      case 'accept':
        this.work(async () => {
          for (const { decided } of this.#offers.values()) decided.resolve();
          for (const disk of this.#disks)
            await disk.changed.until(() => disk.ownership.standing().state === 'writable', {
              signal: this.over.signal,
            });
          this.feed({ kind: 'accepted' });
        });
        return;
      case 'refuse':
        for (const { decided } of this.#offers.values())
          decided.reject(new DiskswarmError(codeOf(effect.code), effect.message));
        return;
      case 'resume':
        this.work(() => this.#resume());
        return;
      case 'discard':
        void this.#discard(effect.code, effect.message);
        return;
      case 'ended':
        if (effect.outcome.result !== 'discarded') void this.#finish(effect.outcome);
    }
  }

  /** Until it is over: what came, whenever that is more than before. */
  async #tellStatistics(): Promise<void> {
    const { clock } = this.#agent.env;
    const { signal } = this.over;
    this.#statistics.follow(this.#disks);
    let told = 0;
    while (!signal.aborted) {
      if (told !== this.#statistics.changes) this.#sendStatistics();
      told = this.#statistics.changes;
      await sleep(clock, STATISTICS_MS, { signal }).catch(() => {}); // Over.
    }
    this.#statistics.stop();
  }

  #sendStatistics(): void {
    const { migration, statistics } = this.#options.prepare;
    if (statistics !== true) return;
    const message = { kind: 'statistics', migration, ...this.#statistics.value } as const;
    this.#options.disk.peers.sendMigration(this.from, encodeMigrationMessage(message));
  }

  /** Waits until these generations are the newest here, with whole manifests; false where newer ones took their place meanwhile. */
  async #known(generations: readonly GenerationId[]): Promise<boolean> {
    if (generations.length !== this.#disks.length)
      throw new DiskswarmError('PROTOCOL_ERROR', 'not one generation for each disk', { data: { host: this.from } });
    for (const [index, disk] of this.#disks.entries()) {
      const wanted = generations[index]!;
      const isNewest = (): boolean => disk.content.head?.subject.generation === wanted;
      await disk.changed.until(isNewest, { signal: this.over.signal });
      try {
        await disk.content.wholeManifest();
      } catch (error) {
        if (isNewest()) throw error;
        return false;
      }
    }
    return true;
  }

  async #adopt(round: number, generations: readonly GenerationId[]): Promise<void> {
    if (!(await this.#known(generations))) return;
    // Chunks come while exports and QEMU are opened, which takes longer than all that was before.
    for (const disk of this.#disks) disk.completion.begin();
    this.feed({ kind: 'adopted', round });
    for (;;) {
      const missing = this.#disks.reduce((sum, disk) => sum + disk.leftBytes(), 0);
      this.feed({ kind: 'progress', round, known: true, missingBytes: missing });
      if (missing === 0 || this.state.round !== round || this.state.final !== null) return;
      await sleep(this.#agent.env.clock, PROGRESS_MS, { signal: this.over.signal });
    }
  }

  async #launch(): Promise<void> {
    const vm = this.#vm!;
    const drives: VmDrive[] = [];
    for (const [index, disk] of this.#disks.entries()) {
      const { socket, exportName } = await disk.attach({ readOnly: false, incoming: true, socket: null });
      drives.push({ node: `disk${index}`, socket, exportName });
    }
    const process = await vm.startIncoming(drives);
    this.#process = process;
    void process.exited.then((words) =>
      this.feed({ kind: 'failed', code: 'QMP_CLOSED', message: `QEMU at the destination ended: ${words.slice(-300)}` }),
    );
    this.feed({ kind: 'launched' });
  }

  async #openMemory(open: OpenMemory): Promise<void> {
    const { qmp } = this.#process!;
    this.#shareLink();
    this.#socket = await this.#agent.env.socketFor(`vm-${this.#vm!.name}.in`);
    await qmp.execute('migrate-set-capabilities', { capabilities: destinationCapabilities(open) });
    const parameters = multifdParameters(open);
    if (Object.keys(parameters).length > 0) await qmp.execute('migrate-set-parameters', parameters);
    qmp.onEvent((event) => {
      if (event.name !== 'MIGRATION') return;
      if (event.data.status === 'completed') this.feed({ kind: 'memoryArrived' });
      if (event.data.status === 'failed' || event.data.status === 'postcopy-paused')
        this.feed({
          kind: 'failed',
          code: 'MIGRATION_FAILED',
          message: 'QEMU at the destination could not take the memory',
        });
    });
    await qmp.execute('migrate-incoming', { uri: `unix:${this.#socket}` });
    this.feed({ kind: 'memoryOpened' });
  }

  /** The pause of `precopy` waits for what the rounds beside the memory do not bring: they take the part of the link that the source gives them, and do not give in to the memory. */
  #shareLink(): void {
    const { fetch } = this.#agent.env;
    if (this.#options.prepare.diskMode !== 'precopy' || this.over.signal.aborted) return;
    fetch.linkShared(this.from, true);
    this.over.signal.addEventListener('abort', () => fetch.linkShared(this.from, false), { once: true });
  }

  /** Resolves when the disk may be accepted; rejects to have the offer refused. */
  #examine(disk: ManagedDisk, final: Generation): Promise<void> {
    if (this.state.final?.includes(final.id) !== true)
      return Promise.reject(
        new DiskswarmError('VM_STATE', 'the machine of this disk had not arrived when it was offered'),
      );
    const decided = Promise.withResolvers<void>();
    this.#offers.set(disk, { final, decided });
    if (this.#offers.size === this.#disks.length) this.feed({ kind: 'offered' });
    return decided.promise;
  }

  async #resume(): Promise<void> {
    await Promise.all(this.#disks.map((disk) => disk.activate()));
    await this.#deviceState();
    this.#statistics.runs();
    await this.#process!.qmp.execute('cont', {});
    this.feed({ kind: 'resumed' });
    if (this.state.memoryArrived) this.freeWay();
    await this.#vm!.note({ state: 'running', reason: '' });
    for (const disk of this.#disks) disk.live.examineOffers(null);
    for (const disk of this.#disks) await disk.completion.complete({ signal: this.over.signal });
    this.#sendStatistics();
    this.feed({ kind: 'complete' });
  }

  /** With post-copy the devices come after the acceptance; QEMU says nothing when it has them. */
  async #deviceState(): Promise<void> {
    while (this.state.postcopy) {
      const { status } = await this.#process!.qmp.execute('query-status', {});
      if (status !== 'inmigrate') return;
      await sleep(this.#agent.env.clock, DEVICE_STATE_LOOK_MS, { signal: this.over.signal });
    }
  }

  async #discard(code: string, message: string): Promise<void> {
    this.over.abort(new DiskswarmError('ABORTED', 'the migration is over'));
    const vm = this.#vm;
    try {
      for (const disk of this.#disks) {
        // An offer that was on its way when this ended gets a signed refusal, so that the source goes on.
        const late = this.state.final !== null;
        disk.live.examineOffers(
          late
            ? () => {
                disk.live.examineOffers(null);
                return Promise.reject(new DiskswarmError(codeOf(code), message));
              }
            : null,
        );
      }
      if (vm === null) return;
      if (this.state.finalAdopted) await rememberRefusal(this.#agent.env.meta, this.#disks, this.state.final ?? []);
      // What begins to run now would be found by nobody.
      await this.#launching.catch(() => {});
      await vm.release('stopped', `it was to come from host ${this.from}: ${message}`);
      for (const disk of this.#disks) if (disk.attachment.incoming) await disk.detach();
      await this.#options.vms.forget(vm);
    } catch (error) {
      this.log.warn(
        { vm: vm?.name },
        `what was prepared for a machine that does not come could not be put away: ${String(error)}`,
      );
    } finally {
      this.#settled.resolve();
    }
  }

  async #finish(outcome: { readonly result: string; readonly message?: string }): Promise<void> {
    this.over.abort(new DiskswarmError('ABORTED', 'the migration is over'));
    for (const disk of this.#disks) disk.live.examineOffers(null);
    if (outcome.result === 'stopped')
      await this.#putAside(outcome.message ?? '').catch((error: unknown) =>
        this.log.warn({ vm: this.name }, `machine "${this.name}" could not be put aside: ${String(error)}`),
      );
    this.#settled.resolve();
  }

  /** The disks are this host's, and the machine cannot go on: it is to be started anew. */
  async #putAside(why: string): Promise<void> {
    const vm = this.#vm;
    if (vm === null) return;
    const reason = `its disks are here, whole as of the move, but it does not run: ${why}. Start it with \`diskswarm vm start ${vm.name}\``;
    if (vm.process === null) {
      await vm.note({ reason });
      return;
    }
    await vm.release('stopped', reason);
    for (const disk of this.#disks) if (disk.attachment.attachment !== null) await disk.detach();
  }
}
