/**
 * All that one sector may hold: the versions written to it, and since when each is impossible.
 *
 * A version is superseded by one that began after it had settled. Two that were under way together may end either way,
 * so both stay possible until a third supersedes them.
 */
import { SECTOR_BYTES } from '@diskswarm/core';

const NEVER = Number.POSITIVE_INFINITY;

/** One write to the sector. */
export interface Version {
  /** The bytes it writes, and where in the sector. */
  readonly part: Uint8Array;
  readonly start: number;
  readonly begun: number;
  /** When it was acknowledged, failed or died. */
  settled: number;
  acknowledged: boolean;
}

/** A whole content that is or was possible. */
interface Content {
  readonly bytes: Uint8Array;
  /** The write that made it. */
  readonly version: Version;
  /** When reads could no longer return it. */
  gone: number;
  /** True while a power cut may bring it back. */
  lossy: boolean;
}

/** For the message of a violation. */
export interface SectorHistory {
  readonly allowed: readonly Uint8Array[];
  readonly known: readonly Uint8Array[];
}

export class SectorVersions {
  #contents: Content[];
  #underWay = 0;
  #lastChange = 0;
  #writtenSinceCut = true;

  constructor(initial: Uint8Array) {
    const version = { part: initial, start: 0, begun: 0, settled: 0, acknowledged: true };
    this.#contents = [{ bytes: initial, version, gone: NEVER, lossy: true }];
  }

  /** True when a flush could still make something certain. */
  get unsettled(): boolean {
    return this.#contents.filter(({ lossy }) => lossy).length > 1;
  }

  begin(begun: number, part: Uint8Array, start: number): Version {
    const version = { part, start, begun, settled: NEVER, acknowledged: false };
    const underWay = new Set(
      this.#contents.map((content) => content.version).filter(({ settled }) => settled === NEVER),
    );
    const made: Uint8Array[] = [];
    const add = (bytes: Uint8Array): void => {
      if (made.some((other) => Buffer.compare(other, bytes) === 0)) return;
      made.push(bytes);
      this.#contents.push({ bytes, version, gone: NEVER, lossy: true });
    };
    for (const { bytes } of this.#contents.filter((content) => content.gone === NEVER || content.lossy)) {
      const merged = overlaid(bytes, version);
      add(merged);
      for (const other of underWay) add(overlaid(merged, other)); // The one that began first may land last.
      if (part.length === SECTOR_BYTES && underWay.size === 0) break;
    }
    this.#underWay++;
    this.#lastChange = begun;
    this.#writtenSinceCut = true;
    return version;
  }

  acknowledge(version: Version, tick: number, durable: boolean): void {
    version.acknowledged = true;
    this.#settle(version, tick);
    for (const content of this.#contents) {
      if (!supersedes(version, content.version)) continue;
      content.gone = Math.min(content.gone, tick);
      if (durable) content.lossy = false;
    }
    this.#forget();
  }

  fail(version: Version, tick: number): void {
    this.#settle(version, tick);
  }

  /** A flush begun at `begun` completed: older values than those acknowledged before it cannot come back. */
  flushed(begun: number): void {
    const kept = this.#contents
      .map(({ version }) => version)
      .filter(({ acknowledged, settled }) => acknowledged && settled < begun);
    for (const content of this.#contents) {
      if (kept.some((version) => supersedes(version, content.version))) content.lossy = false;
    }
    this.#forget();
  }

  /** Null when the bytes are possible for a read that began at `begun` and ends now. */
  check(found: Uint8Array, start: number, begun: number): SectorHistory | null {
    const holds = ({ bytes }: Content): boolean =>
      Buffer.compare(bytes.subarray(start, start + found.length), found) === 0;
    const allowed = this.#contents.filter(({ gone }) => gone > begun);
    if (!allowed.some(holds)) {
      const cut = ({ bytes }: Content): Uint8Array => bytes.subarray(start, start + found.length);
      return { allowed: allowed.map(cut), known: this.#contents.map(cut) };
    }
    if (this.#underWay === 0 && this.#lastChange < begun) this.#seen(holds);
    return null;
  }

  crash(tick: number): void {
    for (const { version } of this.#contents) if (version.settled === NEVER) this.#settle(version, tick);
  }

  powerCut(tick: number): void {
    this.crash(tick);
    this.#contents = this.#contents.filter(({ lossy }) => lossy);
    for (const content of this.#contents) {
      content.gone = NEVER;
      content.version.acknowledged = false; // Whichever of them it is: none is known to have replaced another.
    }
    this.#lastChange = tick;
    this.#writtenSinceCut = false;
  }

  /** Nothing is under way, so the sector is what was seen: from the page cache, or from the medium after a power cut. */
  #seen(holds: (content: Content) => boolean): void {
    for (const content of this.#contents) {
      if (holds(content)) continue;
      if (content.gone === NEVER) content.gone = 0;
      if (!this.#writtenSinceCut) content.lossy = false;
    }
    this.#forget();
  }

  #settle(version: Version, tick: number): void {
    if (version.settled !== NEVER) return; // Its process died before.
    version.settled = tick;
    this.#underWay--;
    this.#lastChange = tick;
  }

  /** Drops contents that neither a read under way nor a power cut can show any more, past a few for messages. */
  #forget(): void {
    if (this.#contents.length <= 16) return;
    const old = this.#contents.filter(({ gone, lossy }) => gone !== NEVER && !lossy);
    const dropped = new Set(old.slice(0, -8));
    this.#contents = this.#contents.filter((content) => !dropped.has(content));
  }
}

function overlaid(bytes: Uint8Array, { part, start }: Version): Uint8Array {
  const merged = bytes.slice();
  merged.set(part, start);
  return merged;
}

function supersedes(version: Version, older: Version): boolean {
  return version !== older && version.acknowledged && version.begun > older.settled;
}
