/**
 * What signed news does to a disk on this host: a roster, an epoch record or a generation that is newer than what was known.
 *
 * The record is durable already. What may not be written any more is fenced first, whatever becomes of the rest; then the newest generation
 * is adopted, peers are told, and a hand-over under way looks at the chain again. Nobody waits for it: failures go to the log.
 */
import type { ChangeSignal } from './change-signal.ts';
import type { DiskAttachment } from './disk-attachment.ts';
import type { DiskContent } from './disk-content.ts';
import type { DiskPeers } from './disk-peers.ts';
import type { DiskRecords } from './disk-records.ts';
import type { Environment } from './environment.ts';
import type { OwnershipDriver } from './ownership-driver.ts';

/** The parts of the disk that news may move. */
export interface DiskNewsOptions {
  readonly env: Environment;
  readonly name: string;
  readonly records: DiskRecords;
  readonly content: DiskContent;
  readonly attachment: DiskAttachment;
  readonly ownership: OwnershipDriver;
  readonly peers: DiskPeers;
  readonly changed: ChangeSignal;
}

export class DiskNews {
  readonly #options: DiskNewsOptions;

  constructor(options: DiskNewsOptions) {
    this.#options = options;
  }

  /** The roster, and perhaps the swarm secret, is another. */
  rosterChanged(): void {
    const { env, records, content } = this.#options;
    env.swarm.rosterChanged(records.disk);
    env.announce(records.disk);
    this.recordsChanged(records.head?.id !== content.head?.subject.generation);
  }

  /** Epochs or generations were learned; `head` tells whether the newest generation is another now. */
  recordsChanged(head: boolean): void {
    const { env, name, records, content, peers, ownership, changed } = this.#options;
    const failed = (error: unknown): void =>
      env.log.warn({ disk: records.disk }, `news of disk "${name}" could not be taken in: ${String(error)}`);
    const obey = async (): Promise<void> => {
      if (head) await content.adopt(() => records.head);
      peers.announceAll(null);
      await ownership.tellSource({ kind: 'chainChanged' });
    };
    this.#fenceWhatIsNotOurs().catch(failed);
    obey()
      .catch(failed)
      .finally(() => changed.fire());
  }

  async #fenceWhatIsNotOurs(): Promise<void> {
    const { env, name, records, attachment, ownership } = this.#options;
    if (!attachment.writable || ownership.standing().state !== 'elsewhere') return;
    const why =
      records.member?.revoked === undefined
        ? 'belongs to another host now'
        : 'was taken from this host, which was revoked';
    env.log.warn({ disk: records.disk }, `disk "${name}" ${why}: its export is closed; shut its virtual machine down`);
    await attachment.fence();
  }
}
