/**
 * A disk moves between real hosts: what is written stays, chunks come from whoever has them, and only what differs moves.
 */
import test from 'ava';
import { pattern } from './nbd.ts';
import {
  attach,
  CHUNK_BYTES,
  chunksThatDiffer,
  copyOf,
  DISK,
  detach,
  exported,
  firstDifference,
  MIB,
  pull,
  seal,
  startNetwork,
  statusOf,
  sumOf,
  take,
  trackerArgs,
  writeDisk,
} from './network.ts';
import { eventually, type Json, program } from './processes.ts';

test.serial('imported, written, sealed, taken and read at another host: the same by every byte', async (t) => {
  const { folder, hosts, content } = await startNetwork(t, ['home', 'office']);
  const [home, office] = hosts as [(typeof hosts)[0], (typeof hosts)[0]];
  const { uri } = await home.ok('disk', 'attach', DISK);
  t.is(firstDifference(await copyOf(String(uri), folder), content), -1);
  // qemu-io writes two whole chunks, half a block over a chunk's edge, and one hole.
  await program([
    'qemu-io',
    '-f',
    'raw',
    ...['-c', `write -P 0x5a ${MIB} 128k`],
    ...['-c', `write -P 0xa5 ${2 * MIB - 512} 1024`],
    ...['-c', `write -z ${3 * MIB} 64k`],
    ...['-c', 'flush'],
    String(uri),
  ]);
  content.fill(0x5a, MIB, MIB + 2 * CHUNK_BYTES);
  content.fill(0xa5, 2 * MIB - 512, 2 * MIB + 512);
  content.fill(0, 3 * MIB, 3 * MIB + CHUNK_BYTES);
  t.true(((await home.info(DISK)).overlayDirtyBytes as number) > 0);
  const sealed = await home.ok('disk', 'seal', DISK);
  t.like(sealed, { sequence: 2, epoch: 1, changedPieces: 5 });
  t.like(await home.info(DISK), { sequence: 2, root: sealed.root, overlayDirtyBytes: 0 });
  await detach(home);

  await home.invite(office, DISK);
  const taken = await office.ok('disk', 'take', DISK);
  t.like(taken, { epoch: 2, ownerHostId: office.id, sequence: 2 });
  const attached = await attach(office);
  t.is(firstDifference(await copyOf(String(attached.uri), folder), content), -1);
  const { generations } = (await home.ok('disk', 'history', DISK)) as { generations: Json[] };
  t.deepEqual(
    generations.map(({ sequence, hostId, root }) => [sequence, hostId, root === sealed.root]),
    [
      [1, home.id, false],
      [2, home.id, true],
    ],
  );
  t.deepEqual(Object.keys((await statusOf(office)).bytesBySource), [home.id]);
});

test.serial(
  'hosts with older generations seed what still matches, and the newest comes from where it is',
  async (t) => {
    const { folder, tracker, hosts, content } = await startNetwork(t, ['home', 'office', 'hotel']);
    const [home, office, hotel] = hosts as [(typeof hosts)[0], (typeof hosts)[0], (typeof hosts)[0]];
    await home.invite(office, DISK);
    await take(office);
    await pull(office);
    const before = Buffer.from(content);
    await writeDisk(office, content, [{ at: MIB, bytes: pattern(10 * CHUNK_BYTES, 7) }]);
    t.is(await seal(office), 2);
    await office.invite(hotel, DISK);
    await eventually('home hears of generation 2', async () => (await home.info(DISK)).sequence === 2);
    await eventually('hotel hears of generation 2', async () => (await hotel.info(DISK)).sequence === 2);

    // Without office only home is left, which has all but the ten chunks that changed.
    await office.stop();
    await hotel.connectedTo(home);
    const pulling = hotel.run(['disk', 'pull', DISK]);
    const { piecesTotal, piecesZero } = (await hotel.info(DISK)) as { piecesTotal: number; piecesZero: number };
    const differ = chunksThatDiffer(before, content);
    t.is(differ, 10);
    await eventually('home gave what still matches', async () => {
      const { piecesPresent } = await hotel.info(DISK);
      return piecesPresent === piecesTotal - piecesZero - differ;
    });
    t.deepEqual(Object.keys((await statusOf(hotel)).bytesBySource), [home.id]);

    await office.start({ args: trackerArgs(tracker) });
    t.is((await pulling).exitCode, 0);
    const { bytesBySource } = await statusOf(hotel);
    t.is(bytesBySource[office.id], differ * CHUNK_BYTES);
    t.is(sumOf(bytesBySource), (piecesTotal - piecesZero) * CHUNK_BYTES);
    t.is(firstDifference(await exported(hotel, folder), content), -1);
  },
);

test.serial('a disk that returns brings at most 1.1 times the chunks that differ', async (t) => {
  const { folder, hosts, content } = await startNetwork(t, ['home', 'office'], { sizeBytes: 16 * MIB });
  const [home, office] = hosts as [(typeof hosts)[0], (typeof hosts)[0]];
  await home.invite(office, DISK);
  await take(office);
  const before = Buffer.from(content);
  await writeDisk(office, content, [
    { at: 0, bytes: pattern(4096, 3) },
    { at: 5 * MIB + 512, bytes: pattern(3 * MIB, 4) },
    { at: 12 * MIB, bytes: new Uint8Array(MIB) },
  ]);
  await office.ok('disk', 'handover', DISK, '--to', home.id);
  t.is((await home.info(DISK)).ownerHostId, home.id);
  await pull(home);
  const zeros = MIB / CHUNK_BYTES;
  const differ = chunksThatDiffer(before, content) - zeros;
  const moved = sumOf((await statusOf(home)).bytesBySource);
  t.true(moved >= differ * CHUNK_BYTES && moved <= 1.1 * differ * CHUNK_BYTES, `${moved} bytes for ${differ} chunks`);
  t.is(firstDifference(await exported(home, folder), content), -1);
  const { uri } = await attach(home);
  t.is(firstDifference(await copyOf(String(uri), folder), content), -1);
});
