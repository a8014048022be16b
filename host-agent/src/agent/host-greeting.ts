/**
 * What a host that connects is told of one disk besides generations and claims: our receipt, the templates, and that we are here.
 *
 * And what it tells of the order in which guests touched the disk. Rosters, generations and claims are disk-peers.ts.
 */
import type { GenerationId, HostId, PieceIndex } from '@diskswarm/core';
import type { AttachmentResolver } from './attachment-resolver.ts';
import type { DiskTrace } from './disk-trace.ts';
import type { Environment } from './environment.ts';
import type { ManagedDisk } from './managed-disk.ts';
import { TemplatePrefetch } from './template-prefetch.ts';

/** What to do with a failure that is nobody's request. */
type Noted = (what: string) => (error: unknown) => void;

export class HostGreeting {
  readonly #of: ManagedDisk;
  readonly #trace: DiskTrace;
  readonly #prefetch: TemplatePrefetch;
  readonly #noted: Noted;
  /** Ends the wait of a trace that came before its generation was adopted. */
  #early = new AbortController();

  constructor(disk: ManagedDisk, trace: DiskTrace, disks: Environment['disks'], noted: Noted) {
    this.#of = disk;
    this.#trace = trace;
    this.#prefetch = new TemplatePrefetch(disk, disks);
    this.#noted = noted;
  }

  /** The host is connected, and rosters are exchanged. */
  greet(host: HostId): void {
    const { name, disk, receipts, completion, templates, ownership, peers } = this.#of;
    const { own } = receipts;
    // Not while the store has lost something: then it may no longer hold.
    if (own !== null && completion.stands(own.generation))
      peers.send(host, { kind: 'receipt', disk, record: own.bytes });
    if (templates.list !== null) peers.send(host, { kind: 'templates', disk, record: templates.list.bytes });
    ownership.tellSource({ kind: 'connected', host }).catch(this.#noted(`the hand-over of disk "${name}" stopped`));
  }

  /**
   * A host's trace: taken once it is about the generation that is the newest here too. It comes right behind the news of that generation,
   * before this is adopted, so it is kept until then, or until another one comes.
   */
  takeTrace(generation: GenerationId, bytes: Uint8Array): void {
    const { name, content, changed } = this.#of;
    const own = new Uint8Array(bytes);
    this.#early.abort();
    this.#early = new AbortController();
    const { signal } = this.#early;
    const take = async (): Promise<void> => {
      await changed.until(() => content.head?.subject.generation === generation, { signal });
      const { piecesTotal } = content.head!;
      await this.#trace.take(own, piecesTotal);
      this.#prefetch.fetch(this.#trace.pieces(piecesTotal));
    };
    const noted = this.#noted(`a trace of disk "${name}" was refused`);
    take().catch((error: unknown) => signal.aborted || noted(error));
  }

  /** What a guest touched is a hint for the next boot: other hosts are told at once or with the next generation, and on a full disk it is done without. */
  async keepTrace(resolver: Pick<AttachmentResolver, 'trace'> | null, { tell }: { tell: boolean }): Promise<void> {
    if (resolver === null) return;
    const { pieces } = resolver.trace;
    const kept = tell ? this.shareTrace(pieces) : this.#trace.record(pieces);
    await kept.catch(this.#noted(`what the guest of disk "${this.#of.name}" touched could not be recorded`));
  }

  /** A guest, perhaps one of a clone, touched these pieces: the other hosts are told at once. */
  async shareTrace(pieces: readonly PieceIndex[]): Promise<void> {
    await this.#trace.record(pieces);
    const { head } = this.#of.records;
    const { bytes } = this.#trace;
    if (head === null || bytes === null) return;
    for (const { channel } of this.#of.peers.links()) if (channel.knows(head.id)) channel.sendTrace(head.id, bytes);
  }
}
