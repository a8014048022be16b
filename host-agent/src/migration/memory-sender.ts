/**
 * The source's end of a memory migration: the socket that QEMU sends to, and the streams that carry it to the other host.
 *
 * What QEMU is told, and when, is the runner's; the bytes are memory-pipe's.
 *
 * QEMU 7.2 (no longer 10.0) must not see a connection break while it sends the last of the memory and saves its devices: when a multifd connection does,
 * the guest runs on with its disks put away, and QEMU aborts at the guest's next write; and a QEMU that cannot get its bytes out does not hear that it is
 * cancelled. So from `keep` on a stream that is cut leaves QEMU's connection as it is: what comes is read and dropped until `stop`.
 */
import { DiskswarmError, type HostId } from '@diskswarm/core';
import type { PeerStream } from '@diskswarm/swarm';
import type { Agent } from '../agent/agent.ts';
import type { Outlet } from '../vm/machinery.ts';
import type { Vm } from '../vm/vm.ts';

const CUT_PATIENCE_MS = 300;

export class MemorySender {
  readonly #agent: Agent;
  readonly #vm: Vm;
  readonly #to: HostId;
  readonly #migration: string;
  readonly #onCut: (error: DiskswarmError) => void;
  readonly #streams = new Set<PeerStream>();
  #closedBytes = 0;
  #outlet: Outlet | null = null;
  /** Why the first stream ended before its time. */
  #cut: DiskswarmError | null = null;
  #kept = false;
  #stopped = false;

  /** `onCut` hears of the first stream that ends before its time, after a moment in which the other host may say why. */
  constructor(
    agent: Agent,
    { vm, to, migration }: { vm: Vm; to: HostId; migration: string },
    onCut: (error: DiskswarmError) => void,
  ) {
    this.#agent = agent;
    this.#vm = vm;
    this.#to = to;
    this.#migration = migration;
    this.#onCut = onCut;
  }

  /** Bytes that left. */
  get sentBytes(): number {
    let bytes = this.#closedBytes;
    for (const stream of this.#streams) bytes += stream.sentBytes;
    return bytes;
  }

  /** Listens for QEMU; resolves with the address for its `migrate`. ABORTED when it is stopped before. */
  async start(): Promise<string> {
    const { swarm } = this.#agent.env;
    const path = await this.#agent.env.socketFor(`vm-${this.#vm.name}.out`);
    this.#assertGoing();
    this.#outlet = this.#vm.machinery.outlet(path, (channel, handlers) => {
      const stream = swarm.openStream(this.#to, `${this.#migration}/${channel}`, () => ({
        ...handlers,
        onClose: (error) => {
          this.#closedBytes += stream.sentBytes;
          this.#streams.delete(stream);
          if (error !== undefined) this.#noteCut(error);
          if (error === undefined || !this.#kept) handlers.onClose(error);
          else handlers.onDrain(); // A stream that is over takes everything.
        },
      }));
      this.#streams.add(stream);
      return stream;
    });
    await this.#outlet.start();
    if (this.#stopped) await this.#outlet.stop();
    this.#assertGoing();
    return `unix:${path}`;
  }

  #assertGoing(): void {
    if (this.#stopped) throw new DiskswarmError('ABORTED', 'the migration is over');
  }

  #noteCut({ message }: DiskswarmError): void {
    if (this.#cut !== null || this.#stopped) return;
    const error = new DiskswarmError('MIGRATION_FAILED', `what carried its memory broke: ${message}`);
    this.#cut = error;
    this.#agent.env.clock.setTimer(CUT_PATIENCE_MS, () => {
      if (!this.#stopped) this.#onCut(error);
    });
  }

  /** QEMU's connections stay, whatever becomes of the streams. MIGRATION_FAILED when one was cut before. */
  keep(): void {
    if (this.#cut !== null) throw this.#cut;
    this.#kept = true;
  }

  /** QEMU gets rid of what it has to send, and hears what it is told. */
  giveUp(): void {
    if (!this.#kept) return;
    for (const stream of this.#streams) stream.destroy(new DiskswarmError('ABORTED', 'the migration is over'));
  }

  /** Cuts what flows and removes the socket; nothing is listened for any more. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const stream of this.#streams) stream.destroy();
    await this.#outlet?.stop();
  }
}
