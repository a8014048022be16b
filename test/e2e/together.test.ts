/**
 * Everything a host does, at the same time and while its guest writes: seals, exports, verification, a peer that pulls and
 * reads an older generation; then a SIGTERM in the middle of a seal. Every byte is held against a model throughout.
 */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { CMD, NbdClient, pattern } from './nbd.ts';
import { Host, temporaryFolder } from './processes.ts';

const MIB = 1024 * 1024;
const BLOCK = 4096;
const DISK = 16 * MIB;
/** Each writes to a part of the disk of its own, so that the model knows the order. */
const WRITERS = 3;
const PART = 4 * MIB;

/** A guest that writes, discards and reads back until told to stop. */
class Guest {
  readonly content: Buffer;
  readonly wrong: string[] = [];
  writes = 0;
  #stopped = false;
  readonly #client: NbdClient;

  constructor(client: NbdClient, content: Buffer) {
    this.#client = client;
    this.content = content;
  }

  stop(): void {
    this.#stopped = true;
  }

  async run(part: number): Promise<void> {
    while (!this.#stopped) {
      const turn = ++this.writes;
      const offset = part * PART + ((turn * 7919) % 990) * BLOCK;
      if (turn % 11 === 0) await this.#discard(turn, offset);
      else await this.#write(turn, offset, [512, BLOCK, 2 * BLOCK, 100_000 - (100_000 % 4)][turn % 4]!);
      if (turn % 97 === 0 && (await this.#client.flush()) !== 0) this.wrong.push(`flush ${turn}`);
      const now = await this.#client.read(offset, BLOCK);
      if (!now.equals(this.content.subarray(offset, offset + BLOCK)))
        this.wrong.push(`read at ${offset} after ${turn}`);
    }
  }

  async #discard(turn: number, offset: number): Promise<void> {
    const { errno } = await this.#client.request(turn % 2 === 0 ? CMD.trim : CMD.writeZeroes, offset, 2 * BLOCK);
    if (errno !== 0) this.wrong.push(`discard ${turn}: ${errno}`);
    this.content.fill(0, offset, offset + 2 * BLOCK);
  }

  async #write(turn: number, offset: number, length: number): Promise<void> {
    const bytes = pattern(length, turn);
    const errno = await this.#client.write(offset, bytes);
    if (errno !== 0) this.wrong.push(`write ${turn}: ${errno}`);
    this.content.set(bytes, offset);
  }
}

test('seals, exports, verification, a pull and an older generation under a guest that writes; SIGTERM in the middle loses nothing', async (t) => {
  const folder = temporaryFolder(t);
  const [home, office] = [new Host(t, folder, 'home'), new Host(t, folder, 'office')];
  const first = pattern(DISK, 1);
  fs.writeFileSync(path.join(folder, 'image.raw'), first);
  await Promise.all([home.start(), office.start(), home.ok('owner', 'init')]);
  await home.ok('disk', 'import', path.join(folder, 'image.raw'), '--name', 'desktop');
  await home.invite(office, 'desktop');
  const { socket } = (await home.ok('disk', 'attach', 'desktop')) as { socket: string };
  const older = (await office.ok('disk', 'attach', 'desktop', '--read-only')) as { socket: string };
  const [client, reader] = await Promise.all(
    [socket, older.socket].map((place) => NbdClient.connect(place, 'desktop')),
  );
  const guest = new Guest(client!, Buffer.from(first));
  let reading = true;
  const readOlder = async (): Promise<void> => {
    for (let piece = 1; reading; piece = (piece * 31 + 7) % 256) {
      const bytes = await reader!.read(piece * 65_536, 65_536);
      if (!bytes.equals(first.subarray(piece * 65_536, (piece + 1) * 65_536)))
        guest.wrong.push(`older generation, piece ${piece}`);
    }
  };
  const running = [...Array.from({ length: WRITERS }, (_, part) => guest.run(part)), readOlder()];
  const times = async (count: number, host: Host, ...command: string[]): Promise<void> => {
    for (let turn = 0; turn < count; turn++) await host.ok(...command);
  };
  await Promise.all([
    times(3, home, 'disk', 'seal', 'desktop'),
    times(2, office, 'disk', 'pull', 'desktop'),
    times(1, home, 'store', 'verify'),
    times(1, home, 'disk', 'export', 'desktop@1', path.join(folder, 'first.raw')),
    times(1, home, 'status'),
  ]);
  guest.stop();
  reading = false;
  await Promise.all(running);
  t.deepEqual(guest.wrong, []);
  t.true(guest.writes > 200, `${guest.writes} writes`);
  t.true((await client!.read(0, DISK)).equals(guest.content));
  t.true(fs.readFileSync(path.join(folder, 'first.raw')).equals(first));
  await reader!.close();
  // Told to end while it seals and the guest writes: what was acknowledged stays.
  const last = WRITERS * PART;
  const late = async (): Promise<void> => {
    for (let turn = 0; ; turn++) {
      const offset = last + (turn % 100) * BLOCK;
      const bytes = pattern(BLOCK, turn + 5);
      if ((await client!.write(offset, bytes)) !== 0) return;
      guest.content.set(bytes, offset);
    }
  };
  const writing = late().catch(() => null);
  const sealing = home.call('disk.seal', { name: 'desktop' }).catch(() => null);
  const { listen, exited } = home.daemon!;
  home.daemon!.kill('SIGTERM');
  t.is((await exited).code, 0);
  await Promise.all([writing, sealing]);
  await home.start({ args: ['--listen', listen] });
  await home.ok('disk', 'seal', 'desktop');
  const out = path.join(folder, 'out.raw');
  await home.ok('disk', 'export', 'desktop', out);
  const sealed = fs.readFileSync(out);
  t.true(sealed.subarray(0, last).equals(guest.content.subarray(0, last)));
  // One write may have been done and not answered.
  const unanswered = Array.from({ length: 100 }, (_, index) => last + index * BLOCK).filter(
    (offset) => !sealed.subarray(offset, offset + BLOCK).equals(guest.content.subarray(offset, offset + BLOCK)),
  );
  t.true(unanswered.length <= 1, `${unanswered.length} blocks lost`);
  const { sequence } = await home.info('desktop');
  await office.ok('disk', 'wait', 'desktop', '--sequence', String(sequence), '--timeout', '30');
  await office.ok('disk', 'pull', 'desktop');
  await office.ok('disk', 'export', 'desktop', out);
  t.true(fs.readFileSync(out).equals(sealed));
});
