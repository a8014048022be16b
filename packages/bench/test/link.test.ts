/** The modelled line: each direction has its own rate, delay and loss, and it tells how well it keeps to them. Needs root. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { openLine, PYTHON } from '../src/link/link.ts';
import { endAll, run, serve } from '../src/programs.ts';

/** Answers datagrams; asks as many as it is told, one after the other, and prints the shortest round trip in ms. */
const ANSWER = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 7)); print("ready", flush=True)
while True:
    d, a = s.recvfrom(2000); s.sendto(d, a)`;
const ASK = `import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(float(sys.argv[2])); best = None
for _ in range(20):
    t = time.monotonic(); s.sendto(b"x" * 500, (sys.argv[1], 7))
    try: s.recv(2000)
    except OSError: continue
    took = (time.monotonic() - t) * 1000; best = took if best is None else min(best, took)
print(best)`;

test.serial('delays of both directions add up, and the line says how late it was', async (t) => {
  const told: number[] = [];
  const line = await openLine({
    ...{ bitsPerSecond: 1e8, delayMs: 40, queueBytes: 65_536, back: { bitsPerSecond: 1e8, delayMs: 5 } },
    onBytes: (_near, _far, lateMs) => told.push(lateMs),
  });
  try {
    await serve([...line.far.prefix, PYTHON, '-c', ANSWER], (text) => text === 'ready');
    const { stdout } = await run([...line.near.prefix, PYTHON, '-c', ASK, line.far.address, '5']);
    t.true(Number(stdout) >= 45 && Number(stdout) < 90, stdout);
    t.true(told.length > 0 && told.every((lateMs) => lateMs >= 0));
  } finally {
    await line.close();
    await endAll();
  }
});

test.serial('the line goes before everything else on a busy machine', async (t) => {
  const way = { bitsPerSecond: 1e8, delayMs: 0 };
  const line = await openLine({ ...way, queueBytes: 65_536 });
  try {
    const { stdout } = await run(['ip', 'netns', 'pids', line.far.prefix.at(-1)!]);
    const [pid] = stdout.trim().split('\n');
    // proc(5): what follows the name in brackets begins with field 3; 19 is the nice value, 41 the policy.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)!.split(' ');
    t.true(fields[41 - 3] === '1' || fields[19 - 3] === '-20', fields.join(' '));
  } finally {
    await line.close();
    await endAll();
  }
});

test.serial('what one direction loses the other does not', async (t) => {
  const bytes = { near: 0, far: 0 };
  const line = await openLine({
    ...{ bitsPerSecond: 1e8, delayMs: 0, queueBytes: 65_536, back: { bitsPerSecond: 1e8, delayMs: 0, lossShare: 1 } },
    onBytes: (near, far) => Object.assign(bytes, { near, far }),
  });
  try {
    const ask = run([...line.far.prefix, PYTHON, '-c', ASK, line.near.address, '0.05']);
    t.is((await ask).stdout.trim(), 'None');
    // The next report has all of it.
    await run([...line.far.prefix, PYTHON, '-c', ASK, line.near.address, '0.05']);
    t.true(bytes.near >= 20 * 500, String(bytes.near));
    t.is(bytes.far, 0);
  } finally {
    await line.close();
    await endAll();
  }
});
