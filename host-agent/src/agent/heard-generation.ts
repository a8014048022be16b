/**
 * The newest generation of a disk that this host heard of at a tracker, and may not have: news that outlives whoever brought it.
 *
 * A record counts when a host signed it that may write the disk; whether its epoch holds cannot be told before the chain is here, so
 * it is never taken for the newest generation, only warned of. It is durable, and passed on with our own announces. An epoch that the
 * chain has left behind (a hand-over, a forced take-over) makes what was heard of it void.
 */
import { DiskswarmError, type Random } from '@diskswarm/core';
import {
  comparePositions,
  createAnnounceBlob,
  decodeGeneration,
  type Generation,
  memberOf,
  openAnnounceBlob,
  type SwarmSecret,
} from '@diskswarm/identity';
import { type DiskRecords, diskKey } from './disk-records.ts';
import type { MetaTable } from './meta-table.ts';

type Records = Pick<DiskRecords, 'disk' | 'roster' | 'chain' | 'head' | 'history'>;

export class HeardGeneration {
  readonly #meta: MetaTable;
  readonly #records: Records;
  #heard: Generation | null = null;

  constructor(meta: MetaTable, records: Records) {
    this.#meta = meta;
    this.#records = records;
    const bytes = meta.get(diskKey(records.disk, 'heard'));
    if (bytes !== null) this.#heard = decodeGeneration(bytes);
  }

  /** The generation that was heard of, where it is newer than what is known here; null otherwise. */
  get newer(): Generation | null {
    const { head, chain } = this.#records;
    const heard = this.#heard;
    if (heard === null || !this.#signedByWriter(heard) || heard.epoch < chain.current.epoch) return null;
    return head === null || comparePositions(heard, head) > 0 ? heard : null;
  }

  /** The same in words. */
  get warning(): string | null {
    const { newer } = this;
    const here = this.#records.head?.sequence ?? 0;
    return newer && `this is generation ${here}: trackers tell of generation ${newer.sequence}, which is not here`;
  }

  /** A disk is not written on top of an older generation: that would be a second history. GENERATION_BEHIND. */
  assertNone(name: string): void {
    if (this.newer === null) return;
    const { epoch, sequence, host } = this.newer;
    const here = this.#records.head?.sequence ?? 0;
    throw new DiskswarmError(
      'GENERATION_BEHIND',
      `disk "${name}" has a generation ${sequence} of epoch ${epoch}, sealed by host ${host}, and here is only ${here}: start a host that has it, or fork the disk from what is here with \`diskswarm disk take ${name} --force\``,
      { data: { name, epoch, sequence, host, here } },
    );
  }

  /** Takes a blob from a tracker; true when it told of something newer. FORMAT_INVALID, SIGNATURE_INVALID, GENERATION_UNTRUSTED. */
  async hear(blob: Uint8Array, secret: SwarmSecret): Promise<boolean> {
    const generation = openAnnounceBlob(blob, secret, this.#records.disk);
    const known = this.newer ?? this.#records.head;
    if (!this.#signedByWriter(generation) || (known !== null && comparePositions(generation, known) <= 0)) return false;
    await this.#meta.commit({ [diskKey(this.#records.disk, 'heard')]: generation.bytes });
    this.#heard = generation;
    return this.newer !== null;
  }

  /** What to leave at trackers: the newest generation known or heard of that is kept; null where there is none. */
  blob(secret: SwarmSecret, random: Random): Uint8Array | null {
    const newest = this.newer ?? this.#records.history().findLast(({ kept }) => kept);
    return newest === undefined ? null : createAnnounceBlob(newest, secret, random);
  }

  #signedByWriter({ host, ...at }: Generation): boolean {
    const member = memberOf(this.#records.roster, host);
    return member?.role === 'writer' && (member.revoked === undefined || comparePositions(at, member.revoked) <= 0);
  }
}
