/** Whole NBD conversations beside their recorded bytes. */
import fs from 'node:fs';
import test from 'ava';
import { MemoryBacking } from './support/memory-backing.ts';
import { hex, TestClient } from './support/test-client.ts';

interface Transcript {
  readonly title: string;
  readonly client: readonly string[];
  readonly server: readonly string[];
}

const transcripts = JSON.parse(
  fs.readFileSync(new URL('fixtures/transcripts.json', import.meta.url), 'utf8'),
) as Transcript[];
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

for (const { title, client: messages, server: answers } of transcripts) {
  test(`golden: ${title}`, async (t) => {
    const backing = new MemoryBacking(65536);
    backing.bytes.set([1, 2, 3, 4, 5, 6, 7, 8], 16);
    const client = new TestClient([{ name: 'disk', description: 'one', backing, multiConn: false }]);
    const seen = [hex(client.take())];
    for (const message of messages) {
      client.session.push(Buffer.from(message.replaceAll(' ', ''), 'hex'));
      await settle();
      seen.push(hex(client.take()));
    }
    t.deepEqual(
      seen,
      answers.map((answer) => answer.replaceAll(' ', '')),
    );
  });
}
