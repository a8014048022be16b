/**
 * The dashboard in a real browser, with real agents behind it: what a user sees of disks, other hosts and waits, how hosts are paired, who gets
 * in and who does not, and whether it can be read on a phone and in the dark.
 */
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Page, startBrowser } from './browser.ts';
import { everything, HOSTILE, showScene } from './dashboard-scene.ts';
import { NbdClient } from './nbd.ts';
import { attach, CHUNK_BYTES, DISK, startNetwork } from './network.ts';
import { eventually, Host, type Json, program, temporaryFolder } from './processes.ts';

async function linkOf(host: Host): Promise<string> {
  return String((await host.ok('dashboard')).url);
}

/** What the element of this id says, white space folded. */
async function textOf(page: Page, selector: string): Promise<string> {
  return ((await page.locator(selector).first().textContent()) ?? '').replace(/\s+/g, ' ').trim();
}

function ask(
  url: string,
  options: { method?: string; headers?: Record<string, string>; body?: string },
): Promise<{ status: number; headers: http.IncomingHttpHeaders; text: string }> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {} } = options;
    const request = http.request(url, { method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text }));
      response.on('error', reject);
    });
    request.on('error', reject).end(options.body);
  });
}

/** What a camera held to an element reads in the end. */
async function scanned(t: ExecutionContext, page: Page, selector: string): Promise<string> {
  const file = path.join(temporaryFolder(t), 'code.png');
  return eventually(`a code can be read at ${selector}`, async () => {
    await page.locator(selector).screenshot({ path: file });
    return (await program(['zbarimg', '--nodbus', '--quiet', '--raw', file])).trim();
  });
}

test.serial('a page shows this host, its disks and who gives what, and that a guest waited', async (t) => {
  const { hosts } = await startNetwork(t, ['home', 'office']);
  const [home, office] = hosts as [Host, Host];
  await home.invite(office, DISK);
  await office.connectedTo(home);
  const open = await startBrowser(t);
  const { page, problems } = await open();
  await page.goto(await linkOf(office));
  await page.getByRole('heading', { name: DISK }).waitFor();
  t.is(new URL(page.url()).hash, '', 'the code leaves the address bar');
  t.regex(await textOf(page, '#disks-view'), /0 % is here, 6\.8 MiB missing/);
  t.regex(await textOf(page, '#swarm-view tbody tr'), new RegExp(`^${home.id.slice(0, 8)}127.0.0.1:\\d+${DISK}100 %`));
  t.is(await page.locator('#swarm-picture svg .peer').count(), 1);

  const { socket, exportName } = await attach(office, true);
  const client = await NbdClient.connect(String(socket), String(exportName));
  await client.read(5 * CHUNK_BYTES, 4096);
  await page.getByText(/^1 read, .* typically/).waitFor();
  await page.getByText(/^1 read waited/).waitFor();
  await office.call('disk.pull', { name: DISK });
  await page.getByText('all of it is here').waitFor();
  await client.close();

  // Reloading keeps the session of the tab; the agent's end is told.
  await page.reload();
  await page.getByRole('heading', { name: DISK }).waitFor();
  t.is(await textOf(page, '#connection'), 'live');
  t.deepEqual(problems, []);
  await office.daemon!.crash();
  await page.getByText('no answer from the agent; trying again').waitFor();
});

test.serial('whether this host may be switched off is the first thing to see', async (t) => {
  const { hosts } = await startNetwork(t, ['home', 'office']);
  const [home, office] = hosts as [Host, Host];
  const open = await startBrowser(t);
  const { page } = await open();
  await page.goto(await linkOf(home));
  await page.getByText('Keep this host on').waitFor();
  t.regex(await textOf(page, '#safety-view'), new RegExp(`${DISK}: .*hand it over first`));
  await home.invite(office, DISK);
  await office.connectedTo(home);
  await office.call('disk.take', { name: DISK });
  await office.call('disk.pull', { name: DISK });
  await page.getByText('Safe to switch off').waitFor();
  t.regex(await textOf(page, '#disks-view'), new RegExp(`Ownerhost ${office.id.slice(0, 8)}`));
});

test.serial('clones of one template are a fleet, and each says how far it is', async (t) => {
  const { hosts } = await startNetwork(t, ['home']);
  const home = hosts[0]!;
  await home.ok('disk', 'publish', DISK);
  for (const name of ['one', 'two', 'three', 'four']) await home.ok('disk', 'clone', DISK, name);
  const attached = (await home.call('disk.attach', { name: 'two', readOnly: false, socket: null })) as Json;
  const client = await NbdClient.connect(String(attached.socket), String(attached.exportName));
  const open = await startBrowser(t);
  const { page, problems } = await open();
  await page.goto(await linkOf(home));
  await page.getByText('4 clones · 1 in use').waitFor();
  t.regex(await textOf(page, '#fleets-view'), new RegExp(`${DISK}@1.*four.*one.*three.*two`));
  t.deepEqual(await page.locator('#disks-view h3').allTextContents(), [`${DISK} 8.0 MiB`]);
  t.deepEqual(problems, []);
  await client.close();
});

test.serial(
  'a link works once; nothing is told without a session, to another name, or to another method',
  async (t) => {
    const folder = temporaryFolder(t);
    const home = new Host(t, folder, 'home');
    await home.start();
    const link = await linkOf(home);
    const base = new URL('/', link).href;
    const open = await startBrowser(t);
    const [first, second] = [await open(), await open()];
    await first.page.goto(link);
    await first.page.getByText('No disks yet').waitFor();
    await second.page.goto(link);
    await second.page.getByText('this link was used already, or is older than ten minutes').waitFor();
    t.false(await second.page.locator('#main').isVisible());

    const json = { 'Content-Type': 'application/json' };
    const events = `${base}api/events`;
    const page = await ask(base, {});
    t.is(page.status, 200);
    t.regex(String(page.headers['content-security-policy']), /default-src 'none'; script-src 'self'; style-src 'self'/);
    t.false(/unsafe/.test(String(page.headers['content-security-policy'])));
    t.false(page.text.includes(home.id.slice(0, 8)), 'the page itself tells nothing');
    const statuses = await Promise.all([
      ask(events, {}),
      ask(events, { headers: { Authorization: `Bearer ${'0'.repeat(64)}` } }),
      ask(`${base}api/invitations`, { method: 'POST', headers: json, body: '{}' }),
      ask(`${base}api/session`, { method: 'POST', headers: json, body: `{"code":"${'0'.repeat(64)}"}` }),
      ask(`${base}api/session`, { method: 'POST', headers: json, body: '{"code":' }),
      ask(`${base}api/session`, { method: 'POST', headers: json, body: `{"code":"${'0'.repeat(100_000)}"}` }),
      ask(`${base}api/session`, { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body: '{"code":"0"}' }),
      ask(base, { headers: { Host: 'rebound.example' } }),
      ask(base, { method: 'DELETE' }),
      ask(`${base}..%2f..%2fpackage.json`, {}),
      ask(`${base}constructor`, {}),
    ]);
    t.deepEqual(
      statuses.map(({ status }) => status),
      [401, 401, 401, 401, 401, 401, 401, 403, 405, 404, 404],
    );
    t.true(statuses.every(({ text }) => !text.includes(home.id.slice(0, 8))));
  },
);

test.serial('an owner who is here signs what the page asks for, and the other host joins with it', async (t) => {
  const { hosts } = await startNetwork(t, ['home', 'office']);
  const [home, office] = hosts as [Host, Host];
  const open = await startBrowser(t);
  const { page, problems } = await open({ viewport: { width: 1400, height: 1000 }, deviceScaleFactor: 2 });
  await page.goto(await linkOf(home));
  await page.getByLabel('Id of the other host').fill(` ${office.id.toUpperCase()}\n`);
  await page.getByLabel('It may').selectOption('writer');
  const make = page.getByRole('button', { name: 'Make the invitation' });
  await make.click();
  await page.getByText("Nobody is here who holds the owner's key.").waitFor();
  const command = await page.getByLabel('The command for the owner').inputValue();
  t.is(command, `diskswarm disk grant ${DISK} --host ${office.id} --role writer`);

  const signer = home.follow(['dashboard', '--invite']);
  await page.getByText('An owner is here and signs invitations.').waitFor();
  await page.getByLabel('Id of the other host').fill(office.id.replace(/./, (digit) => (digit === '0' ? '1' : '0')));
  await make.click();
  await page.getByText('This host id was mistyped: its checksum is wrong.').waitFor();
  await page.getByLabel('Id of the other host').fill(office.id);
  await make.click();
  const invitation = await page.getByLabel('The invitation', { exact: true }).inputValue();
  t.like(await office.ok('disk', 'join', invitation), { name: DISK, role: 'writer' });
  t.is(await scanned(t, page, '#own-code svg'), home.id);
  t.is(await scanned(t, page, '#invite-result svg'), invitation);
  t.deepEqual((await eventually('the signer tells', () => signer.documents.length === 2 && signer.documents))[1], {
    event: 'invited',
    name: DISK,
    hostId: office.id,
    role: 'writer',
    rosterSequence: 2,
  } as never);
  signer.child.kill('SIGINT');
  t.is((await signer.exited).code, 0);
  await page.getByText(/diskswarm dashboard --invite/).waitFor();
  // The browser itself tells of the two answers that were refusals.
  t.deepEqual(
    problems.filter((problem) => !/status of (?:400|409)/.test(problem)),
    [],
  );
});

test.serial('whatever names and reasons hold, they stay text', async (t) => {
  const home = new Host(t, temporaryFolder(t), 'home');
  await home.start();
  const open = await startBrowser(t);
  const { page, problems } = await open();
  await showScene(page, await linkOf(home), everything());
  t.is(await page.locator('#disks-view h3').first().textContent(), `${HOSTILE} 64.0 GiB`);
  t.true((await textOf(page, '#machines-view')).includes(`${HOSTILE} has it, or not`));
  t.is(await page.locator('main img, main script').count(), 0);
  t.is(await page.title(), 'diskswarm');
  t.deepEqual(problems, []);
});

for (const colorScheme of ['light', 'dark'] as const) {
  for (const [device, viewport] of [
    ['a desk', { width: 1280, height: 900 }],
    ['a phone', { width: 360, height: 740 }],
  ] as const) {
    test.serial(`on ${device}, ${colorScheme}: nothing is cut off, everything has contrast and a name`, async (t) => {
      const home = new Host(t, temporaryFolder(t), 'home');
      await home.start();
      const open = await startBrowser(t);
      const { page } = await open({ colorScheme, viewport });
      await showScene(page, await linkOf(home), everything());
      t.is(await page.evaluate('document.documentElement.scrollWidth'), viewport.width);
      t.deepEqual(await page.evaluate(fs.readFileSync(new URL('dashboard-audit.js', import.meta.url), 'utf8')), []);
    });
  }
}

test.serial('everything that does something is reached with the keyboard', async (t) => {
  const home = new Host(t, temporaryFolder(t), 'home');
  await home.start();
  const open = await startBrowser(t);
  const { page } = await open();
  await showScene(page, await linkOf(home), everything());
  const reached: string[] = [];
  for (let step = 0; step < 12; step++) {
    await page.keyboard.press('Tab');
    reached.push(
      String(
        await page.evaluate(
          'document.activeElement.getAttribute("aria-label") || document.activeElement.id || document.activeElement.textContent',
        ),
      ),
    );
  }
  for (const wanted of [
    'To the disks',
    "This host's id",
    'Copy',
    'invite-disk',
    'invite-host',
    'invite-role',
    'Make the invitation',
  ])
    t.true(reached.includes(wanted), `${wanted}: ${reached.join(', ')}`);
});

test.serial('dashboard needs an agent, and says so', async (t) => {
  const home = new Host(t, temporaryFolder(t), 'home');
  fs.mkdirSync(home.state, { mode: 0o700 });
  t.like(await home.run(['dashboard']), { exitCode: 1, errorCode: 'AGENT_NOT_RUNNING' });
  t.like(await home.run(['dashboard', '--invite']), { exitCode: 1, errorCode: 'OWNER_FILE_MISSING' });
});
