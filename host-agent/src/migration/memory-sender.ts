/**
 * The source's end of a memory migration: the socket that QEMU sends to, and the streams that carry it to the other host.
 *
 * What QEMU is told, and when, is the runner's; the bytes are memory-pipe's.
 *
 * A stream that is cut does not cut QEMU's connection: what comes is read and dropped until `stop`. A multifd connection that breaks while the last of the
 * memory goes out makes QEMU 7.2 (no longer 10.0) let the guest run on with its disks put away, and abort at its next write; and a QEMU that cannot get its
 * bytes out does not hear that it is cancelled. With post-copy, where nothing can be taken back, QEMU has to know.
 */
import { DiskswarmError, type HostId } from '@diskswarm/core';
import type { MemoryMode } from '@diskswarm/migration';
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
  readonly #postcopy: boolean;
  readonly #onCut: (error: DiskswarmError) => void;
  readonly #streams = new Set<PeerStream>();
  #closedBytes = 0;
  #outlet: Outlet | null = null;
  #givenUp = false;
  #stopped = false;

  /** `onCut` hears of a stream that ended before its time, unless that was done here. */
  constructor(
    agent: Agent,
    { vm, to, migration, memoryMode }: { vm: Vm; to: HostId; migration: string; memoryMode: MemoryMode },
    onCut: (error: DiskswarmError) => void,
  ) {
    this.#agent = agent;
    this.#vm = vm;
    this.#to = to;
    this.#migration = migration;
    this.#postcopy = memoryMode === 'postcopy';
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
          if (error === undefined || this.#postcopy) handlers.onClose(error);
          else handlers.onDrain(); // A stream that is over takes everything.
          if (error !== undefined && !this.#givenUp) this.#cut(error);
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

  /** The other host may have better words for why. */
  #cut(error: DiskswarmError): void {
    this.#agent.env.clock.setTimer(CUT_PATIENCE_MS, () => {
      if (!this.#givenUp) this.#onCut(error);
    });
  }

  /** Nothing more goes to the other host; QEMU can still be told. Idempotent. */
  giveUp(): void {
    this.#givenUp = true;
    for (const stream of this.#streams) stream.destroy(new DiskswarmError('ABORTED', 'the migration is over'));
  }

  /** Cuts what flows and removes the socket; nothing is listened for any more. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.giveUp();
    await this.#outlet?.stop();
  }
}
