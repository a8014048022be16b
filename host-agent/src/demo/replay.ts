/**
 * A machine without QEMU: plays a recorded boot and the recorded writes of each file through a real NBD client.
 *
 * A reference image, which never goes near diskswarm, takes every write too; each byte that is read from the disk is held against it. So
 * "the files are there" means the same here as in the guest. Content is made up; places, sizes, order and pauses are recorded.
 */
import { createCipheriv, createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { DiskswarmError } from '@diskswarm/core';
import { NbdClient } from './nbd-client.ts';
import { RECORDED_BOOT, RECORDED_DATA, RECORDED_SIZE_BYTES, RECORDED_WRITES } from './recorded-boot.ts';
import type { Machine, MachineDisk, Workload } from './workload.ts';

const SECTOR_BYTES = 512;
const UNIT_BYTES = 64 * 1024;

/** One recorded operation. */
interface Operation {
  readonly kind: 'read' | 'write' | 'flush';
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** What the guest computed before it. */
  readonly pauseMs: number;
}

/** Something that can be read and written like a disk. */
interface Disk {
  read(offsetBytes: number, lengthBytes: number): Promise<Uint8Array>;
  write(offsetBytes: number, bytes: Uint8Array): Promise<void>;
  flush(): Promise<void>;
  close(): void | Promise<void>;
}

/** Takes the recorded text apart. */
export function parseRecording(text: string): Operation[] {
  return text
    .split(/\s+/)
    .filter(Boolean)
    .map((token) => {
      const match = /^(?:([rw])([0-9a-z]+)\.([0-9a-z]+)|f)(?:\+(\d+))?$/.exec(token);
      if (match === null) throw new DiskswarmError('FORMAT_INVALID', `not a recorded operation: ${token}`);
      const [, kind, offset = '0', length = '0', pauseMs = '0'] = match;
      return {
        kind: kind === 'r' ? 'read' : kind === 'w' ? 'write' : 'flush',
        offsetBytes: Number.parseInt(offset, 36) * SECTOR_BYTES,
        lengthBytes: Number.parseInt(length, 36) * SECTOR_BYTES,
        pauseMs: Number(pauseMs),
      };
    });
}

/** Makes the image and its reference in `folder`. */
export async function createReplay(folder: string, signal: AbortSignal): Promise<Workload> {
  const image = path.join(folder, 'image.raw');
  const reference = path.join(folder, 'reference.raw');
  await makeImage(image);
  await makeImage(reference);
  const written = new Map<string, Operation[]>();
  return {
    isReal: false,
    words: 'the recorded boot of a Linux guest, replayed by an NBD client',
    image,
    boot: (disk) => new ReplayMachine(disk, reference, written, signal),
    qemuArgs: null,
  };
}

class ReplayMachine implements Machine {
  readonly #target: MachineDisk;
  readonly #reference: string;
  readonly #written: Map<string, Operation[]>;
  readonly #signal: AbortSignal;
  #disk: Disk | null = null;
  #expected: FileHandle | null = null;
  readonly #booted: Promise<void>;

  constructor(target: MachineDisk, reference: string, written: Map<string, Operation[]>, signal: AbortSignal) {
    this.#target = target;
    this.#reference = reference;
    this.#written = written;
    this.#signal = signal;
    this.#booted = this.#boot();
    this.#booted.catch(() => {}); // Told to whoever waits for ready().
  }

  ready(): Promise<void> {
    return this.#booted;
  }

  async write(name: string, _sizeBytes: number, seed: number): Promise<void> {
    const operations = parseRecording(RECORDED_WRITES[name] ?? '');
    await this.#play(operations, `${name} ${seed}`);
    this.#written.set(
      name,
      operations.filter(({ kind }) => kind === 'write'),
    );
  }

  async checkAll(): Promise<number> {
    for (const operations of this.#written.values()) {
      for (const { offsetBytes, lengthBytes } of operations) await this.#readAndCompare(offsetBytes, lengthBytes);
    }
    return this.#written.size;
  }

  async reboot(): Promise<void> {
    await this.#boot();
  }

  async poweroff(): Promise<void> {
    await this.#disk?.flush();
    await this.stop();
  }

  async stop(): Promise<void> {
    const [disk, expected] = [this.#disk, this.#expected];
    this.#disk = null;
    this.#expected = null;
    await disk?.close();
    await expected?.close();
  }

  async #boot(): Promise<void> {
    await this.stop();
    this.#expected = await open(this.#reference, 'r+');
    this.#disk =
      'file' in this.#target ? await openFile(this.#target.file) : await NbdClient.connect(this.#target.nbdUri);
    await this.#play(parseRecording(RECORDED_BOOT), 'boot');
  }

  async #play(operations: readonly Operation[], subject: string): Promise<void> {
    for (const { kind, offsetBytes, lengthBytes, pauseMs } of operations) {
      if (pauseMs > 0) await pause(pauseMs, undefined, { signal: this.#signal });
      this.#signal.throwIfAborted();
      if (kind === 'read') await this.#readAndCompare(offsetBytes, lengthBytes);
      else if (kind === 'flush') await this.#running.disk.flush();
      else {
        const bytes = noise(`${subject} ${offsetBytes}`, lengthBytes);
        await this.#running.expected.write(bytes, 0, lengthBytes, offsetBytes);
        await this.#running.disk.write(offsetBytes, bytes);
      }
    }
  }

  async #readAndCompare(offsetBytes: number, lengthBytes: number): Promise<void> {
    const { disk, expected } = this.#running;
    const read = await disk.read(offsetBytes, lengthBytes);
    const wanted = Buffer.alloc(lengthBytes);
    await expected.read(wanted, 0, lengthBytes, offsetBytes);
    if (wanted.compare(read) !== 0) {
      throw new DiskswarmError(
        'GUEST_COMMAND_FAILED',
        `the disk holds other bytes than were written at ${offsetBytes}`,
        {
          data: { offsetBytes, lengthBytes },
        },
      );
    }
  }

  get #running(): { disk: Disk; expected: FileHandle } {
    if (this.#disk === null || this.#expected === null) throw new DiskswarmError('GUEST_EXITED', 'the replay is off');
    return { disk: this.#disk, expected: this.#expected };
  }
}

async function openFile(file: string): Promise<Disk> {
  const handle = await open(file, 'r+');
  return {
    read: async (offsetBytes, lengthBytes) => {
      const bytes = new Uint8Array(lengthBytes);
      await handle.read(bytes, 0, lengthBytes, offsetBytes);
      return bytes;
    },
    write: async (offsetBytes, bytes) => void (await handle.write(bytes, 0, bytes.length, offsetBytes)),
    flush: () => handle.datasync(),
    close: () => handle.close(),
  };
}

/** A sparse image with data where the recorded one had some. */
async function makeImage(file: string): Promise<void> {
  const handle = await open(file, 'w');
  try {
    await handle.truncate(RECORDED_SIZE_BYTES);
    for (const [first, count] of RECORDED_DATA) {
      for (let unit = first; unit < first + count; unit++) {
        await handle.write(noise(`unit ${unit}`, UNIT_BYTES), 0, UNIT_BYTES, unit * UNIT_BYTES);
      }
    }
  } finally {
    await handle.close();
  }
}

/** Repeatable bytes that no compressor gains on. */
function noise(subject: string, lengthBytes: number): Uint8Array {
  const key = createHash('sha256').update(subject).digest();
  const cipher = createCipheriv('aes-256-ctr', key, new Uint8Array(16));
  return cipher.update(new Uint8Array(lengthBytes));
}
