/**
 * The host that a machine leaves: carries out what the source's state machine decides, with QEMU, the disks and the other agent.
 *
 * Leaves to others: what follows what (packages/migration), what makes each disk's hand-over safe (ownership), the bytes of memory (memory-pipe).
 */
import { DiskswarmError, type GenerationId, type HostId, sleep, type Timer } from '@diskswarm/core';
import {
  applySource,
  canTakeBack,
  type DiskMode,
  encodeMigrationMessage,
  type Forecast,
  initialSource,
  type MigrationMessage,
  type MigrationPlan,
  type SourceEffect,
  type SourceEvent,
  type SourceState,
  type ThrottlePolicy,
} from '@diskswarm/migration';
import type { QmpEvent } from '@diskswarm/qmp';
import type { PackingTotals } from '@diskswarm/swarm';
import type { Agent } from '../agent/agent.ts';
import type { LiveHandOver } from '../agent/live-hand-over.ts';
import type { ManagedDisk } from '../agent/managed-disk.ts';
import { codeOf } from '../agent/ownership-driver.ts';
import type { QemuProcess } from '../vm/machinery.ts';
import type { Vm } from '../vm/vm.ts';
import { knownRisks } from './known-risks.ts';
import { MemoryProgress } from './memory-progress.ts';
import { MemorySender } from './memory-sender.ts';
import { type MemoryOptions, sourceCapabilities, sourceParameters } from './memory-settings.ts';
import { MigrationReport } from './migration-report.ts';
import { PackedTraffic } from './packed-traffic.ts';
import { doubtOf } from './phase-words.ts';
import { Runner } from './runner.ts';
import { Traffic } from './traffic.ts';
import { WriteThrottle } from './write-throttle.ts';

export interface SourceOptions {
  readonly agent: Agent;
  readonly vm: Vm;
  readonly to: HostId;
  readonly plan: MigrationPlan;
  readonly memory: MemoryOptions;
  /** How the guest's writes are slowed when they outrun the link. */
  readonly throttle: ThrottlePolicy;
  /** The link is being measured until then: chunks would be in the way. */
  readonly measured: Promise<unknown>;
}

/** What chunks get of the link while memory waits. In `precopy` the pause waits for what the rounds did not bring; else a longer copy of the memory costs more. */
const BACKGROUND_PART: Readonly<Record<DiskMode, number>> = { precopy: 0.5, hybrid: 0.1, postcopy: 0.1 };

/** The destination's word that the guest runs belongs into the record; whether it comes changes nothing else. */
const RUNNING_PATIENCE_MS = 2_000;

export class SourceRunner extends Runner<SourceState, SourceEvent, SourceEffect> {
  readonly to: HostId;
  readonly vm: Vm;
  readonly report: MigrationReport;
  readonly throttle: WriteThrottle;
  readonly traffic: Traffic;
  readonly packed: PackedTraffic;
  readonly memory = new MemoryProgress();
  readonly #options: SourceOptions;
  readonly #agent: Agent;
  readonly #disks: readonly ManagedDisk[];
  readonly #qemu: QemuProcess;
  readonly #sender: MemorySender;
  readonly #settled = Promise.withResolvers<void>();
  #handOvers: LiveHandOver[] = [];
  #deadline: Timer | null = null;
  #forgetEvents: () => void = () => {};
  #memoryStarted = false;
  /** The note that the machine may not run here; begun in the pause, while memory and manifests are on their way. */
  #doubt: Promise<void> = Promise.resolve();

  /** VM_STATE when the machine does not run. */
  constructor(options: SourceOptions) {
    super(initialSource(options.plan), applySource, options.agent.env.log);
    const { agent, vm, to } = options;
    if (vm.process === null)
      throw new DiskswarmError('VM_STATE', `machine "${vm.name}" does not run here`, { data: { vm: vm.name } });
    this.#options = options;
    this.#agent = agent;
    this.#qemu = vm.process;
    this.#disks = vm.disks();
    this.vm = vm;
    this.to = to;
    this.throttle = new WriteThrottle({
      clock: agent.env.clock,
      policy: options.throttle,
      attachments: () => this.#disks.flatMap(({ attachment }) => attachment.attachment ?? []),
      onSlowed: () => this.feed({ kind: 'slowed' }),
      onWhole: (growth) => this.feed({ kind: 'measured', growth }),
    });
    this.over.signal.addEventListener('abort', () => this.throttle.end(), { once: true });
    const { clock, hostId } = agent.env;
    const { migration, diskMode, memoryMode, compress } = options.plan;
    this.#sender = new MemorySender(agent, { vm, to, migration }, (error) => {
      // What QEMU got rid of is there only if the other host says so.
      if (!this.state.memoryCompleted || !this.state.confirmed) this.failed(error);
    });
    this.traffic = new Traffic(clock, { self: hostId, to, disks: this.#disks });
    this.packed = new PackedTraffic(to, this.#disks);
    const warnings = knownRisks(vm.record.definition, options.plan.qemuVersion);
    const subject = { migration, to, vm: vm.name, diskMode, memoryMode, compress, warnings };
    this.report = new MigrationReport(clock, subject, this);
  }

  /** Begins; what becomes of it is in `state`. */
  start(): void {
    this.report.throttle = () => this.throttle.record;
    this.#forgetEvents = this.#qemu.qmp.onEvent((event) => this.#onQemu(event));
    this.#splitLink();
    void this.#qemu.exited.then(() => this.#lost('QMP_CLOSED', `the QEMU of machine "${this.vm.name}" ended`));
    const { swarm } = this.#agent.env;
    this.stayWith(this.to, this.#first, swarm, (message) => this.#lost('PEER_UNREACHABLE', message));
    this.#record();
    this.feed({ kind: 'started' });
  }

  /** A message of the destination. */
  hear(message: MigrationMessage): void {
    this.report.heard(message);
    this.throttle.heard(message);
    this.feed({ kind: 'message', message, nowUs: this.#agent.env.clock.nowUs() });
    if (this.report.heardLate(message)) this.#record();
    if (this.state.running && this.state.memoryCompleted) this.freeWay();
  }

  /** The operator's wish; VM_STATE once it is too late. */
  cancel(): void {
    if (!canTakeBack(this.state.phase))
      throw new DiskswarmError(
        'VM_STATE',
        `machine "${this.vm.name}" is being given away, or has left: it cannot be taken back`,
        {
          data: { vm: this.vm.name, phase: this.state.phase },
        },
      );
    this.feed({ kind: 'failed', result: 'cancelled', code: 'ABORTED', message: 'the migration was cancelled' });
  }

  /** What this was expected to take; it may come when it is over already. */
  planned(forecast: Forecast, memoryInUseBytes: number): void {
    this.report.planned(forecast, memoryInUseBytes);
    if (this.state.phase === 'ended') this.#record();
    this.changed.fire();
  }

  /** Resolves when everything that follows from the end is done. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  /** The other host can be heard. */
  get connected(): boolean {
    return this.#first.peers.link(this.to) !== undefined;
  }

  /** Bytes of memory that left through streams. */
  get memoryBytes(): number {
    return this.#sender.sentBytes;
  }

  get #first(): ManagedDisk {
    return this.#disks[0]!;
  }

  protected failed(error: DiskswarmError): void {
    this.#lost(error.code, error.message);
  }

  #lost(code: string, message: string): void {
    this.feed({ kind: 'failed', result: 'failed', code, message });
  }

  protected perform(effect: SourceEffect): void {
    switch (effect.kind) {
      case 'send':
        this.#send(effect.message);
        return;
      case 'sealRound':
        this.work(async () => {
          const { phase } = this.state;
          await this.#options.measured;
          await sleep(this.#agent.env.clock, effect.afterMs, { signal: this.over.signal });
          if (this.state.phase !== phase) return;
          await this.throttle.sealing();
          const startedUs = this.#agent.env.clock.nowUs();
          const generations: GenerationId[] = [];
          let changed = 0;
          for (const disk of this.#disks) {
            const { generation, changedPieces } = await disk.seal({ signal: this.over.signal, transient: true });
            generations.push(generation.id);
            changed += changedPieces;
          }
          this.report.sealed(changed);
          this.feed({ kind: 'sealed', generations, startedUs, nowUs: this.#agent.env.clock.nowUs() });
          this.throttle.sealed(this.state.round);
        });
        return;
      case 'startMemory':
        this.work(() => this.#startMemory(effect.downtimeMs));
        return;
      case 'allowDowntime':
        this.work(() => this.#qemu.qmp.execute('migrate-set-parameters', { 'downtime-limit': effect.downtimeMs }));
        return;
      case 'hold':
        this.throttle.end();
        this.#splitLink({ paused: true });
        this.work(async () => {
          this.#handOvers = this.#disks.map((disk) => disk.live.handOver(this.to, this.state.plan.migration));
          await Promise.all(this.#handOvers.map((handOver) => handOver.held()));
          this.report.mark('held');
          this.feed({ kind: 'held' });
        });
        return;
      case 'finalSeal':
        this.work(async () => {
          this.#noteDoubt();
          const finals = await Promise.all(this.#handOvers.map((handOver) => handOver.seal()));
          this.report.mark('sealed');
          this.feed({ kind: 'finalSealed', generations: finals.map(({ id }) => id) });
        });
        return;
      case 'startPostcopy':
        this.work(() => this.#qemu.qmp.execute('migrate-start-postcopy', {}));
        return;
      case 'continueMemory':
        this.work(async () => {
          if (this.state.plan.memoryMode === 'precopy') this.#sender.keep();
          await this.#qemu.qmp.execute('migrate-continue', { state: 'pre-switchover' });
        });
        return;
      case 'relinquish':
        this.work(() => this.#relinquish());
        return;
      case 'deadline':
        this.#deadline?.cancel();
        this.#deadline = null;
        if (effect.ms > 0)
          this.#deadline = this.#agent.env.clock.setTimer(effect.ms, () =>
            this.#lost('TIMEOUT', `the migration did not get past "${this.state.phase}" within ${effect.ms / 1000} s`),
          );
        return;
      case 'takeBack':
        void this.#takeBack(effect.code, effect.message);
        return;
      case 'leave':
        this.work(() => this.#leave());
        return;
      case 'ended':
        this.report.end(effect.outcome, this.#measured());
        if (effect.outcome.result === 'done' || effect.outcome.result === 'lost')
          void this.#close().then(() => this.#settled.resolve());
    }
  }

  /** Not of a QEMU that ended: its end is on record. */
  #noteDoubt(): void {
    if (this.vm.process !== this.#qemu) return;
    const reason = doubtOf(this.vm.name, this.to);
    this.#doubt = this.vm.note({ state: 'inDoubt', reason, report: this.report.text });
    this.#doubt.catch(() => {}); // Whoever waits for it hears of it.
  }

  /** While the guest is stopped, chunks that it does not wait for leave the link to what it waits for. */
  #splitLink({ paused = false } = {}): void {
    const { plan, memory, agent } = this.#options;
    const backgroundPart = paused && plan.diskMode !== 'precopy' ? 0 : BACKGROUND_PART[plan.diskMode];
    agent.env.swarm.splitLink(this.to, { bytesPerSecond: memory.bytesPerSecond, backgroundPart });
  }

  #send(message: MigrationMessage): void {
    this.#first.peers.sendMigration(this.to, encodeMigrationMessage(message));
  }

  async #startMemory(downtimeMs: number): Promise<void> {
    const { memory, agent } = this.#options;
    const { qmp } = this.#qemu;
    await qmp.execute('migrate-set-capabilities', { capabilities: sourceCapabilities(memory) });
    await qmp.execute('migrate-set-parameters', sourceParameters(memory, downtimeMs));
    const uri = await this.#sender.start();
    this.over.signal.throwIfAborted();
    this.#memoryStarted = true;
    this.report.mark('memory');
    await qmp.execute('migrate', { uri });
    void this.memory.follow(qmp, {
      clock: agent.env.clock,
      signal: this.over.signal,
      state: () => this.state,
      changed: () => this.changed.fire(),
    });
  }

  #onQemu(event: QmpEvent): void {
    if (event.name === 'STOP') this.report.mark('stop');
    if (event.name === 'STOP' || event.name === 'RESUME') this.throttle.setStill(event.name === 'STOP');
    if (event.name === 'SHUTDOWN') this.#lost('VM_STATE', `the guest of machine "${this.vm.name}" powered off`);
    if (event.name === 'MIGRATION_PASS') this.feed({ kind: 'passed', passes: Number(event.data.pass) - 1 });
    if (event.name !== 'MIGRATION') return;
    const { status } = event.data;
    if (status === 'pre-switchover' || status === 'completed') {
      this.report.mark(status);
      this.feed({ kind: 'memory', status });
    } else if (status === 'failed' || status === 'cancelled' || status === 'postcopy-paused') {
      this.work(async () => {
        const { 'error-desc': words } = await this.#qemu.qmp.execute('query-migrate', {});
        throw new DiskswarmError(
          'MIGRATION_FAILED',
          `QEMU's migration ${status}${words === undefined ? '' : `: ${words}`}`,
        );
      });
    }
  }

  /** Durable before any disk is given away: this host does not run the machine by itself from here on. */
  async #relinquish(): Promise<void> {
    await this.#doubt;
    this.report.mark('relinquish');
    await Promise.all(this.#handOvers.map((handOver) => handOver.relinquish()));
    const verdicts = await Promise.all(
      this.#disks.map(async (disk) => {
        await disk.changed.until(() => disk.ownership.source.phase === 'idle', { signal: this.over.signal });
        return disk.ownership.source;
      }),
    );
    const refusal = verdicts.find((source) => source.phase === 'idle' && source.last?.result !== 'done');
    const message = refusal?.phase === 'idle' ? (refusal.last?.message ?? '') : '';
    this.report.mark('accepted');
    this.feed({ kind: 'verdict', accepted: refusal === undefined, message });
  }

  /** The machine runs elsewhere; this host stays a source of its disks until receipts say that nobody needs it. */
  async #leave(): Promise<void> {
    this.#splitLink();
    await this.vm.release('moved', `it runs on host ${this.to}`);
    await this.vm.note({ report: this.report.text });
    await this.#sender.stop();
    const { signal } = this.over;
    for (const disk of this.#disks) await disk.changed.until(async () => (await disk.safety.ofHost()).safe, { signal });
    const heard = this.changed.until(() => this.state.running, { signal });
    await Promise.race([heard, sleep(this.#agent.env.clock, RUNNING_PATIENCE_MS, { signal })]);
    this.feed({ kind: 'free' });
  }

  async #takeBack(code: string, message: string): Promise<void> {
    this.over.abort(new DiskswarmError('ABORTED', 'the migration is taken back'));
    try {
      this.#send({ kind: 'cancel', migration: this.state.plan.migration, code, message });
      const why = new DiskswarmError(codeOf(code), message);
      this.#sender.giveUp();
      if (this.#memoryStarted) await this.#qemu.qmp.execute('migrate_cancel', {}).catch(() => {});
      await Promise.all(this.#handOvers.map((handOver) => handOver.abort(why)));
      await this.#doubt;
      if (this.vm.process === this.#qemu) {
        if (this.vm.record.state === 'inDoubt') await this.vm.note({ state: 'running', reason: '' });
        await this.vm.runOn();
      } else if (this.vm.record.state === 'inDoubt') {
        await this.vm.note({ state: 'stopped', reason: message });
      }
    } catch (error) {
      this.log.error({ vm: this.vm.name }, `machine "${this.vm.name}" could not be put back to work: ${String(error)}`);
      await this.vm
        .note({ reason: `after a failed migration it could not be resumed: ${String(error)}` })
        .catch(() => {});
    } finally {
      await this.#close();
      this.#settled.resolve();
    }
  }

  async #close(): Promise<void> {
    this.over.abort(new DiskswarmError('ABORTED', 'the migration is over'));
    this.#deadline?.cancel();
    this.#forgetEvents();
    this.#agent.env.swarm.splitLink(this.to, null);
    await this.#sender.stop();
    await this.vm.note({ report: this.report.text }).catch(() => {});
    this.changed.fire();
  }

  #measured(): { memoryBytes: number; diskBytes: number } & PackingTotals {
    return { memoryBytes: this.memoryBytes, diskBytes: this.traffic.diskBytes(), ...this.packed.totals() };
  }

  /** Puts what is known now into the durable record. */
  #record(): void {
    void this.vm.note({ report: this.report.text }).catch(() => {});
  }
}
