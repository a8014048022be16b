/**
 * A template for everyone to a browser page with WebTorrent: byte for byte, again after the agent was killed, and until it is stopped. What strangers say
 * at the tracker keeps no page from it.
 */
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Page, startBrowser } from './browser.ts';
import { eventually, Host, type Json, temporaryFolder } from './processes.ts';
import { downloadInPage, LOOPBACK_PEERS, startWebPage, type WebPage } from './web-page.ts';

const MIB = 1024 * 1024;

interface Place {
  readonly host: Host;
  readonly web: WebPage;
  readonly magnet: string;
  readonly infoHash: string;
  /** SHA-256 of the template, in hex. */
  readonly digest: string;
}

/** A host that gives a public template, and says so where pages look. */
async function place(t: ExecutionContext): Promise<Place> {
  const folder = temporaryFolder(t);
  const web = await startWebPage(t);
  const host = new Host(t, folder, 'host');
  await host.start();
  await host.ok('owner', 'init');
  const image = Buffer.concat([randomBytes(2 * MIB), Buffer.alloc(2 * MIB), randomBytes(MIB + 512)]);
  fs.writeFileSync(path.join(folder, 'image.raw'), image);
  await host.ok('disk', 'import', path.join(folder, 'image.raw'), '--name', 'tpl');
  await host.ok('disk', 'publish', 'tpl', '--public');
  const { magnet, infoHash } = await host.ok('disk', 'torrent', 'tpl', '--tracker', web.announceUrl);
  await eventually('it is at the tracker', () => web.seeds(String(infoHash)) === 1);
  const digest = createHash('sha256').update(image).digest('hex');
  return { host, web, magnet: String(magnet), infoHash: String(infoHash), digest };
}

/** Processes that let browsers in for this agent. */
function gateways(host: Host): number[] {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const isChild =
          fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[1] === String(host.daemon!.pid);
        return isChild && fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('web-gateway');
      } catch {
        return false; // It ended meanwhile.
      }
    })
    .map(Number);
}

test.serial('a page downloads a template, also after a crash of the agent, and when it is given again', async (t) => {
  const { host, web, magnet, infoHash, digest } = await place(t);
  const open = await startBrowser(t, LOOPBACK_PEERS);
  const download = async (): Promise<Page> => {
    const { page, problems } = await open();
    await page.goto(web.url);
    t.is(await downloadInPage(page, magnet), digest);
    t.deepEqual(problems, []);
    return page;
  };
  const first = await download();
  const { torrents } = (await host.ok('disk', 'torrent', '--ls')) as { torrents: Json[] };
  t.true(Number(torrents[0]!.peers) >= 1, 'a page counts as one who gets it');
  t.true(Number(torrents[0]!.uploadedBytes) > 3 * MIB);

  await first.close();
  await host.daemon!.crash();
  await eventually('the tracker knows that nobody has it', () => web.seeds(infoHash) === 0);
  await host.start();
  await eventually('it is at the tracker again', () => web.seeds(infoHash) === 1);
  const second = await download();

  // What lets browsers in ends with all of them, and comes back; the agent goes on.
  const before = gateways(host);
  t.is(before.length, 1);
  process.kill(before[0]!, 'SIGKILL');
  await second.close();
  await eventually('browsers are let in again', () => {
    const now = gateways(host);
    return now.length === 1 && now[0] !== before[0] && web.seeds(infoHash) === 1;
  });
  const third = await download();

  // That page is still connected.
  t.like(await host.ok('disk', 'torrent', 'tpl', '--stop'), { stopped: true });
  await eventually('browsers are let in no more', () => gateways(host).length === 0);
  await third.close();
  await eventually('nobody has it', () => web.seeds(infoHash) === 0);
  await host.ok('disk', 'torrent', 'tpl', '--tracker', web.announceUrl);
  await eventually('it is given again', () => web.seeds(infoHash) === 1);
  await download();
  t.true(host.daemon!.running);
});

test.serial('strangers at the tracker keep no page from it, and few of them are answered', async (t) => {
  const { host, web, magnet, infoHash, digest } = await place(t);
  const before = gateways(host);
  t.is(before.length, 1);
  const garbage = [
    'v=0',
    'v=0\r\n',
    '\0'.repeat(1000),
    'x'.repeat(40_000),
    offerOf('203.0.113.1').replace('a=ice-pwd:', 'a=ice-pw:'),
    offerOf('203.0.113.1').replace('sha-256', 'sha-0'),
    `${offerOf('203.0.113.1')}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\n`,
    offerOf('metadata.example.com'),
    5,
    null,
    { sdp: 'v=0' },
  ];
  const nonsense = await stranger(t, web, infoHash);
  for (const sdp of garbage) nonsense.offer(sdp);
  nonsense.say('{"action":"announce"');
  const open = await startBrowser(t, LOOPBACK_PEERS);
  const { page } = await open();
  await page.goto(web.url);
  t.is(await downloadInPage(page, magnet), digest);
  await page.close();

  // Each under another name, and none of them ever connects.
  const crowd = await Promise.all(Array.from({ length: 60 }, () => stranger(t, web, infoHash)));
  for (const each of crowd) each.offer(offerOf('203.0.113.1'));
  const late = await stranger(t, web, infoHash);
  let looks = 0;
  await eventually('places are free again', () => {
    if (looks++ % 40 === 0) late.offer(offerOf('203.0.113.1'));
    return late.answers.length > 0;
  });
  const answered = crowd.filter(({ answers }) => answers.length > 0).length;
  t.true(answered >= 20 && answered <= 32, `${answered} of them at once`);
  for (const each of [...crowd, late, nonsense]) each.leave();
  await eventually('the crowd is gone', () => web.others(infoHash) === 0);
  const again = await open();
  await again.page.goto(web.url);
  t.is(await downloadInPage(again.page, magnet), digest);
  t.deepEqual(gateways(host), before, 'none of it ended what lets browsers in');
  t.true(host.daemon!.running);
});

interface Stranger {
  /** What came back. */
  readonly answers: readonly Json[];
  /** Says that it wants the torrent, and offers this. */
  offer(sdp: unknown): void;
  say(text: string): void;
  leave(): void;
}

/** Somebody at the tracker under a name of its own, who is no browser. */
async function stranger(t: ExecutionContext, web: WebPage, infoHash: string): Promise<Stranger> {
  const socket = new WebSocket(web.announceUrl);
  t.teardown(() => socket.close());
  const answers: Json[] = [];
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(String(data)) as Json;
    if (message.answer !== undefined) answers.push(message);
  };
  await new Promise((resolve) => {
    socket.onopen = resolve;
  });
  const binary = (bytes: Buffer): string => bytes.toString('latin1');
  const name = binary(randomBytes(20));
  const hash = binary(Buffer.from(infoHash, 'hex'));
  const say = (text: string): void => socket.send(text);
  return {
    answers,
    say,
    offer: (sdp) => {
      // One for each who is there, the host among them.
      const offers = Array.from({ length: 100 }, () => ({
        offer_id: binary(randomBytes(20)),
        offer: { type: 'offer', sdp },
      }));
      say(JSON.stringify({ action: 'announce', info_hash: hash, peer_id: name, event: 'started', left: 1, offers }));
    },
    leave: () => socket.close(),
  };
}

/** A browser's offer in all that is needed, from one that is not there. */
function offerOf(address: string): string {
  return [
    'v=0',
    'o=- 1 2 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=group:BUNDLE 0',
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 0.0.0.0',
    `a=candidate:1 1 udp 2113937151 ${address} 9 typ host`,
    'a=ice-ufrag:abcd',
    `a=ice-pwd:${'p'.repeat(24)}`,
    `a=fingerprint:sha-256 ${Array.from({ length: 32 }, () => 'AB').join(':')}`,
    'a=setup:actpass',
    'a=mid:0',
    'a=sctp-port:5000',
    '',
  ].join('\r\n');
}
