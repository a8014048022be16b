/** The export of a disk as its user meets it: what was acknowledged stays, whatever is asked at the same time. */
import test from 'ava';
import { NAME, withHost } from './support/agent.ts';

test('asking for the status while a disk is attached costs no write that was acknowledged', async (t) => {
  await withHost(1, async (host) => {
    const disk = await host.import((piece) => (piece % 3) + 1);
    await host.attach();
    for (let piece = 0; piece < 20; piece++) await host.write(piece, 0x40 + piece);
    await disk.detach();
    const counted = [disk.attachment.dirtyBytes(), disk.attachment.dirtyBytes()];
    await host.attach();
    for (let piece = 0; piece < 40; piece++) await host.write(piece, 0x80 + piece);
    t.deepEqual(await Promise.all(counted), [20 * 4096, 20 * 4096]);
    await host.attachment.view.flush();
    await host.restart('power cut');
    for (let piece = 0; piece < 40; piece++) t.deepEqual(await host.read(piece), new Uint8Array(16).fill(0x80 + piece));
    t.is((await host.handlers['disk.info']({ name: NAME }, {} as never)).overlayDirtyBytes, 40 * 4096);
  });
});
