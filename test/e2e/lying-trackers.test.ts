/**
 * Agents among trackers that lie, redirect, hang and never end, beside one that is honest: hosts meet there, believe nothing else, and
 * say what is wrong with the others.
 */
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { parseQuery, percentDecode } from '@diskswarm/announce';
import test, { type ExecutionContext } from 'ava';
import { makeSwarm } from './announces.ts';
import { NbdClient, pattern } from './nbd.ts';
import { eventually, Host, startTracker, temporaryFolder } from './processes.ts';

const MIB = 1024 * 1024;

/** An answer in bencode, keys in their order; `more` goes between the interval and the peers. */
function answer(peers: Uint8Array, { blob, interval = 1 }: { blob?: Uint8Array; interval?: number } = {}): Buffer {
  const news = blob === undefined ? [] : [Buffer.from(`7:ds_blob${blob.length}:`), blob];
  return Buffer.concat([
    Buffer.from('d8:completei7e'),
    ...news,
    Buffer.from(`8:intervali${interval}e5:peers${peers.length}:`),
    peers,
    Buffer.from('e'),
  ]);
}

/** Peers that are none: this machine under many names, where `port` answers garbage, and places where nobody is. */
function madeUpPeers(count: number, port: number): Buffer {
  const peers = Buffer.alloc(count * 6);
  for (let index = 0; index < count; index++) {
    peers.set([127, 1 + (index >> 16), index >> 8, index], index * 6);
    peers.writeUInt16BE(index % 2 === 0 ? port : 1, index * 6 + 4);
  }
  return peers;
}

async function listening(t: ExecutionContext, server: net.Server): Promise<number> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as net.AddressInfo).port;
}

/** Trackers that each do one thing wrong, and what was asked of them. */
async function wrongTrackers(t: ExecutionContext) {
  const asked = new Map<string, number>();
  const seen = { victim: 0, oldest: null as Uint8Array | null, endlessBytes: 0, cutOff: 0 };
  const garbage = await listening(
    t,
    net.createServer((socket) => void socket.write(pattern(4096, 13))),
  );
  const victim = await listening(
    t,
    http.createServer((_, response) => {
      seen.victim++;
      response.end(answer(madeUpPeers(1, garbage)));
    }),
  );
  const forged = makeSwarm().news(99, 9);
  const server = http.createServer((request, response) => {
    const [name = '', query = ''] = (request.url ?? '').slice(1).split('?');
    const times = (asked.get(name) ?? 0) + 1;
    asked.set(name, times);
    const blob = parseQuery(query).get('ds_blob')?.[0];
    if (blob !== undefined) seen.oldest ??= percentDecode(blob);
    const pour = (): void => {
      const part = Buffer.alloc(65_536, '0');
      const more = (): void => {
        for (let going = true; going && !response.destroyed; seen.endlessBytes += part.length)
          going = response.write(part);
      };
      response.on('drain', more);
      response.on('close', () => seen.cutOff++);
      more();
    };
    const lie = times % 2 === 0 ? forged : (seen.oldest ?? forged);
    const ways: Record<string, () => void> = {
      lies: () => response.end(answer(madeUpPeers(200, garbage), { blob: lie })),
      million: () => response.end(answer(madeUpPeers(1_000_000, garbage))),
      redirects: () => response.writeHead(302, { location: `http://127.0.0.1:${victim}/announce` }).end('elsewhere'),
      forever: () => response.writeHead(307, { location: `/forever?${query}` }).end(),
      hangs: () => {},
      pours: pour,
      nests: () => response.end('l'.repeat(60_000)),
      declares: () => response.end('d5:peers999999999999:'),
      never: () => response.end(answer(new Uint8Array(0), { interval: 2 ** 50 })),
      page: () => response.end('<html>this is no tracker</html>'),
    };
    ways[name]?.();
  });
  const port = await listening(t, server);
  const headers = await listening(
    t,
    net.createServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      const more = (): void => {
        while (!socket.destroyed && socket.write(`x-more: ${'y'.repeat(4000)}\r\n`));
      };
      socket.on('drain', more);
      more();
    }),
  );
  const names = 'lies million redirects forever hangs pours nests declares never page'.split(' ');
  const urls = new Map(names.map((name) => [name, `http://127.0.0.1:${port}/${name}`]));
  urls.set('headers', `http://127.0.0.1:${headers}/announce`);
  return { urls, asked, seen };
}

function residentBytes(host: Host): number {
  const status = fs.readFileSync(`/proc/${host.daemon!.pid}/status`, 'utf8');
  return Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

test('among trackers that lie, redirect, hang, pour and name a million peers, hosts meet at the honest one and believe no news but theirs', async (t) => {
  const folder = temporaryFolder(t);
  const { urls, asked, seen } = await wrongTrackers(t);
  const honest = String((await startTracker(t)).ready.announceUrl);
  const args = [...urls.values(), honest].flatMap((url) => ['--tracker', url]);
  const [home, office] = [new Host(t, folder, 'home'), new Host(t, folder, 'office')];
  const image = path.join(folder, 'image.raw');
  const content = pattern(4 * MIB, 1);
  fs.writeFileSync(image, content);
  await Promise.all([home.start({ args }), office.start({ args }), home.ok('owner', 'init')]);
  await home.ok('disk', 'import', image, '--name', 'desk');
  await home.invite(office, 'desk', 'reader');
  // Both come back elsewhere: only a tracker can tell where.
  await Promise.all([home.stop(), office.stop()]);
  await Promise.all([home.start({ args }), office.start({ args })]);
  const before = [home, office].map(residentBytes);
  await office.connectedTo(home);
  const { socket } = await home.ok('disk', 'attach', 'desk');
  const client = await NbdClient.connect(String(socket), 'desk');
  const written = pattern(65_536, 2);
  t.is(await client.write(0, written), 0);
  content.set(written, 0);
  await client.close();
  t.is((await home.ok('disk', 'seal', 'desk')).sequence, 2);
  await eventually('office has the second generation', async () => (await office.info('desk')).sequence === 2);
  await office.ok('disk', 'pull', 'desk');
  const copy = path.join(folder, 'copy.raw');
  await office.ok('disk', 'export', 'desk', copy);
  t.true(fs.readFileSync(copy).equals(content));

  // Each is named with what is wrong; those whose answers can be read are asked again in vain.
  const wrong = new Set([...urls.keys()].filter((name) => name !== 'lies' && name !== 'never'));
  const trackers = await eventually('every tracker was judged', async () => {
    const { trackers: all } = (await office.call('status', {})) as {
      trackers: { url: string; ok: boolean; message: string }[];
    };
    const isJudged = (name: string): boolean => all.find(({ url }) => url === urls.get(name))?.message !== '';
    return [...wrong].every(isJudged) && all;
  });
  for (const { url, ok, message } of trackers) {
    const name = [...urls].find(([, known]) => known === url)?.[0] ?? 'honest';
    t.is(ok, !wrong.has(name), `${name}: ${message}`);
  }
  t.is(seen.victim, 0, 'nobody is sent to somebody else');
  t.true(seen.cutOff > 0 && seen.endlessBytes / seen.cutOff < 32 * MIB, `${seen.endlessBytes} bytes`);
  t.true((asked.get('lies') ?? 0) < 60, `${asked.get('lies')}`);
  for (const host of [home, office]) t.is((await host.info('desk')).newerGeneration, null);
  const grownBytes = [home, office].map((host, index) => residentBytes(host) - before[index]!);
  t.true(Math.max(...grownBytes) < 128 * MIB, `grown by ${grownBytes}`);
  // Goodbyes to those who never answer hold nobody up.
  const since = performance.now();
  await Promise.all([home.stop(), office.stop()]);
  t.deepEqual(
    [await home.daemon!.exited, await office.daemon!.exited].map(({ code }) => code),
    [0, 0],
  );
  t.true(performance.now() - since < 30_000);
});
