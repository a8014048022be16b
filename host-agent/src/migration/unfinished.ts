/**
 * What an agent that starts finds of moves which the one before had under way, put in order: a machine that had not been given away goes on, one that was
 * accepted runs here, one that had not arrived is put away.
 *
 * Offers of the disks of a machine that was on its way wait until then: taken before, they would be accepted, and their machine put away.
 */
import { DiskswarmError, type GenerationId, messageOf } from '@diskswarm/core';
import type { Agent } from '../agent/agent.ts';
import type { ManagedDisk } from '../agent/managed-disk.ts';
import type { Vm } from '../vm/vm.ts';
import type { VmManager } from '../vm/vm-manager.ts';
import { withoutEnd } from './migration-report.ts';
import { refusalOf, rememberRefusal } from './refused-offer.ts';

const PUT_AWAY = 'the agent ended while the machine was on its way here';

export class Unfinished {
  readonly #agent: Agent;
  readonly #vms: VmManager;
  readonly #done = Promise.withResolvers<void>();
  /** The final generations of machines that were put away. */
  readonly #refused = new Map<ManagedDisk, GenerationId>();

  constructor(agent: Agent, vms: VmManager) {
    this.#agent = agent;
    this.#vms = vms;
  }

  /** Resolves when all is in order, except what waits for another host. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** Has offers wait; before any other host is heard. */
  expect(): void {
    const { meta } = this.#agent.env;
    for (const disk of this.#agent.disks) {
      const refused = refusalOf(meta, disk);
      if (refused !== null) this.#refused.set(disk, refused);
    }
    const incoming = this.#vms.list().flatMap((vm) => (vm.record.state === 'incoming' ? vm.knownDisks() : []));
    for (const disk of new Set([...incoming, ...this.#refused.keys()])) {
      disk.live.examineOffers(async (final) => {
        await this.#done.promise;
        const refused = this.#refused.get(disk);
        this.#refused.delete(disk);
        if (refused === final.id) throw new DiskswarmError('VM_STATE', PUT_AWAY);
      });
    }
  }

  /** Puts every machine in order, once their processes were found again. */
  async settle(): Promise<void> {
    for (const vm of this.#vms.list()) {
      const report = withoutEnd(vm.record.report);
      if (report !== null) await vm.note({ report });
      await this.#settle(vm).catch((error: unknown) =>
        this.#agent.env.log.warn(
          { vm: vm.name },
          `machine "${vm.name}" could not be put in order: ${messageOf(error)}`,
        ),
      );
    }
    this.#done.resolve();
  }

  async #settle(vm: Vm): Promise<void> {
    const { state } = vm.record;
    if (state === 'moved' && vm.process !== null) await vm.release('moved', vm.record.reason);
    if (state === 'running' && vm.process !== null) {
      const { status } = await vm.process.qmp.execute('query-migrate', {});
      if (status?.startsWith('postcopy') === true) {
        await vm.release(
          'stopped',
          'the agent ended while its memory was still on the way here; its disks are here: start it again',
        );
        for (const disk of vm.disks()) if (disk.attachment.attachment !== null) await disk.detach();
        return;
      }
      // Never on its way: whoever stopped the guest meant to.
      if (status === undefined || status === 'none') return;
      // It was on its way when the agent ended; nothing had been given away, or it would be in doubt.
      await vm.process.qmp.execute('migrate_cancel', {});
      await vm.runOn();
      return;
    }
    if (state !== 'incoming' && state !== 'inDoubt') return;
    const standings = vm.disks().map((disk) => disk.ownership.standing().state);
    if (standings.every((standing) => standing === 'writable')) {
      // Accepted here before the agent ended, or never given away.
      await this.#goOn(vm);
    } else if (state === 'incoming' && standings.includes('writable')) {
      // Some were accepted: the machine had arrived, and the others are offered again.
      this.#settleLater(vm, (standing) => standing === 'writable');
    } else if (state === 'incoming') {
      await this.#putAway(vm);
    } else if (standings.every((standing) => standing === 'elsewhere')) {
      await vm.release('moved', 'it was given to another host');
    } else {
      this.#settleLater(
        vm,
        (standing) => standing !== 'held',
        () => this.#offerTheRest(vm),
      );
    }
  }

  async #goOn(vm: Vm): Promise<void> {
    if (vm.process === null) {
      await vm.note({
        state: 'stopped',
        reason: 'QEMU ended while the agent was away; its disks are here: start it again',
      });
      return;
    }
    // An export that waited for its guest is not opened again by itself, and the disk was accepted since.
    for (const disk of vm.disks())
      if (disk.attachment.attachment === null) await disk.attach({ readOnly: false, socket: null });
    if (vm.record.state === 'inDoubt') await vm.process.qmp.execute('migrate_cancel', {});
    await vm.runOn();
    await vm.note({ state: 'running', reason: '' });
  }

  /** The source goes on once it has a signed refusal of what it offered; that was of the newest generation here. */
  async #putAway(vm: Vm): Promise<void> {
    const disks = vm.disks().filter(({ records }) => records.head !== null);
    const offered = disks.map(({ records }) => records.head!.id);
    await rememberRefusal(this.#agent.env.meta, disks, offered);
    for (const [index, disk] of disks.entries()) this.#refused.set(disk, offered[index]!);
    await vm.release('stopped', PUT_AWAY);
  }

  /** The agent ended between two offers: a machine goes with all of its disks or with none, and one offer cannot be taken back. */
  async #offerTheRest(vm: Vm): Promise<void> {
    const offered = vm
      .disks()
      .flatMap(({ ownership: { source } }) => (source.phase === 'relinquished' ? [source.relinquish.to] : []));
    const to = offered[0];
    if (to === undefined) return;
    for (const disk of vm.disks()) {
      if (disk.ownership.standing().state !== 'writable') continue;
      const handOver = disk.live.handOver(to);
      await handOver.held();
      await handOver.seal();
      await handOver.relinquish();
    }
  }

  /** In doubt until the verdicts come: they decide. `before` may wait for other hosts, and nobody else waits for it. */
  #settleLater(vm: Vm, decided: (standing: string) => boolean, before: () => Promise<void> = async () => {}): void {
    const wait = async (): Promise<void> => {
      await before();
      for (const disk of vm.disks())
        await disk.changed.until(() => decided(disk.ownership.standing().state), {
          signal: new AbortController().signal,
        });
      await this.#settle(vm);
    };
    wait().catch((error: unknown) =>
      this.#agent.env.log.warn({ vm: vm.name }, `machine "${vm.name}" stays in doubt: ${messageOf(error)}`),
    );
  }
}
