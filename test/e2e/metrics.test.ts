/**
 * `agent --metrics`: what Prometheus reads of a host that served a guest and of one that fetched, what the documents say about it, and the
 * Grafana board that draws it.
 */
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { baseName, parseMetrics, promtoolComplaints, sampleOf } from './metrics-page.ts';
import { NbdClient, pattern } from './nbd.ts';
import { attach, CHUNK_BYTES, DISK, MIB } from './network.ts';
import { eventually, Host, startTracker, temporaryFolder } from './processes.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Page {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

function get(url: string, options: { method?: string; host?: string } = {}): Promise<Page> {
  return new Promise((resolve, reject) => {
    const headers = options.host === undefined ? {} : { Host: options.host };
    const request = http.request(url, { method: options.method ?? 'GET', headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode!, type: String(response.headers['content-type']), text }),
      );
    });
    request.on('error', reject).end();
  });
}

test.serial('what a guest did, what came and what was given is on the page of each host', async (t) => {
  const folder = temporaryFolder(t);
  const image = path.join(folder, 'image.raw');
  fs.writeFileSync(image, pattern(4 * MIB, 9));
  const home = new Host(t, folder, 'home');
  const office = new Host(t, folder, 'office');
  const args = ['--metrics', '127.0.0.1:0'];
  await Promise.all([home.start({ args }), office.start({ args }), home.ok('owner', 'init')]);
  await home.ok('disk', 'import', image, '--name', DISK);
  await home.invite(office, DISK);
  await office.connectedTo(home);

  // A guest at the office reads two chunks that are not here, and tries to write where it may not.
  const { socket, exportName } = await attach(office, true);
  const client = await NbdClient.connect(String(socket), String(exportName));
  await client.read(0, 4096);
  await client.read(3 * MIB, 4096);
  t.not(await client.write(0, new Uint8Array(512)), 0);
  await office.call('disk.pull', { name: DISK });

  const pages = await Promise.all([office, home].map(({ daemon }) => get(String(daemon!.ready.metrics))));
  for (const { status, type, text } of pages) {
    t.is(status, 200);
    t.is(type, 'text/plain; version=0.0.4; charset=utf-8');
    t.is(await promtoolComplaints(text), '');
    t.false(
      [home.id, office.id, home.id.slice(0, 8), folder].some((word) => text.includes(word)),
      'no ids, no paths',
    );
  }
  const [there, here] = pages.map(({ text }) => parseMetrics(text)) as [never, never];
  const disk = `disk="${DISK}"`;
  const came = (traffic: string): number =>
    sampleOf(there, `diskswarm_received_chunks_total{${disk},source="lan",traffic="${traffic}"}`);
  t.is(came('fault') + came('background'), (4 * MIB) / CHUNK_BYTES);
  t.true(came('fault') >= 2, `${came('fault')} chunks were waited for`);
  t.is(sampleOf(there, `diskswarm_disk_chunks{${disk},state="present"}`), (4 * MIB) / CHUNK_BYTES);
  t.is(sampleOf(there, `diskswarm_disk_chunks{${disk},state="missing"}`), 0);
  t.is(sampleOf(there, `diskswarm_disk_owned{${disk}}`), 0);
  t.is(sampleOf(there, `diskswarm_disk_clients{${disk}}`), 1);
  t.is(sampleOf(there, `diskswarm_nbd_requests_total{${disk},command="read"}`), 2);
  t.is(sampleOf(there, `diskswarm_nbd_bytes_total{${disk},direction="read"}`), 8192);
  t.is(sampleOf(there, `diskswarm_nbd_errors_total{${disk},kind="refused"}`), 1);
  const waits = sampleOf(there, `diskswarm_fault_wait_seconds_count{${disk}}`);
  t.true(waits >= 1);
  t.is(sampleOf(there, `diskswarm_fault_wait_seconds_bucket{${disk},le="+Inf"}`), waits);
  t.is(sampleOf(there, 'diskswarm_peers{source="lan"}'), 1);
  t.is(sampleOf(here, `diskswarm_served_chunks_total{${disk}}`), (4 * MIB) / CHUNK_BYTES);
  t.is(sampleOf(here, `diskswarm_disk_owned{${disk}}`), 1);
  t.is(sampleOf(here, 'diskswarm_store_chunks'), (4 * MIB) / CHUNK_BYTES + 1, 'and the one page of the manifest');
  t.true(sampleOf(here, 'diskswarm_journal_records') > 0);
  t.is(sampleOf(here, 'diskswarm_migrations_running{direction="out"}'), 0);
  await client.close();
});

test.serial('the page of a tracker is one that Prometheus reads', async (t) => {
  const tracker = await startTracker(t);
  const { status, text } = await get(`http://${tracker.listen}/metrics`);
  t.is(status, 200);
  t.is(await promtoolComplaints(text), '');
  t.is(sampleOf(parseMetrics(text), 'diskswarm_tracker_peers'), 0);
});

test.serial('a page on loopback answers who asks for loopback, only reads, and goes away with the agent', async (t) => {
  const folder = temporaryFolder(t);
  const home = new Host(t, folder, 'home');
  const { ready } = await home.start({ args: ['--metrics', '127.0.0.1:0'] });
  const url = String(ready.metrics);
  t.is((await get(url, { host: 'evil.example' })).status, 403);
  t.is((await get(url, { host: 'localhost:1234' })).status, 200);
  t.is((await get(url, { method: 'POST' })).status, 405);
  t.is((await get(url.replace('/metrics', '/healthz'))).text, 'ok\n');
  t.is((await get(url.replace('/metrics', '/'))).status, 404);
  const many = await Promise.all(Array.from({ length: 20 }, () => get(url)));
  t.true(many.every(({ status }) => status === 200));
  await home.stop();
  await eventually('nobody listens any more', () =>
    get(url).then(
      () => false,
      () => true,
    ),
  );
});

test.serial('an agent whose metrics cannot be served does not start, and says so', async (t) => {
  const folder = temporaryFolder(t);
  const home = new Host(t, folder, 'home');
  const { ready } = await home.start({ args: ['--metrics', '127.0.0.1:0'] });
  const taken = new URL(String(ready.metrics)).host;
  const office = new Host(t, folder, 'office');
  const refused = await office.run(['agent', '--listen', '127.0.0.1:0', '--metrics', taken]);
  t.like(refused, { exitCode: 1, errorCode: 'ADDRESS_UNAVAILABLE' });
  const wrong = await office.run(['agent', '--metrics', 'everywhere']);
  t.like(wrong, { exitCode: 2, errorCode: 'INVALID_ARGUMENT' });
});

test.serial('docs/OPERATIONS.md lists what an agent tells, and the Grafana board draws nothing else', async (t) => {
  const folder = temporaryFolder(t);
  const home = new Host(t, folder, 'home');
  const { ready } = await home.start({ args: ['--metrics', '127.0.0.1:0'] });
  const families = parseMetrics((await get(String(ready.metrics))).text);
  const rows = families.map(({ name, type, help }) => `| \`${name}\` | ${type} | ${help} |`);
  const document = fs.readFileSync(path.join(ROOT, 'docs', 'OPERATIONS.md'), 'utf8');
  t.deepEqual(document.match(/^\| `(?:diskswarm|process)_\w+` \|.*$/gm), rows);

  const board = fs.readFileSync(path.join(ROOT, 'grafana', 'diskswarm.json'), 'utf8');
  const parsed = JSON.parse(board) as { panels: { targets?: { expr: string }[] }[] };
  const drawn = parsed.panels.flatMap(({ targets = [] }) =>
    targets.flatMap(({ expr }) => expr.match(/\b(?:diskswarm|process)_\w+/g) ?? []),
  );
  const names = new Set(families.map(({ name }) => name));
  t.true(drawn.length > 15);
  t.deepEqual(
    drawn.filter((name) => !names.has(name) && !names.has(baseName(name))),
    [],
  );
});
