/**
 * Opens attachments in threads of their own and speaks to them.
 *
 * A thread that ends by itself is a failure of the attachment: its owner is told once, and every call that waits is rejected.
 */
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { DiskswarmError } from '@diskswarm/core';
import type { FrozenLayerName } from '@diskswarm/disk';
import type {
  Attachment,
  AttachmentOpener,
  AttachmentOwner,
  AttachmentSpec,
  AttachmentStatus,
  BaseGeneration,
  WriteLoad,
} from './attachment.ts';
import { PortCalls } from './port-calls.ts';
import type { OwnerCalls, ThreadCalls, ThreadOptions } from './thread-protocol.ts';

/** A thread's heap: overlay maps and piece tables lie outside it. */
const MAX_HEAP_MIB = 512;
/** The same ending as this file's: sources run as .ts, the build as .js. */
const WORKER_FILE = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? 'worker.ts' : 'worker.js', import.meta.url),
);

/** Starts one thread per attachment on the state folder at `storageRoot`; `onDefect` hears of errors that are ours. */
export function workerOpener(storageRoot: string, onDefect: (message: string) => void): AttachmentOpener {
  return { open: (spec, owner) => WorkerAttachment.open(spec, storageRoot, owner, onDefect) };
}

class WorkerAttachment implements Attachment {
  readonly spec: AttachmentSpec;
  readonly #worker: Worker;
  readonly #calls: PortCalls<ThreadCalls>;
  #closing: Promise<void> | null = null;
  /** The thread is no more. */
  #ended = false;

  private constructor(spec: AttachmentSpec, worker: Worker, calls: PortCalls<ThreadCalls>) {
    this.spec = spec;
    this.#worker = worker;
    this.#calls = calls;
  }

  static async open(
    spec: AttachmentSpec,
    storageRoot: string,
    owner: AttachmentOwner,
    onDefect: (message: string) => void,
  ): Promise<Attachment> {
    const worker = new Worker(WORKER_FILE, {
      workerData: { spec, storageRoot } satisfies ThreadOptions,
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MIB },
    });
    return new Promise((resolve, reject) => {
      let attachment: WorkerAttachment | null = null;
      let ended = false;
      const local: OwnerCalls = {
        ready: () => {
          attachment = new WorkerAttachment(spec, worker, calls);
          resolve(attachment);
        },
        peek: (leaf) => owner.peek(leaf),
        resolve: ({ piece, priority }, { signal }) => owner.resolve(piece, priority, { signal }),
        damaged: ({ piece, location }) => owner.damaged(piece, location),
        touched: (pieces) => {
          for (const piece of pieces) owner.touched(piece);
        },
        failed: ({ message }) =>
          owner.failed(new DiskswarmError('WRITE_FAILED', message, { data: { disk: spec.disk } })),
        defect: ({ message }) => onDefect(message),
      };
      const calls = new PortCalls<ThreadCalls>(worker, local);
      const end = (error: Error): void => {
        if (ended) return;
        ended = true;
        calls.close();
        if (attachment !== null) attachment.#ended = true;
        if (attachment === null) reject(asError(error, spec));
        else if (attachment.#closing === null) owner.failed(error);
      };
      worker.on('error', (error) => end(error as Error));
      worker.on('exit', (code) =>
        end(
          new DiskswarmError('INTERNAL', `the thread of disk ${spec.disk} ended with ${code}`, {
            data: { disk: spec.disk },
          }),
        ),
      );
    });
  }

  status(): Promise<AttachmentStatus> {
    return this.#calls.call('status', null);
  }

  freeze(): Promise<readonly FrozenLayerName[]> {
    return this.#calls.call('freeze', null);
  }

  rebase(base: BaseGeneration, layer: number, changedLeaves: readonly number[]): Promise<void> {
    return this.#calls.call('rebase', { base, layer, changedLeaves });
  }

  hold(options: { readonly wait: boolean }): Promise<void> {
    return this.#calls.call('hold', options);
  }

  slowWrites(delayUs: number): Promise<WriteLoad> {
    return this.#calls.call('slowWrites', delayUs);
  }

  activate(base: BaseGeneration): Promise<void> {
    return this.#calls.call('activate', base);
  }

  distrust(): void {
    this.#calls.tell('distrust', null);
  }

  resume(): Promise<void> {
    return this.#calls.call('resume', null);
  }

  fence(): Promise<void> {
    return this.#calls.call('fence', null);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      if (!this.#ended) await this.#calls.call('close', null);
    } finally {
      await this.#worker.terminate();
    }
  }
}

/** What a thread threw while it started: our errors cross the thread boundary as plain ones and keep `code` and `data`. */
function asError(error: Error, spec: AttachmentSpec): Error {
  const { code, data } = error as Partial<DiskswarmError>;
  if (code === undefined) return error;
  return new DiskswarmError(code, error.message, { data: { ...data, disk: spec.disk } });
}
