/** The player of a film as a process of its own, with a server in the place of the guest. Needs root, for port 80. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { PYTHON } from '../src/link/link.ts';
import { pause, serve } from '../src/programs.ts';

const CLIENT = new URL('../src/workloads/client.py', import.meta.url).pathname;
const KIB_PER_SECOND = 1024;
const FILM_MIB = 2;

/** Serves parts of a film at an address of loopback; `answer` may answer otherwise. */
async function startServer(
  t: ExecutionContext,
  address: string,
  answer: (request: IncomingMessage, response: ServerResponse, part: number) => boolean,
): Promise<string[]> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    if (from === undefined) return void response.end('/film\n');
    asked.push(request.headers.range!);
    if (answer(request, response, asked.length)) return;
    response.writeHead(206).end(Buffer.alloc(Number(to) - Number(from) + 1));
  });
  server.listen(80, address);
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return asked;
}

/** Plays until `isEnough` of what was said so far; gives all with what is said at the end. */
async function play(address: string, isEnough: (lines: readonly string[]) => boolean): Promise<readonly string[]> {
  const lines: string[] = [];
  const settings = [KIB_PER_SECOND, 1, FILM_MIB].map(String);
  const hear = (line: string): boolean => {
    lines.push(line);
    return line.startsWith('stall');
  };
  const client = await serve([PYTHON, CLIENT, address, 'film', '1', ...settings], hear, { everyLine: true });
  while (!isEnough(lines)) await pause(10);
  await client.stop();
  return lines;
}

const stallsOf = (lines: readonly string[]): readonly number[] =>
  lines.filter((line) => line.startsWith('stall')).map((line) => Number(line.split(' ')[2]));

test('a film begins anew at its end, a part at a time, and does not stall while it comes', async (t) => {
  const asked = await startServer(t, '127.0.0.81', () => false);
  const lines = await play('127.0.0.81', () => asked.length >= 3);
  t.deepEqual(asked.slice(0, 3), ['bytes=0-1048575', 'bytes=1048576-2097151', 'bytes=0-1048575']);
  t.deepEqual(stallsOf(lines), [0]);
});

test('a stall that still lasts when the client is ended is told', async (t) => {
  // The third part is never answered: two seconds of film are there, and three pass.
  let lateMs = Number.POSITIVE_INFINITY;
  await startServer(t, '127.0.0.82', (_, __, part) => {
    if (part === 3) lateMs = performance.now() + 3000;
    return part > 2;
  });
  const [start, stall = 0] = stallsOf(await play('127.0.0.82', () => performance.now() > lateMs));
  t.is(start, 0);
  t.true(stall >= 1000 && stall < 4000, String(stall));
});

test('the whole film in the place of a part is a failure, not a part', async (t) => {
  await startServer(t, '127.0.0.83', (_, response, part) => {
    if (part === 2) response.writeHead(200).end(Buffer.alloc(FILM_MIB * 2 ** 20));
    return part === 2;
  });
  const lines = await play('127.0.0.83', (said) => said.some((line) => line.startsWith('failed')));
  t.false(lines.some((line) => line.endsWith(String(FILM_MIB * 2 ** 20))));
});
