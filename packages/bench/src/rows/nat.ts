/** Two hosts behind two NATs: how long they take to find each other in a DHT and to connect, directly or through a third host. */
import { join } from 'node:path';
import { makeNatWorld, type NatKind, type NatWorld } from '@diskswarm/nat-world';
import type { AgentHost } from '../hosts/agent-host.ts';
import { hostAt, type Meeting, meetBehindNats } from '../hosts/nat-pair.ts';
import { type Figure, type Row, type Series, valueFigure } from '../row.ts';

const LIMIT_MS = 3000;
const SMOKE_TRIES = 2;

interface Pair {
  readonly words: string;
  readonly kinds: readonly [NatKind, NatKind];
  /** Whether a host of the same roster is on the public network. */
  readonly keeper: boolean;
}

const PAIRS: readonly Pair[] = [
  { words: 'NATs that keep ports', kinds: ['steady', 'steady'], keeper: false },
  { words: 'one NAT that draws ports, a third host', kinds: ['steady', 'random'], keeper: true },
  { words: 'two NATs that draw ports, a third host', kinds: ['random', 'random'], keeper: true },
];

export const nat: Row = {
  name: 'nat',
  title: 'Two hosts behind two NATs find each other in a DHT and connect',
  target: 'connected in under 3 s in 20 of 20 tries',
  programs: ['ip', 'nft'],
  needsRoot: true,
  rounds: 20,
  async run({ folder, smoke, rounds, log }) {
    const tries = smoke ? SMOKE_TRIES : rounds;
    const series: Series[] = [];
    const figures: Figure[] = [];
    for (const pair of PAIRS) {
      const place = join(folder, pair.kinds.join('-'));
      const meetings = await meetOften(pair, place, tries, log);
      const values = meetings.map(({ elapsedMs }) => elapsedMs);
      series.push({ subject: pair.words, measure: 'from both up to connected', unit: 'ms', values });
      figures.push(...figuresOf(pair, meetings));
    }
    return {
      series,
      figures,
      checks: [
        'connected are two hosts that have proven themselves inside the channel, at both ends, and share the disk',
      ],
      notes: [
        'Each try is two new hosts of one roster: agents as users run them, with new keys for the DHT, started together. Time runs from when the later one says that it is ready until both list the other with the disk; joining the DHT, announcing, finding, punching and proving are in it. What they know of each other before is the host id in the roster, which all hosts have.',
        'Networks are namespaces of this machine: NATs are nftables masquerade, which drops what nobody inside asked for; the DHT has ten nodes on the public network. No delay is modelled: on the internet each round trip comes on top.',
        'A NAT that draws ports takes a new one for each destination (fully-random). One of the two can be punched, by luck; two cannot. There a third host of the roster is on the public network, through which the two go after about a second, until a direct way is found.',
      ],
    };
  },
};

function figuresOf({ words, keeper }: Pair, meetings: readonly Meeting[]): Figure[] {
  const values = meetings.map(({ elapsedMs }) => elapsedMs);
  const below = values.filter((value) => value < LIMIT_MS).length;
  const direct = meetings.filter(({ way }) => way === 'direct').length;
  const unit = `of ${meetings.length}`;
  const count = (label: string, value: number, target: Figure['target']): Figure => ({
    ...valueFigure(`${label}: ${words}`, unit, [value], target),
    rounds: meetings.length,
  });
  return [
    count('connected in under 3 s', below, { kind: 'at least', value: meetings.length }),
    valueFigure(`slowest try: ${words}`, 'ms', [Math.max(...values)], null),
    count('connected directly', direct, null),
    ...(keeper ? [count('connected through the third host', meetings.length - direct, null)] : []),
  ];
}

/** Meets again and again in one world. */
async function meetOften(pair: Pair, place: string, tries: number, log: (message: string) => void): Promise<Meeting[]> {
  const world = await makeNatWorld(pair.kinds);
  try {
    const keeper = pair.keeper ? await startKeeper(join(place, 'keeper'), world) : null;
    const meetings: Meeting[] = [];
    for (let index = 0; index < tries; index++) {
      const folder = join(place, String(index));
      const meeting = await meetBehindNats({ folder, world, disk: `disk-${index}`, keeper });
      log(`${pair.words}: ${Math.round(meeting.elapsedMs)} ms, ${meeting.way}`);
      meetings.push(meeting);
    }
    await keeper?.stop();
    return meetings;
  } finally {
    await world.close();
  }
}

async function startKeeper(stateDir: string, world: NatWorld): Promise<AgentHost> {
  const keeper = hostAt(stateDir, world, world.open);
  await keeper.start();
  return keeper;
}
