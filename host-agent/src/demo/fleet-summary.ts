/**
 * What the boots of a fleet came to, from the figures of its hosts: sums, the table that is shown, and whether it was worth it.
 *
 * Knows figures and words, and nothing of processes.
 */
import { sizeText, table } from '../cli/words.ts';
import { timeText } from './screen.ts';

/** The seed may send this much of what one boot needs before the demonstration has failed. */
const MAX_SHARE = 1.5;

/** What came to a host of the template. */
export interface Received {
  readonly fromSeedBytes: number;
  readonly fromOthersBytes: number;
}

/** One host, once its guest is up. */
export interface FleetHost extends Received {
  readonly name: string;
  /** From switching all machines on to its login. */
  readonly loginMs: number;
  /** Chunks that its guest touched. */
  readonly touchedBytes: number;
}

/** What left the seed and the hosts. */
export interface Sent {
  readonly seedSentBytes: number;
  readonly sharedBytes: number;
}

/** The whole fleet. */
export interface FleetOutcome extends Sent {
  readonly hosts: number;
  /** What a guest touched, median. */
  readonly oneBootBytes: number;
  readonly loginsMs: readonly number[];
  /** What the seed sent, over what one boot needs. */
  readonly share: number;
  readonly perHost: readonly FleetHost[];
}

/** Sums of what came to the hosts. */
export function sentTo(hosts: readonly Received[]): Sent {
  const sum = (of: (host: Received) => number): number => hosts.reduce((total, host) => total + of(host), 0);
  return {
    seedSentBytes: sum(({ fromSeedBytes }) => fromSeedBytes),
    sharedBytes: sum(({ fromOthersBytes }) => fromOthersBytes),
  };
}

/** What the hosts say, as one. */
export function outcomeOf(perHost: readonly FleetHost[]): FleetOutcome {
  const touched = perHost.map(({ touchedBytes }) => touchedBytes).sort((left, right) => left - right);
  const oneBootBytes = touched[Math.floor(touched.length / 2)] ?? 0;
  const sent = sentTo(perHost);
  return {
    hosts: perHost.length,
    oneBootBytes,
    ...sent,
    loginsMs: perHost.map(({ loginMs }) => loginMs),
    share: sent.seedSentBytes / oneBootBytes,
    perHost,
  };
}

/** What is wrong with it, in words; null where nothing is. */
export function failureOf({ share, perHost }: FleetOutcome): string | null {
  const idle = perHost.find(({ touchedBytes, fromSeedBytes, fromOthersBytes }) => {
    return touchedBytes === 0 || fromSeedBytes + fromOthersBytes === 0;
  });
  if (idle !== undefined) return `${idle.name} booted without a chunk of the template from anywhere`;
  return share <= MAX_SHARE ? null : `the seed sent ${share.toFixed(2)} × what one boot needs`;
}

/** The hosts one below the other, then what the seed had to send. `uplinkBytesPerSecond`: the seed's. */
export function summaryText(outcome: FleetOutcome, uplinkBytesPerSecond: number): string {
  const { hosts, oneBootBytes, seedSentBytes, sharedBytes, share, perHost } = outcome;
  const rows = perHost.map(({ name, loginMs, touchedBytes, fromSeedBytes, fromOthersBytes }) => [
    name,
    timeText(loginMs),
    sizeText(touchedBytes),
    sizeText(fromSeedBytes),
    sizeText(fromOthersBytes),
  ]);
  const uplink = (bytes: number): string => timeText((bytes / uplinkBytesPerSecond) * 1000);
  const aloneBytes = hosts * oneBootBytes;
  return [
    table(['HOST', 'LOGIN AFTER', 'ITS GUEST READ', 'FROM THE SEED', 'FROM OTHER HOSTS'], rows),
    '',
    table(
      ['', 'BYTES', "OF THE SEED'S UPLINK"],
      [
        ['one boot needs', sizeText(oneBootBytes), uplink(oneBootBytes)],
        [`${hosts} boots, each from the seed alone`, sizeText(aloneBytes), uplink(aloneBytes)],
        [`what the seed sent for these ${hosts}`, sizeText(seedSentBytes), uplink(seedSentBytes)],
        ['what the hosts sent each other', sizeText(sharedBytes), ''],
      ],
    ),
    '',
    `the seed sent ${share.toFixed(2)} × what one boot needs, for ${hosts} boots`,
  ].join('\n');
}
