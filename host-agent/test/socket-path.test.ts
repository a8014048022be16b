/** What is taken for a socket's path can be listened at and is found under its whole name; anything longer is refused before. */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import test from 'ava';
import { isSocketPath, listenAt } from '../src/export/socket-path.ts';

test('every path that is accepted works, up to the longest', async (t) => {
  const root = fs.mkdtempSync('/tmp/diskswarm-socket-');
  t.teardown(() => fs.rmSync(root, { recursive: true }));
  let accepted = 0;
  for (let folderBytes = 90; folderBytes <= 108; folderBytes++) {
    for (const name of ['a.sock', 'desk-of-somebody.sock']) {
      const folder = path.join(root, 'x'.repeat(folderBytes - root.length - 1));
      fs.mkdirSync(folder, { recursive: true });
      const place = path.join(folder, name);
      const server = net.createServer();
      if (isSocketPath(place)) {
        await listenAt(server, place);
        t.true(fs.lstatSync(place).isSocket());
        accepted++;
      } else {
        const error = await t.throwsAsync(listenAt(server, place), { instanceOf: DiskswarmError });
        t.is(error.code, 'INVALID_ARGUMENT');
        t.deepEqual(
          fs.readdirSync(folder).filter((entry) => entry.startsWith('.')),
          [],
        );
      }
      server.close();
    }
  }
  t.true(accepted >= 8, `${accepted} accepted`);
  t.false(isSocketPath('/tmp/a\0b'));
});
