/**
 * Moves by what QEMU and its tools bring along: its mirror, a frozen copy, an overlay that fetches on demand, and the memory
 * alone as the measure of what the disk adds.
 *
 * Images are raw files of this run; the two QEMUs know nothing of agents.
 */
import { stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { copyImage } from '../image.ts';
import { run, type Service, serve } from '../programs.ts';
import { check } from '../row.ts';
import { type Move, type MoveOptions, measure, memoryOf, within } from './measure-move.ts';
import { Qemu, type QemuOptions } from './qemu.ts';
import { moveMemory } from './qemu-memory.ts';

const NBD_PORT = 10_809;
const UP_MS = 30_000;

type Blockdev = QemuOptions['blockdev'];

/** A move by QEMU. */
type QemuMoveOptions = MoveOptions & {
  /** Memory over two channels with zstd, as agents send it, instead of QEMU's default. @default false */
  readonly compressed?: boolean;
};

/** A raw file. */
function file(filename: string, more: Blockdev = {}): Blockdev {
  return { driver: 'raw', file: { driver: 'file', filename, ...more } };
}

function startFrom(options: MoveOptions, blockdev: Blockdev): Promise<Qemu> {
  const { folder, line } = options;
  return startQemu(options, { folder: join(folder, 'qemu-from'), prefix: line.far.prefix, blockdev, incoming: false });
}

function startTo(options: MoveOptions, blockdev: Blockdev): Promise<Qemu> {
  const { folder, line } = options;
  return startQemu(options, { folder: join(folder, 'qemu-to'), prefix: line.near.prefix, blockdev, incoming: true });
}

function startQemu(
  options: MoveOptions,
  own: Pick<QemuOptions, 'folder' | 'prefix' | 'blockdev' | 'incoming'>,
): Promise<Qemu> {
  const { artefacts, args = [] } = options;
  return Qemu.start({ ...own, artefacts, memoryMiB: memoryOf(options), args });
}

/** The source's image, and an empty one of its size for the destination. */
async function makeImages({ folder, artefacts }: MoveOptions): Promise<{ own: string; other: string }> {
  const [own, other] = [join(folder, 'from.raw'), join(folder, 'to.raw')];
  await copyImage(artefacts.rootImage, own);
  await makeEmpty(other, (await stat(own)).size);
  return { own, other };
}

async function makeEmpty(path: string, sizeBytes: number): Promise<void> {
  await writeFile(path, '');
  await truncate(path, sizeBytes);
}

/** What `moving` gives; of a move that ended the disk that the stopped `to` has left is shown, as a raw file. */
async function andShown(
  { arrived }: MoveOptions,
  to: Qemu,
  moving: Promise<Move>,
  disk: () => Promise<string>,
): Promise<Move> {
  const move = await moving;
  if (!move.ended || arrived === undefined) return move;
  await to.stop();
  await arrived(await disk());
  return move;
}

/** What libvirt does for non-shared storage: QEMU mirrors the disk to the other QEMU and then moves the memory. */
export async function moveByMirror(
  options: QemuMoveOptions & { readonly copyMode?: 'background' | 'write-blocking' },
): Promise<Move> {
  const { line, copyMode = 'background', compressed = false } = options;
  const { own, other } = await makeImages(options);
  const from = await startFrom(options, file(own));
  const to = await startTo(options, file(other));
  try {
    const moving = measure(options, from.linePath, to.linePath, async () => {
      const addr = { type: 'inet', data: { host: line.near.address, port: String(NBD_PORT) } };
      await to.qmp.execute('nbd-server-start', { addr });
      await to.qmp.execute('block-export-add', {
        ...{ id: 'copy', type: 'nbd', 'node-name': 'disk', writable: true, name: 'disk' },
      });
      await from.qmp.execute('blockdev-add', {
        ...{ driver: 'nbd', 'node-name': 'copy', export: 'disk', discard: 'unmap' },
        server: { type: 'inet', host: line.near.address, port: String(NBD_PORT) },
      });
      const ready = from.event(({ name }) => name === 'BLOCK_JOB_READY');
      await from.qmp.execute('blockdev-mirror', {
        ...{ 'job-id': 'mirror', device: 'disk', target: 'copy', sync: 'full', 'copy-mode': copyMode },
      });
      if ((await within(ready, options)) === null) return null;
      options.record?.('mirrored', performance.now());
      return await moveMemory({ ...options, from, to, line, compressed }, async () => {
        const done = from.event(({ name }) => name === 'BLOCK_JOB_COMPLETED');
        await from.qmp.execute('block-job-cancel', { device: 'mirror' });
        await done;
      });
    });
    return await andShown(options, to, moving, async () => other);
  } finally {
    await Promise.all([from.stop(), to.stop()]);
  }
}

/** The guest stands still while `qemu-img convert` copies its disk and then its memory moves. */
export async function moveFrozen(options: QemuMoveOptions): Promise<Move> {
  const { line, compressed = false } = options;
  const { own, other } = await makeImages(options);
  const from = await startFrom(options, file(own));
  const to = await startTo(options, file(other, { locking: 'off' }));
  const image = `driver=raw,file.driver=file,file.filename=${other},file.locking=off`;
  const target = await serveNbd(line.near, ['--image-opts', image]);
  try {
    const moving = measure(options, from.linePath, to.linePath, async () => {
      await from.qmp.execute('stop', {});
      const stoppedAtMs = performance.now();
      const uri = `nbd://${line.near.address}:${NBD_PORT}`;
      const copy = ['qemu-img', 'convert', '-U', '-n', '-f', 'raw', '-O', 'raw', own, uri];
      const { limitMs } = options;
      const copied = await within(
        run([...line.far.prefix, ...copy], limitMs === undefined ? {} : { timeoutMs: limitMs * 2 }),
        options,
      );
      if (copied === null) return null;
      options.record?.('copied', performance.now());
      return await moveMemory({ ...options, from, to, line, compressed, stoppedAtMs }, async () => {});
    });
    return await andShown(options, to, moving, async () => other);
  } finally {
    await Promise.all([from.stop(), to.stop()]);
    await target.stop();
  }
}

/** The disk stays behind at the switchover: an overlay at the destination reads from it on demand, keeps what it read, and is filled in the background. */
export async function moveOnDemand(options: QemuMoveOptions): Promise<Move> {
  const { folder, line, compressed = false } = options;
  const { own } = await makeImages(options);
  const overlay = join(folder, 'overlay.qcow2');
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', overlay, String((await stat(own)).size)]);
  const image = `driver=raw,file.driver=file,file.filename=${own},file.locking=off`;
  const behind = await serveNbd(line.far, ['--read-only', '--image-opts', image]);
  const server = { type: 'inet', host: line.far.address, port: String(NBD_PORT) };
  const from = await startFrom(options, file(own, { locking: 'off' }));
  const to = await startTo(options, {
    driver: 'copy-on-read',
    file: {
      ...{ driver: 'qcow2', 'node-name': 'overlay', file: { driver: 'file', filename: overlay } },
      backing: { driver: 'nbd', server, export: '' },
    },
  });
  try {
    const moving = measure(options, from.linePath, to.linePath, async () => {
      const moved = await moveMemory({ ...options, from, to, line, compressed }, async () => {});
      if (moved === null) return null;
      options.record?.('resumed', performance.now());
      const filled = to.event(({ name }) => name === 'BLOCK_JOB_COMPLETED');
      await to.qmp.execute('block-stream', { 'job-id': 'fill', device: 'overlay' });
      const end = await within(filled, options);
      if (end === null) return null;
      check(end.data.error === undefined, `the overlay was not filled: ${String(end.data.error)}`);
      return moved;
    });
    return await andShown(options, to, moving, async () => {
      const whole = join(folder, 'whole.raw');
      await run(['qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', overlay, whole]);
      return whole;
    });
  } finally {
    await Promise.all([from.stop(), to.stop()]);
    await behind.stop();
  }
}

/** The memory alone, its disk on storage that both ends share (outside the line), compressed as agents do it. */
export async function moveMemoryAlone(options: MoveOptions): Promise<Move> {
  const { folder, line, artefacts } = options;
  const disk = join(folder, 'shared.raw');
  await copyImage(artefacts.rootImage, disk);
  const socket = join(folder, 'shared.sock');
  const shared = await serve(
    ['qemu-nbd', '--persistent', '--shared=4', '--format=raw', '--cache=writeback', '--socket', socket, disk],
    () => answers(`nbd+unix:///?socket=${socket}`, []),
  );
  const blockdev = { driver: 'nbd', server: { type: 'unix', path: socket }, export: '' };
  const from = await startFrom(options, blockdev);
  const to = await startTo(options, blockdev);
  try {
    const moving = measure(options, from.linePath, to.linePath, () =>
      moveMemory({ ...options, from, to, line, compressed: true }, async () => {}),
    );
    return await andShown(options, to, moving, async () => disk);
  } finally {
    await Promise.all([from.stop(), to.stop()]);
    await shared.stop();
  }
}

/** qemu-nbd at one end of the line. */
function serveNbd(
  { prefix, address }: { prefix: readonly string[]; address: string },
  what: readonly string[],
): Promise<Service> {
  const options = ['--persistent', '--shared=8', '--cache=writeback', `--bind=${address}`, `--port=${NBD_PORT}`];
  return serve([...prefix, 'qemu-nbd', ...options, ...what], () => answers(`nbd://${address}:${NBD_PORT}`, prefix));
}

async function answers(uri: string, prefix: readonly string[]): Promise<boolean> {
  return (await run([...prefix, 'nbdinfo', '--size', uri], { timeoutMs: UP_MS }).catch(() => null)) !== null;
}
