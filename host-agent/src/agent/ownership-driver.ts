/**
 * Runs the two state machines of a hand-over for one disk: feeds them events, and carries out their effects in order.
 *
 * What the machines decide stands in the ownership package. Here is only the order of crash safety: every `persist` is durable, together
 * with the epoch records it names, before the effect after it begins. Events are handled one at a time.
 */
import {
  type DiskId,
  DiskswarmError,
  ERROR_CODES,
  type ErrorCode,
  type HostId,
  messageOf,
  type Random,
} from '@diskswarm/core';
import {
  decodeEpochRecord,
  decodeGeneration,
  decodeVerdict,
  type Generation,
  type HostKeys,
  NONCE_BYTES,
  type Relinquish,
} from '@diskswarm/identity';
import {
  applyDestination,
  applySource,
  type DestinationEvent,
  type DestinationState,
  decodeDestinationState,
  decodeSourceState,
  type Effect,
  handoverResult,
  INITIAL_DESTINATION,
  INITIAL_SOURCE,
  type OwnershipMessage,
  restartSource,
  type SourceEvent,
  type SourceState,
  type Standing,
  standingOf,
} from '@diskswarm/ownership';
import { type DiskRecords, diskKey } from './disk-records.ts';
import type { MetaTable } from './meta-table.ts';

/** What a hand-over does to the disk on this host. */
export interface OwnershipActions {
  /** Refuses new writes and drains; rejects with CLIENT_CONNECTED while a client may write. */
  hold(): Promise<void>;
  /** Seals what was written; resolves with the newest generation, durable. */
  seal(): Promise<Generation>;
  resume(): Promise<void>;
  fence(): Promise<void>;
  /** Takes the final generation of an offer: durable here when this resolves. */
  adopt(final: Generation): Promise<void>;
  /** Sends to the host if it is connected. */
  send(to: HostId, message: OwnershipMessage): void;
  /** The chain changed, or the disk may be written now: tell peers, look again at what is attached. */
  ownershipChanged(): void;
}

export class OwnershipDriver {
  readonly #records: DiskRecords;
  readonly #meta: MetaTable;
  readonly #keys: HostKeys;
  readonly #random: Random;
  readonly #actions: OwnershipActions;
  #source: SourceState;
  #destination: DestinationState;
  #queue: Promise<void> = Promise.resolve();
  /** A state could not be made durable: it may or may not be. Nothing goes on before a restart has read what is there. */
  #broken: DiskswarmError | null = null;

  constructor(options: {
    records: DiskRecords;
    meta: MetaTable;
    keys: HostKeys;
    random: Random;
    actions: OwnershipActions;
  }) {
    this.#records = options.records;
    this.#meta = options.meta;
    this.#keys = options.keys;
    this.#random = options.random;
    this.#actions = options.actions;
    const { genesis, disk } = options.records;
    const source = options.meta.get(diskKey(disk, 'hand-over'));
    const destination = options.meta.get(diskKey(disk, 'answers'));
    this.#source = source === null ? INITIAL_SOURCE : decodeSourceState(source, genesis);
    this.#destination = destination === null ? INITIAL_DESTINATION : decodeDestinationState(destination, genesis);
  }

  get source(): SourceState {
    return this.#source;
  }

  /** What this host may do with the disk now. */
  standing(): Standing {
    const { chain, roster } = this.#records;
    return standingOf({ host: this.#keys.hostId, chain, roster, source: this.#source, destination: this.#destination });
  }

  /** What a restarted agent still has to say. */
  start(): Promise<void> {
    return this.#inTurn(async () => {
      const step = restartSource(this.#source, this.#context());
      this.#source = step.state;
      await this.#run(step.effects);
    });
  }

  /** Feeds an event of this host or its user; resolves when its effects are done. Errors of a user's request are thrown. */
  tellSource(event: SourceEvent): Promise<void> {
    return this.#inTurn(() => this.#applySource(event));
  }

  /** Handles what another host says. Errors blame the sender; nothing was changed. */
  receive(from: HostId, message: OwnershipMessage): Promise<void> {
    return this.#inTurn(() => this.#receive(from, message));
  }

  async #receive(from: HostId, message: OwnershipMessage): Promise<void> {
    const { genesis } = this.#records;
    switch (message.kind) {
      case 'ask':
        return this.#applySource({ kind: 'ask', from, nonce: message.nonce });
      case 'relinquish': {
        const relinquish = decodeEpochRecord(message.record, genesis);
        if (relinquish.kind !== 'relinquish')
          throw new DiskswarmError('PROTOCOL_ERROR', 'an offer that is no relinquish');
        const final = decodeGeneration(message.generation);
        if (await this.#records.offerEpochs([message.record])) this.#actions.ownershipChanged();
        return this.#applyDestination({ kind: 'offered', sender: from, relinquish, final });
      }
      case 'verdict': {
        const verdict = decodeVerdict(message.record, genesis);
        return this.#applySource({ kind: 'verdict', verdict });
      }
      default:
        return;
    }
  }

  async #applySource(event: SourceEvent): Promise<void> {
    const step = applySource(this.#source, event, this.#context());
    this.#source = step.state;
    await this.#run(step.effects);
  }

  async #applyDestination(event: DestinationEvent): Promise<void> {
    const step = applyDestination(this.#destination, event, this.#context());
    this.#destination = step.state;
    await this.#run(step.effects);
  }

  async #run(effects: readonly Effect[]): Promise<void> {
    for (const effect of effects) await this.#perform(effect);
  }

  async #perform(effect: Effect): Promise<void> {
    switch (effect.kind) {
      case 'hold':
        return this.#applySource(
          await outcomeOf(
            this.#actions.hold(),
            () => ({ kind: 'held' }),
            (failure) => ({ kind: 'holdRefused', ...failure }),
          ),
        );
      case 'seal':
        return this.#applySource(
          await outcomeOf(
            this.#actions.seal(),
            (final) => ({ kind: 'sealed', final, nonce: this.#random.bytes(NONCE_BYTES) }),
            (failure) => ({ kind: 'sealFailed', ...failure }),
          ),
        );
      case 'resume':
        return this.#actions.resume();
      case 'fence':
        await this.#actions.fence();
        return this.#actions.ownershipChanged();
      case 'examine':
        return this.#examine(effect.relinquish, effect.final);
      case 'activate':
        return this.#actions.ownershipChanged();
      case 'persist': {
        const key = diskKey(this.#records.disk, effect.side === 'source' ? 'hand-over' : 'answers');
        return this.#persist(
          key,
          effect.state,
          effect.records.map((record) => record.bytes),
        );
      }
      case 'send':
        return this.#actions.send(effect.to, effect.message);
      case 'finished':
        return; // The state tells it to whoever waits.
      case 'refuse':
        throw new DiskswarmError(codeOf(effect.code), effect.message, { data: { disk: this.#records.disk } });
      case 'conflict':
        throw new DiskswarmError(
          'EPOCH_CONFLICT',
          `two hosts were given epoch ${effect.relinquish.epoch} of disk ${this.#records.disk}`,
          {
            data: { disk: this.#records.disk, epoch: effect.relinquish.epoch, record: effect.relinquish.id },
          },
        );
    }
  }

  async #persist(key: string, state: Uint8Array, records: readonly Uint8Array[]): Promise<void> {
    try {
      if (await this.#records.offerEpochs(records, { [key]: state })) this.#actions.ownershipChanged();
    } catch (error) {
      const message = `the hand-over of disk ${this.#records.disk} stopped where a record could not be made durable (${messageOf(error)}); restart the agent to go on`;
      this.#broken = new DiskswarmError('WRITE_FAILED', message, { data: { disk: this.#records.disk }, cause: error });
      throw this.#broken;
    }
  }

  async #examine(relinquish: Relinquish, final: Generation): Promise<void> {
    let refusal: { code: string; reason: string } | null = null;
    try {
      await this.#actions.adopt(final);
    } catch (error) {
      refusal = { code: error instanceof DiskswarmError ? error.code : 'INTERNAL', reason: messageOf(error) };
    }
    await this.#applyDestination({ kind: 'examined', relinquish: relinquish.id, refusal });
  }

  #context(): Parameters<typeof applySource>[2] {
    const { genesis, chain, roster } = this.#records;
    return { genesis, keys: this.#keys, chain, roster, destination: this.#destination };
  }

  #inTurn(run: () => Promise<void>): Promise<void> {
    const result = this.#queue.then(() => {
      if (this.#broken !== null) throw this.#broken;
      return run();
    });
    this.#queue = result.catch(() => {});
    return result;
  }
}

/** What a waiting user is told when the hand-over of `disk` did not end with an acceptance. */
export function handoverError(disk: DiskId, name: string, source: SourceState): DiskswarmError | null {
  const result = handoverResult(source);
  if (result === 'done') return null;
  if (source.phase === 'relinquished') {
    return new DiskswarmError(
      'HANDOVER_IN_DOUBT',
      `disk "${name}" was offered to host ${source.relinquish.to} and its answer has not come. Neither host may write it until it does. ` +
        "Start that host's agent and let the two reach each other: the answer then comes by itself; run the same command again to see it.",
      { data: { disk, to: source.relinquish.to, epoch: source.relinquish.epoch } },
    );
  }
  if (source.phase === 'idle' && source.last !== null) {
    const { code, message } = source.last;
    const refused = source.last.result === 'refused';
    return new DiskswarmError(
      refused ? 'HANDOVER_REFUSED' : codeOf(code),
      refused ? `the other host refused disk "${name}": ${message}` : message,
      {
        data: { disk, reason: code },
      },
    );
  }
  return new DiskswarmError('ATTACHMENT_STATE', `disk "${name}" is being handed over`, { data: { disk } });
}

/** A stable code for a text that another host chose. */
export function codeOf(text: string): ErrorCode {
  return Object.hasOwn(ERROR_CODES, text) ? (text as ErrorCode) : 'INTERNAL';
}

async function outcomeOf<Value>(
  promise: Promise<Value>,
  done: (value: Value) => SourceEvent,
  failed: (failure: { code: string; message: string }) => SourceEvent,
): Promise<SourceEvent> {
  try {
    return done(await promise);
  } catch (error) {
    return failed({ code: error instanceof DiskswarmError ? error.code : 'INTERNAL', message: messageOf(error) });
  }
}
