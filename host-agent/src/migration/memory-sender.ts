/**
 * The source's end of a memory migration: the socket that QEMU sends to, and the streams that carry it to the other host.
 *
 * What QEMU is told, and when, is the runner's; the bytes are memory-pipe's.
 */
import { DiskswarmError, type HostId } from '@diskswarm/core';
import type { PeerStream } from '@diskswarm/swarm';
import type { Agent } from '../agent/agent.ts';
import type { Outlet } from '../vm/machinery.ts';
import type { Vm } from '../vm/vm.ts';

export class MemorySender {
  readonly #agent: Agent;
  readonly #vm: Vm;
  readonly #to: HostId;
  readonly #migration: string;
  readonly #streams = new Set<PeerStream>();
  #closedBytes = 0;
  #outlet: Outlet | null = null;
  #stopped = false;

  constructor(agent: Agent, { vm, to, migration }: { vm: Vm; to: HostId; migration: string }) {
    this.#agent = agent;
    this.#vm = vm;
    this.#to = to;
    this.#migration = migration;
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
          handlers.onClose(error);
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

  /** Cuts what flows and removes the socket; nothing is listened for any more. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const stream of this.#streams) stream.destroy();
    await this.#outlet?.stop();
  }
}
