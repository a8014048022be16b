/**
 * Keeps this host's disks announced in a DHT, and passes on the addresses that are found there.
 *
 * A question and an announce are one: whoever asks under a topic is found under it. It is repeated soon after a start or a new
 * secret, because two hosts that begin together miss each other, and then before the DHT forgets. Topics are keyed with the
 * swarm secret. The DHT is never trusted: an address is dialled, and the host there proves itself or is left.
 */
import {
  type Address,
  type Clock,
  type DiskId,
  DiskswarmError,
  fromHex,
  hasCode,
  type Random,
  sleep,
  toHex,
} from '@diskswarm/core';
import { dhtTopicOf } from '@diskswarm/identity';
import type { DiskMembership } from '../ports.ts';

/** A DHT that this host takes part in, as one host of many. */
export interface Dht {
  /** Announces this host under a topic; resolves with others' addresses there. PEER_UNREACHABLE when no node answers. */
  meet(topic: Uint8Array): Promise<readonly Address[]>;
  /** Takes the announce back, as far as nodes can be reached. */
  leave(topic: Uint8Array): Promise<void>;
}

export interface DhtDiscoveryOptions {
  readonly dht: Dht;
  readonly clock: Clock;
  readonly random: Random;
  onPeers(disk: DiskId, addresses: readonly Address[]): void;
  /** The DHT does not answer, or answers again (null). */
  onTrouble(error: DiskswarmError | null): void;
}

type Member = Pick<DiskMembership, 'disk' | 'secrets'>;

interface Meeting {
  readonly member: Member;
  /** Topics this host is announced under, as hex. */
  readonly topics: Set<string>;
  readonly end: AbortController;
  /** Breaks the present pause. */
  wake: AbortController;
  running: Promise<void>;
}

/** Topics that are kept up at once: of the current secret and the one before. */
const MAX_DHT_TOPICS = 2;
/** Addresses taken from one question. */
const MAX_DHT_PEERS = 64;
/** Pauses behind the first questions; the last one repeats. Nodes forget an announce after about 20 minutes. */
const PAUSES_MS = [1_500, 3_000, 10_000, 30_000, 120_000, 480_000];
/** The longest pause while nobody answers. */
const LAST_RETRY_MS = 60_000;
/** How long a goodbye may take. */
const GOODBYE_MS = 2_000;

export class DhtDiscovery {
  readonly #options: DhtDiscoveryOptions;
  readonly #meetings = new Map<DiskId, Meeting>();
  #trouble = false;

  constructor(options: DhtDiscoveryOptions) {
    this.#options = options;
  }

  /** Announces a disk from now on. */
  addDisk(member: Member): void {
    if (this.#meetings.has(member.disk)) return;
    const meeting: Meeting = {
      member,
      topics: new Set(),
      end: new AbortController(),
      wake: new AbortController(),
      running: Promise.resolve(),
    };
    this.#meetings.set(member.disk, meeting);
    meeting.running = this.#run(meeting);
  }

  /** Says goodbye for a disk. */
  async removeDisk(disk: DiskId): Promise<void> {
    const meeting = this.#meetings.get(disk);
    if (meeting === undefined) return;
    this.#meetings.delete(disk);
    meeting.end.abort();
    // Behind a question that is under way, which would announce this host once more.
    const goodbyes = async (): Promise<void> => {
      await meeting.running;
      await Promise.all([...meeting.topics].map((topic) => this.#options.dht.leave(fromHex(topic))));
    };
    let timer = { cancel: (): void => undefined };
    const late = new Promise<void>((resolve) => {
      timer = this.#options.clock.setTimer(GOODBYE_MS, resolve, { background: true });
    });
    await Promise.race([goodbyes(), late]);
    timer.cancel();
  }

  /** Asks at once: the secret of a disk is new. */
  askNow(disk: DiskId): void {
    this.#meetings.get(disk)?.wake.abort();
  }

  /** Says goodbye for all. Idempotent. */
  async stop(): Promise<void> {
    await Promise.all([...this.#meetings.keys()].map((disk) => this.removeDisk(disk)));
  }

  async #run(meeting: Meeting): Promise<void> {
    let round = 0;
    while (!meeting.end.signal.aborted) {
      let pauseMs = PAUSES_MS[Math.min(round, PAUSES_MS.length - 1)]!;
      if (!(await this.#ask(meeting))) pauseMs = Math.min(pauseMs, LAST_RETRY_MS);
      round += 1;
      if (await this.#pause(meeting, pauseMs)) round = 0;
    }
  }

  /** Meets under every topic; false when nobody answered. */
  async #ask({ member, topics, end }: Meeting): Promise<boolean> {
    const { dht, onPeers, onTrouble } = this.#options;
    try {
      for (const secret of member.secrets().slice(0, MAX_DHT_TOPICS)) {
        if (end.signal.aborted) return true;
        const topic = dhtTopicOf(secret, member.disk);
        topics.add(toHex(topic));
        const found = await dht.meet(topic);
        if (!end.signal.aborted) onPeers(member.disk, this.#someOf(found));
      }
    } catch (error) {
      if (!(error instanceof DiskswarmError)) throw error;
      if (!this.#trouble && !end.signal.aborted) onTrouble(error);
      this.#trouble = true;
      return false;
    }
    if (this.#trouble) onTrouble(null);
    this.#trouble = false;
    return true;
  }

  /** At random, so that a crowd of made-up hosts cannot keep an honest one out for good. */
  #someOf(found: readonly Address[]): Address[] {
    const rest = [...found];
    const chosen: Address[] = [];
    while (rest.length > 0 && chosen.length < MAX_DHT_PEERS)
      chosen.push(...rest.splice(this.#options.random.below(rest.length), 1));
    return chosen;
  }

  /** True when it was broken by `askNow`. */
  async #pause(meeting: Meeting, pauseMs: number): Promise<boolean> {
    const { clock, random } = this.#options;
    // Nine tenths to eleven tenths, so that hosts that started together do not stay together.
    const jittered = (pauseMs * (900 + random.below(201))) / 1000;
    try {
      await sleep(clock, jittered, { signal: AbortSignal.any([meeting.end.signal, meeting.wake.signal]) });
      return false;
    } catch (error) {
      if (!hasCode(error, 'ABORTED')) throw error;
      meeting.wake = new AbortController();
      return true;
    }
  }
}
