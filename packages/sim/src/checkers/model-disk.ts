/**
 * What a disk may answer: every write, flush, crash and power cut is told to the model, and every read is held against it.
 *
 * A read may return, for each 512-byte sector, the last acknowledged write or any that was under way meanwhile. After a
 * crash of the process the same holds; after a power cut also every later value than the last flushed one, but nothing
 * older. Once a quiet sector was read, it must stay what it was seen to be.
 */
import { SECTOR_BYTES } from '@diskswarm/core';
import { type SectorHistory, SectorVersions, type Version } from './sector-versions.ts';

/** A read that no disk could have answered so. */
export class ModelViolation extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ModelViolation';
  }
}

/** A write that was begun; exactly one of the two is called, or neither when the process died. */
export interface ModelWrite {
  /** `durable` for FUA: it survives a power cut from here on. */
  acknowledged(options?: { durable?: boolean }): void;
  /** It reported an error: it may have happened or not. */
  failed(): void;
}

/** A flush that was begun. */
export interface ModelFlush {
  completed(): void;
}

/** A read that was begun. */
export interface ModelRead {
  /** Throws ModelViolation when `bytes` cannot be right. */
  completed(bytes: Uint8Array): void;
}

export class ModelDisk {
  readonly sizeBytes: number;
  readonly #initial: (offsetBytes: number, lengthBytes: number) => Uint8Array;
  readonly #sectors = new Map<number, SectorVersions>();
  /** Sectors that a flush has something to say about. */
  readonly #unflushed = new Set<SectorVersions>();
  /** Counts whatever happens, to say what came before what. */
  #tick = 0;

  /** `initial` gives the content before the first write. @default zeros */
  constructor({
    sizeBytes,
    initial,
  }: { sizeBytes: number; initial?: (offsetBytes: number, lengthBytes: number) => Uint8Array }) {
    this.sizeBytes = sizeBytes;
    this.#initial = initial ?? ((_, lengthBytes) => new Uint8Array(lengthBytes));
  }

  /** A write, of any offset and length within the disk. */
  beginWrite(offsetBytes: number, data: Uint8Array): ModelWrite {
    const begun = ++this.#tick;
    const content = data.slice();
    const touched: { sector: SectorVersions; version: Version }[] = [];
    for (const part of parts(offsetBytes, content.length)) {
      const sector = this.#versions(part.sector);
      this.#unflushed.add(sector);
      touched.push({ sector, version: sector.begin(begun, content.subarray(part.from, part.to), part.start) });
    }
    const settle = (how: (sector: SectorVersions, version: Version, tick: number) => void): void => {
      const tick = ++this.#tick;
      for (const { sector, version } of touched) how(sector, version, tick);
    };
    return {
      acknowledged: ({ durable = false } = {}) =>
        settle((sector, version, tick) => sector.acknowledge(version, tick, durable)),
      failed: () => settle((sector, version, tick) => sector.fail(version, tick)),
    };
  }

  /** TRIM or WRITE_ZEROES: the range reads as zeros. */
  beginZeroes(offsetBytes: number, lengthBytes: number): ModelWrite {
    return this.beginWrite(offsetBytes, new Uint8Array(lengthBytes));
  }

  /** What was acknowledged before this call is durable once it is completed. */
  beginFlush(): ModelFlush {
    const begun = ++this.#tick;
    return {
      completed: () => {
        for (const sector of this.#unflushed) {
          sector.flushed(begun);
          if (!sector.unsettled) this.#unflushed.delete(sector);
        }
      },
    };
  }

  /** A read; what it may return depends on what happens until it is completed. */
  beginRead(offsetBytes: number, lengthBytes: number): ModelRead {
    const begun = ++this.#tick;
    return {
      completed: (bytes) => {
        if (bytes.length !== lengthBytes)
          throw new ModelViolation(`a read of ${lengthBytes} bytes gave ${bytes.length}`);
        for (const part of parts(offsetBytes, lengthBytes)) {
          const why = this.#versions(part.sector).check(bytes.subarray(part.from, part.to), part.start, begun);
          if (why !== null)
            throw new ModelViolation(
              `byte ${part.sector * SECTOR_BYTES + part.start}: ${describe(why, bytes.subarray(part.from, part.to))}`,
            );
        }
      },
    };
  }

  /** The agent's process died. */
  crash(): void {
    const tick = ++this.#tick;
    for (const sector of this.#sectors.values()) sector.crash(tick);
  }

  /** The machine that holds the overlay lost power. */
  powerCut(): void {
    const tick = ++this.#tick;
    for (const sector of this.#sectors.values()) sector.powerCut(tick);
  }

  #versions(sector: number): SectorVersions {
    let versions = this.#sectors.get(sector);
    if (versions === undefined) {
      const start = sector * SECTOR_BYTES;
      if (start < 0 || start >= this.sizeBytes) throw new RangeError(`byte ${start} of a disk of ${this.sizeBytes}`);
      versions = new SectorVersions(this.#initial(start, SECTOR_BYTES));
      this.#sectors.set(sector, versions);
    }
    return versions;
  }
}

function describe({ allowed, known }: SectorHistory, found: Uint8Array): string {
  const show = (bytes: Uint8Array): string => `${Buffer.from(bytes.subarray(0, 16)).toString('hex')}…`;
  const stale = known.some((version) => Buffer.compare(version.subarray(0, found.length), found) === 0);
  return `read ${show(found)}, which is ${stale ? 'an older value' : 'no value ever written there'}; allowed: ${allowed.map(show).join(', ')}`;
}

/** A byte range sector by sector: `start` in the sector, `from` and `to` in the range. */
function* parts(
  offsetBytes: number,
  lengthBytes: number,
): Generator<{ sector: number; start: number; from: number; to: number }> {
  for (let from = 0; from < lengthBytes; ) {
    const sector = Math.floor((offsetBytes + from) / SECTOR_BYTES);
    const start = offsetBytes + from - sector * SECTOR_BYTES;
    const to = Math.min(lengthBytes, from + SECTOR_BYTES - start);
    yield { sector, start, from, to };
    from = to;
  }
}
