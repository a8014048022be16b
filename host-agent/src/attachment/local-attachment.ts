/**
 * Attachments in the caller's own thread, without a socket: what the simulation opens. The guest's side is `view`.
 */
import { type Clock, MIB, type Storage } from '@diskswarm/core';
import type { DiskView, FrozenLayerName } from '@diskswarm/disk';
import { NO_REQUESTS } from '@diskswarm/nbd';
import type {
  Attachment,
  AttachmentOpener,
  AttachmentOwner,
  AttachmentSpec,
  AttachmentStatus,
  BaseGeneration,
  WriteLoad,
} from './attachment.ts';
import { AttachmentBody } from './attachment-body.ts';

/** Small, so that reads take both ways. */
const WARM_BYTES = 64 * MIB;

/** Opens attachments over `storage`; `onOpen` is handed each, for a guest to use. */
export function localOpener(
  { storage, clock }: { storage: Storage; clock: Clock },
  onOpen: (attachment: LocalAttachment) => void,
): AttachmentOpener {
  return {
    open: async (spec: AttachmentSpec, owner: AttachmentOwner): Promise<Attachment> => {
      const attachment = new LocalAttachment(
        spec,
        await AttachmentBody.open(spec, storage, owner, { clock, warmBytes: WARM_BYTES }),
      );
      onOpen(attachment);
      return attachment;
    },
  };
}

export class LocalAttachment implements Attachment {
  readonly spec: AttachmentSpec;
  readonly #body: AttachmentBody;
  /** Guests that are connected; the user of `view` keeps the count. */
  clients = 0;
  /** Ends the connections of guests; resolves when nothing of theirs is in flight. The user of `view` sets it. */
  disconnect: () => Promise<void> = async () => {};

  constructor(spec: AttachmentSpec, body: AttachmentBody) {
    this.spec = spec;
    this.#body = body;
  }

  get view(): DiskView {
    return this.#body.view;
  }

  /** Delay of each write, in microseconds: a guest that goes to `view` is on its honour. */
  get writeDelayUs(): number {
    return this.#body.pace.delayUs;
  }

  async status(): Promise<AttachmentStatus> {
    const writableClients = this.view.readOnly ? 0 : this.clients;
    const { state, writeCounts } = this.#body;
    return { state, clients: this.clients, writableClients, ...writeCounts, requests: NO_REQUESTS };
  }

  freeze(): Promise<readonly FrozenLayerName[]> {
    return this.#body.freeze();
  }

  rebase(base: BaseGeneration, layer: number, changedLeaves: readonly number[]): Promise<void> {
    return this.#body.rebase(base, layer, changedLeaves);
  }

  hold(options: { readonly wait: boolean }): Promise<void> {
    return this.#body.hold(options);
  }

  async slowWrites(delayUs: number): Promise<WriteLoad> {
    return this.#body.slowWrites(delayUs);
  }

  activate(base: BaseGeneration): Promise<void> {
    return this.#body.activate(base);
  }

  distrust(): void {
    this.#body.distrust();
  }

  async resume(): Promise<void> {
    this.#body.resume();
  }

  async fence(): Promise<void> {
    this.#body.fence();
    await this.disconnect();
  }

  async close(): Promise<void> {
    const disconnected = this.disconnect();
    // As in a thread of its own: writes that wait for a chunk were not acknowledged, and nobody waits for them.
    this.#body.fence();
    await disconnected;
    await this.#body.close();
  }
}
