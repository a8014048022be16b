/**
 * A real guest on a real export: boots, writes, reboots and reads back, then boots at another host whose store is empty. The
 * hosts know each other by --peer alone.
 */
import fs from 'node:fs';
import path from 'node:path';
import { bootGuest, prepareGuest } from '@diskswarm/guest';
import test from 'ava';
import { attach, DISK, seal, statusOf, sumOf } from './network.ts';
import { Host, temporaryFolder } from './processes.ts';

const IMAGE = { sizeBytes: 32 * 1024 * 1024, contentBytes: 8 * 1024 * 1024, bootBytes: 1024 * 1024 };
const BOOT_MS = 120_000;

test.serial(
  'a guest writes, reboots and reads back; it boots at a host that had none of its disk and finds everything',
  async (t) => {
    const artefacts = await prepareGuest({ image: IMAGE });
    const folder = temporaryFolder(t);
    const image = path.join(folder, 'image.raw');
    fs.copyFileSync(artefacts.rootImage, image);
    const home = new Host(t, folder, 'home');
    const hotel = new Host(t, folder, 'hotel');
    await Promise.all([home.start(), home.ok('owner', 'init')]);
    await home.ok('disk', 'import', image, '--name', DISK);
    const boot = async (host: Host): Promise<ReturnType<typeof bootGuest>> => {
      const { uri } = await attach(host);
      const guest = bootGuest({ disk: { nbdUri: String(uri) }, ...artefacts });
      t.teardown(() => guest.stop());
      await guest.ready({ timeoutMs: BOOT_MS });
      return guest;
    };

    const first = await boot(home);
    await first.write('letter', 300_000, 1);
    await first.write('diary', 70_000, 2);
    await first.reboot({ timeoutMs: BOOT_MS });
    t.is(await first.checkAll(), 2);
    await first.write('diary', 90_000, 3);
    await first.poweroff();
    t.is(await seal(home), 2);

    // The invitation names home's address too; --peer has to do when that is out of date.
    await hotel.start({ args: ['--peer', home.daemon!.listen] });
    await home.invite(hotel, DISK);
    await hotel.ok('disk', 'take', DISK);
    const second = await boot(hotel);
    t.is(await second.checkAll(), 2);
    t.is((await second.read('diary')).sizeBytes, 90_000);
    await second.write('postcard', 50_000, 4);
    const { bytesBySource } = await statusOf(hotel);
    t.deepEqual(Object.keys(bytesBySource), [home.id]);
    const complete = await hotel.ok('disk', 'wait', DISK, '--complete', '--timeout', '30');
    t.is(Number(complete.piecesPresent) + Number(complete.piecesZero), Number(complete.piecesTotal));
    // On a busy machine a chunk that is late is asked for again.
    const received = sumOf((await statusOf(hotel)).bytesBySource);
    const whole = Number(complete.piecesPresent) * Number(complete.chunkSizeBytes);
    t.true(received <= 1.1 * whole, `${received} bytes came for ${whole}`);
    await home.ok('disk', 'wait', DISK, '--safe', '--timeout', '30');
    await home.stop();
    t.is(await second.checkAll(), 3);
    await second.poweroff();
    t.is(await seal(hotel), 3);
  },
);
