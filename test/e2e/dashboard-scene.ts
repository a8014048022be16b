/**
 * A dashboard without an agent's luck: the page as it is served, shown a state of the test's own in the place of the live events.
 */
import type { Page } from './browser.ts';

/** Text that would do something if it were ever read as markup. */
export const HOSTILE = "\"><img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>&lt;";

const id = (digit: string): string => digit.repeat(136);

/** Everything a page can show at once, with hostile words wherever there are any. */
export function everything(): { hello: object; state: object } {
  const latencyUs = { p50: 4200, p90: 21_000, p99: 190_000, max: 400_000 };
  const rates = (receiveBytesPerSecond: number, sendBytesPerSecond: number): object => ({
    receiveBytesPerSecond,
    sendBytesPerSecond,
  });
  const peer = (digit: string, address: string, share: number, flow: object): object => {
    return { hostId: id(digit), address, lanes: 3, rates: flow, piecesClaimed: Math.round(900 * share) };
  };
  const disk = {
    name: HOSTILE,
    sizeBytes: 2 ** 36,
    chunkSizeBytes: 65_536,
    sequence: 12,
    epoch: 3,
    ownerHostId: id('a'),
    role: 'writer',
    revoked: false,
    piecesTotal: 1000,
    piecesZero: 100,
    piecesPresent: 300,
    overlayDirtyBytes: 5_000_000,
    attached: { state: 'writable', clients: 1 },
    safeToSwitchOff: false,
    safeReasons: [`what ${HOSTILE} wrote is nowhere else`, 'no other host has generation 12'],
    forkName: HOSTILE,
    faults: { count: 1234, latencyUs },
    bytesBySource: { [id('b')]: 3e8, [id('c')]: 2e7, [id('9')]: 1e6 },
    faultBytes: 1e7,
    backgroundBytes: 3e8,
    peers: [
      peer('b', '192.168.1.7:6970', 1, rates(11e6, 0)),
      peer('c', `${'c'.repeat(64)}.dht:1`, 0.42, rates(3e5, 2e6)),
      peer('d', `${id('d')}.relay:1`, 0.05, rates(0, 9e4)),
      peer('e', '[2001:db8::7]:6970', 0, rates(0, 0)),
    ],
  };
  const template = {
    ...disk,
    name: 'template-for-everybody-in-the-whole-lab-of-the-second-floor-2026',
    peers: [],
    attached: null,
    piecesPresent: 900,
    overlayDirtyBytes: 0,
    safeToSwitchOff: true,
    safeReasons: [],
    forkName: null,
    faults: { count: 0, latencyUs },
    bytesBySource: {},
  };
  const move = {
    to: id('b'),
    phase: 'memory',
    phaseText: 'copying the memory',
    elapsedMs: 83_000,
    round: 3,
    missingBytes: 7e7,
    memoryBytes: 6e8,
    diskBytes: 2e8,
    memory: {
      totalBytes: 1e9,
      remainingBytes: 4e8,
      dirtyBytesPerSecond: 1e6,
      passes: 2,
      throttlePercent: 0,
      pagesAsked: 0,
    },
    link: { memoryBytesPerSecond: 9e6, faultBytesPerSecond: 0, backgroundBytesPerSecond: 0 },
  };
  const machines = [
    { name: 'desk', state: 'running', reason: '', memoryBytes: 2 ** 31, cpus: 2, disks: [HOSTILE], move },
    {
      name: 'old',
      state: 'inDoubt',
      reason: `${HOSTILE} has it, or not`,
      memoryBytes: 2 ** 30,
      cpus: 1,
      disks: [null],
      move: null,
    },
  ];
  const samples = Array.from({ length: 240 }, (_, index) => ({
    atMs: index * 1000,
    faults: index % 17 === 0 ? 9 : index % 3,
    waitMs: 12,
    faultBytesPerSecond: 4e5 * (1 + Math.sin(index / 9)),
    backgroundBytesPerSecond: 9e6 * (1 + Math.sin(index / 40)),
    servedBytesPerSecond: index > 120 ? 2e6 : 0,
  }));
  const clones = Array.from({ length: 7 }, (_, index) => ({
    ...template,
    name: index === 0 ? `${HOSTILE}-0` : `desk-${index}`,
    fleet: index < 2 ? 'lab' : null,
    base: {
      diskId: id('7'),
      generationId: '77',
      name: 'template',
      sequence: 4,
      independent: index === 6,
      waitingPieces: index === 1 ? 3 : 0,
    },
    attached: index < 4 ? { state: 'writable', clients: index < 3 ? 1 : 0 } : null,
    piecesPresent: 900 - 120 * (6 - index),
    faults: { count: 31 * index, latencyUs },
  }));
  const trackers = [{ url: 'http://meet.example:6969/announce', ok: false, message: HOSTILE }];
  const state = {
    hostId: id('a'),
    listen: '0.0.0.0:6970',
    trackers,
    disks: [disk, template, ...clones],
    machines,
    signer: true,
  };
  return { hello: { hostId: id('a'), qr: null, samples }, state: { ...state, sample: null } };
}

/** Shows `scene` on the page at `url`, whatever its agent would say. */
export async function showScene(page: Page, url: string, scene: { hello: object; state: object }): Promise<void> {
  const body = `event: hello\ndata: ${JSON.stringify(scene.hello)}\n\nevent: state\ndata: ${JSON.stringify(scene.state)}\n\n`;
  await page.route('**/api/session', (route) => route.fulfill({ json: { session: '0'.repeat(64) } }));
  await page.route('**/api/events', (route) =>
    route.fulfill({ status: 200, headers: { 'Content-Type': 'text/event-stream' }, body }),
  );
  await page.goto(url);
  await page.locator('#disks-view .card').first().waitFor();
}
