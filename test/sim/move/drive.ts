/**
 * One drive of a modelled QEMU: an NBD client that holds its guest's requests while the export is away, and repeats them when it is back.
 *
 * An export that refuses a write while it is neither fenced nor closed gives the guest an I/O error, which fails the run: no migration may do that.
 */
import { DiskswarmError } from '@diskswarm/core';
import type { LocalAttachment } from '@diskswarm/host-agent';
import type { MoveHost } from './move-host.ts';

type Operation = (attachment: LocalAttachment, signal: AbortSignal) => void | Promise<void>;

export class Drive {
  readonly host: MoveHost;
  readonly socket: string;
  readonly #inFlight = new Set<Promise<unknown>>();
  #connected: LocalAttachment | null = null;
  #session = new AbortController();
  #closed = false;

  constructor(host: MoveHost, socket: string) {
    this.host = host;
    this.socket = socket;
  }

  /** QEMU ended. */
  close(): void {
    this.#closed = true;
    this.#session.abort();
    if (this.#connected !== null) this.#connected.clients--;
    this.#connected = null;
  }

  /** Runs an operation on the export that is there, again where that one goes away meanwhile; resolves with the attachment that answered. */
  async run(operation: Operation): Promise<LocalAttachment> {
    for (;;) {
      const attachment = await this.#connect();
      const { incarnation } = this.host.machine;
      const { signal } = this.#session;
      const answered = Promise.race([
        (async () => operation(attachment, signal))(),
        this.host.deathOf(incarnation).then(() => {
          throw new DiskswarmError('ABORTED', 'the agent ended');
        }),
      ]);
      this.#inFlight.add(answered);
      try {
        await answered;
        if (this.host.machine.incarnation === incarnation) return attachment;
      } catch (error) {
        if (this.#closed) throw error;
        if (this.host.exports.get(this.socket) === attachment && this.host.machine.incarnation === incarnation) {
          const { kind } = attachment.view.attachment;
          if (kind !== 'fenced' && !signal.aborted)
            this.host.world.fail(
              new Error(
                `a guest at ${this.host.name} got an I/O error from an export that is ${kind}: ${String(error)}`,
              ),
            );
          await this.host.world.pause(5);
        }
      } finally {
        this.#inFlight.delete(answered);
      }
    }
  }

  /** The export at the socket, as soon as there is one. */
  async #connect(): Promise<LocalAttachment> {
    for (;;) {
      if (this.#closed) throw new DiskswarmError('ABORTED', 'QEMU ended');
      const open = this.host.exports.get(this.socket);
      if (open !== undefined && open.view.attachment.kind !== 'fenced') {
        if (open !== this.#connected) {
          this.#connected = open;
          this.#session = new AbortController();
          open.clients++;
          open.disconnect = () => this.#disconnect(open);
        }
        return open;
      }
      await this.host.nextExport();
    }
  }

  async #disconnect(attachment: LocalAttachment): Promise<void> {
    if (this.#connected === attachment) {
      this.#connected = null;
      this.#session.abort();
    }
    await Promise.allSettled([...this.#inFlight]);
  }
}
