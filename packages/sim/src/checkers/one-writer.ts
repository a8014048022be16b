/**
 * One writer per disk and epoch (design D6): told of every writable attachment, acknowledged write and fence, it throws
 * at the first that two hosts could both believe in. Forks that a person forced are disks of their own here.
 */

/** Two hosts wrote, or could have. */
export class WriterViolation extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'WriterViolation';
  }
}

interface Ownership {
  epoch: number;
  host: string;
  /** True once the export can never acknowledge a write again. */
  fenced: boolean;
}

export class OneWriterChecker {
  readonly #owners = new Map<string, Ownership>();

  /** `host` opened the disk for writing in `epoch`; a restart of the same host in the same epoch is fine. */
  writable(disk: string, epoch: number, host: string): void {
    const last = this.#owners.get(disk);
    if (last !== undefined) {
      if (epoch < last.epoch)
        throw this.#violation(disk, `${host} opens epoch ${epoch} after ${last.host} opened ${last.epoch}`);
      if (epoch === last.epoch && host !== last.host)
        throw this.#violation(disk, `${host} and ${last.host} both write epoch ${epoch}`);
      if (epoch === last.epoch && last.fenced)
        throw this.#violation(disk, `${host} lives again in epoch ${epoch} after its fence`);
      if (epoch > last.epoch && host !== last.host && !last.fenced) {
        throw this.#violation(disk, `${host} opens epoch ${epoch} before ${last.host} was fenced in ${last.epoch}`);
      }
    }
    this.#owners.set(disk, { epoch, host, fenced: false });
  }

  /** `host` acknowledged a write to a client in `epoch`. */
  acknowledged(disk: string, epoch: number, host: string): void {
    const last = this.#owners.get(disk);
    if (last === undefined || last.epoch !== epoch || last.host !== host || last.fenced) {
      const owner =
        last === undefined ? 'nobody' : `${last.host} in epoch ${last.epoch}${last.fenced ? ', fenced' : ''}`;
      throw this.#violation(disk, `${host} acknowledges a write in epoch ${epoch}; the writer is ${owner}`);
    }
  }

  /** `host` will acknowledge nothing more in `epoch`. */
  fenced(disk: string, epoch: number, host: string): void {
    const last = this.#owners.get(disk);
    if (last?.epoch === epoch && last.host === host) last.fenced = true;
  }

  #violation(disk: string, why: string): WriterViolation {
    return new WriterViolation(`disk ${disk}: ${why}`);
  }
}
