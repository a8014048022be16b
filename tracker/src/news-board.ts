/**
 * What members of swarms left for each other: of each swarm the newest blob, signed by its topic, and nothing that is older.
 *
 * A blob outlives its swarm, so that who comes when nobody is there learns of it; it goes when nobody repeated it for a week, or
 * when it is the one that was repeated longest ago and the board is full. One address fills a part of the board at most. Who
 * speaks for a swarm is checked, never what is said. Keeping and sharing are left to NewsJournal and SharedNews, told by `onChange`.
 */
import type { InfoHash } from '@diskswarm/announce';
import { type Clock, DiskswarmError, fromHex } from '@diskswarm/core';
import {
  announceBlobPlace,
  checkAnnounceBlob,
  comparePositions,
  MAX_BLOB_BYTES,
  type Position,
} from '@diskswarm/identity';
import { BLOB_LIFE_SECONDS, MAX_BLOBS, MAX_BLOBS_PER_ADDRESS, REPEAT_TOLD_SECONDS } from './limits.ts';

/** A blob as it lies on a board. */
export interface News {
  readonly infoHash: InfoHash;
  /** Nobody changes it. */
  readonly blob: Uint8Array;
  /** How long ago somebody left or repeated it. */
  readonly ageSeconds: number;
}

/** The same with the place it claims. */
export interface PlacedNews extends News {
  readonly place: Position;
}

interface Posted {
  readonly bytes: Uint8Array;
  readonly place: Position;
  /** Whoever brought the first of this swarm; null when it was not brought here. */
  readonly from: string | null;
  /** When it was repeated last; below zero when that was before this clock began. */
  readonly second: number;
  readonly toldSecond: number;
}

type Check = (blob: Uint8Array, infoHash: Uint8Array) => Position;

export class NewsBoard {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #maxPerAddress: number;
  /** Repeated longest ago first. */
  readonly #posted = new Map<InfoHash, Posted>();
  readonly #perAddress = new Map<string, number>();
  /** Told which news an announce brought, before `post` returns; of repetitions one in a while. */
  onChange: ((infoHash: InfoHash) => void) | null = null;

  constructor(clock: Clock, { max = MAX_BLOBS, maxPerAddress = MAX_BLOBS_PER_ADDRESS } = {}) {
    this.#clock = clock;
    this.#max = max;
    this.#maxPerAddress = maxPerAddress;
  }

  get count(): number {
    return this.#posted.size;
  }

  /** Takes what an announce from the address `from` brought; false for what is malformed, forged, old, or too much from there. */
  post(infoHash: InfoHash, blob: Uint8Array, from: string): boolean {
    return this.#take({ infoHash, blob, ageSeconds: 0 }, checkAnnounceBlob, from);
  }

  /** Takes what another board has; false for what is malformed, forged or older than what is here. */
  hear(news: News): boolean {
    return this.#take(news, checkAnnounceBlob, null);
  }

  /** Takes what this board had before a restart; false for what is malformed or old. */
  restore(news: News): boolean {
    return this.#take(news, announceBlobPlace, null);
  }

  /** The newest blob of a swarm; a view. */
  get(infoHash: InfoHash): Uint8Array | undefined {
    return this.#fresh(infoHash)?.bytes;
  }

  /** The same with its place and age. */
  news(infoHash: InfoHash): PlacedNews | undefined {
    const known = this.#fresh(infoHash);
    if (known === undefined) return undefined;
    return { infoHash, blob: known.bytes, place: known.place, ageSeconds: this.#now() - known.second };
  }

  /** All of them, the one repeated longest ago first. */
  *all(): Generator<News> {
    for (const [infoHash, { bytes, second }] of this.#posted) {
      const ageSeconds = this.#now() - second;
      if (ageSeconds < BLOB_LIFE_SECONDS) yield { infoHash, blob: bytes, ageSeconds };
    }
  }

  #take({ infoHash, blob, ageSeconds }: News, check: Check, from: string | null): boolean {
    if (blob.length > MAX_BLOB_BYTES || ageSeconds >= BLOB_LIFE_SECONDS) return false;
    this.#sweep();
    const known = this.#fresh(infoHash);
    const same = known !== undefined && Buffer.compare(known.bytes, blob) === 0;
    const place = same ? known.place : placeOf(() => check(blob, fromHex(infoHash)));
    if (place === null) return false;
    const second = this.#now() - Math.max(0, ageSeconds);
    const order = known === undefined ? 1 : comparePositions(place, known.place);
    if (order < 0) return false;
    if (known === undefined && !this.#hasRoomFor(from)) return false;
    if (known !== undefined && order === 0) {
      // Many members seal the same news: the first of a place stays.
      this.#repeat(infoHash, known, second, from !== null);
      return true;
    }
    this.#put(infoHash, { bytes: new Uint8Array(blob), place, from: known?.from ?? from, second, toldSecond: second });
    if (from !== null) this.onChange?.(infoHash);
    return true;
  }

  #repeat(infoHash: InfoHash, known: Posted, second: number, announced: boolean): void {
    const latest = Math.max(known.second, second);
    const due = latest - known.toldSecond >= REPEAT_TOLD_SECONDS;
    this.#put(infoHash, { ...known, second: latest, toldSecond: due || !announced ? latest : known.toldSecond });
    if (due && announced) this.onChange?.(infoHash);
  }

  #put(infoHash: InfoHash, posted: Posted): void {
    this.#remove(infoHash);
    if (this.#posted.size >= this.#max) this.#remove(this.#posted.keys().next().value!);
    this.#posted.set(infoHash, posted);
    if (posted.from !== null) this.#perAddress.set(posted.from, (this.#perAddress.get(posted.from) ?? 0) + 1);
  }

  #remove(infoHash: InfoHash): void {
    const from = this.#posted.get(infoHash)?.from ?? null;
    this.#posted.delete(infoHash);
    if (from === null) return;
    const left = (this.#perAddress.get(from) ?? 0) - 1;
    if (left > 0) this.#perAddress.set(from, left);
    else this.#perAddress.delete(from);
  }

  #hasRoomFor(from: string | null): boolean {
    return from === null || (this.#perAddress.get(from) ?? 0) < this.#maxPerAddress;
  }

  #sweep(): void {
    for (const [infoHash, { second }] of this.#posted) {
      if (this.#now() - second < BLOB_LIFE_SECONDS) return;
      this.#remove(infoHash);
    }
  }

  #fresh(infoHash: InfoHash): Posted | undefined {
    const known = this.#posted.get(infoHash);
    if (known === undefined || this.#now() - known.second < BLOB_LIFE_SECONDS) return known;
    this.#remove(infoHash);
    return undefined;
  }

  #now(): number {
    return Math.floor(this.#clock.nowUs() / 1e6);
  }
}

function placeOf(check: () => Position): Position | null {
  try {
    return check();
  } catch (error) {
    if (error instanceof DiskswarmError) return null;
    throw error;
  }
}
