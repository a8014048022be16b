/** A scheduler under the hand of a test: no network, answers are typed in, effects come back in short words. */
import type { HostId } from '@diskswarm/core';
import { type Effect, type Holder, Scheduler, type SchedulerEvent, type Want } from '../../src/index.ts';
import { want as fault, keyOf, peerId } from './names.ts';
import { seededRandom } from './seeded-random.ts';

const short = (peer: HostId): string => `p${Number.parseInt(peer, 16)}`;

/** `ask p1 1/5 fault`, `cancel p1 1/5`, `ban p1`, `unavailable 1/5`, `late p1 1/5`; timers are left out. */
export function inWords(effects: readonly Effect[]): string[] {
  return effects.flatMap((effect) => {
    switch (effect.type) {
      case 'request':
        return [`ask ${short(effect.peer)} ${effect.want.key} ${effect.lane}`];
      case 'cancel':
      case 'late':
        return [`${effect.type} ${short(effect.peer)} ${effect.key}`];
      case 'ban':
        return [`ban ${short(effect.peer)}`];
      case 'unavailable':
        return [`unavailable ${effect.key}`];
      default:
        return [];
    }
  });
}

export class Desk {
  readonly scheduler: Scheduler;
  nowUs = 0;
  /** Who has what; by default everybody who is up has everything. */
  whoHas: (want: Want) => Iterable<Holder> = () => [...this.#up].map((peer) => ({ peer, certainty: 'has' as const }));
  /** Round trips that are known, in microseconds. */
  readonly roundTrips = new Map<HostId, number>();
  readonly #up = new Set<HostId>();

  constructor({ maxWants }: { maxWants?: number } = {}) {
    this.scheduler = new Scheduler({
      whoHas: (want) => this.whoHas(want),
      roundTripUs: (peer) => this.roundTrips.get(peer) ?? null,
      random: seededRandom(3),
      ...(maxWants === undefined ? {} : { maxWants }),
    });
  }

  raw(event: SchedulerEvent): Effect[] {
    return this.scheduler.apply(event, this.nowUs);
  }

  apply(event: SchedulerEvent): string[] {
    return inWords(this.raw(event));
  }

  up(number: number): string[] {
    this.#up.add(peerId(number));
    return this.apply({ type: 'peerUp', peer: peerId(number) });
  }

  down(number: number): string[] {
    this.#up.delete(peerId(number));
    return this.apply({ type: 'peerDown', peer: peerId(number) });
  }

  want(want: Want): string[] {
    return this.apply({ type: 'want', want });
  }

  arrived(peer: number, piece: number, disk = 1): string[] {
    return this.apply({ type: 'arrived', peer: peerId(peer), key: keyOf(disk, piece) });
  }

  /** Lets time pass and rings the timer. */
  wait(us: number): string[] {
    this.nowUs += us;
    return this.apply({ type: 'timer' });
  }

  /** Peers 1 to `count` come up and answer one fault each, alone, in `responseUs`: all measured alike. */
  measured(count: number, responseUs = 50_000): this {
    const { whoHas } = this;
    for (let number = 1; number <= count; number++) this.up(number);
    for (let number = 1; number <= count; number++) {
      const piece = 900_000 + number;
      this.whoHas = () => [{ peer: peerId(number), certainty: 'has' }];
      this.want(fault(piece));
      this.nowUs += responseUs;
      this.arrived(number, piece);
    }
    this.whoHas = whoHas;
    return this;
  }
}
