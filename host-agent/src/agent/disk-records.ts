/**
 * Who a disk belongs to and what it consists of, as this host knows it: genesis, roster, swarm secrets, epoch chain, generations.
 *
 * Everything here is signed by somebody and checked before it is taken; what is taken is durable in the metadata table before it is used, and a
 * roster or generation older than the highest seen never replaces it (design D3). Bytes of chunks and manifests are left to generation-view.ts and the store.
 */
import { type DiskId, DiskswarmError, decodeCanonical, encodeCanonical, type GenerationId } from '@diskswarm/core';
import {
  type Admission,
  compareGenerations,
  decodeEpochRecord,
  decodeGeneration,
  decodeGenesis,
  type EpochChain,
  type EpochRecord,
  type Generation,
  type Genesis,
  type HostKeys,
  type Member,
  memberOf,
  openRosterSecret,
  type Roster,
  type SwarmSecret,
  takeRoster,
  verifyEpochChain,
  verifyGeneration,
  verifyRoster,
  withAdmissions,
} from '@diskswarm/identity';
import { HeardGeneration } from './heard-generation.ts';
import type { MetaChange, MetaTable } from './meta-table.ts';
import { Turns } from './turns.ts';

/** Secrets a host goes on listening under after they were replaced, so that members who were away hear of the new one. */
const MAX_SECRETS = 4;

/** Keys of a disk in the metadata table. */
export function diskKey(disk: DiskId, name: string): string {
  return `disk/${disk}/${name}`;
}

/** Records of a disk that this host does not know yet. */
export interface InitialRecords {
  readonly genesis: Uint8Array;
  readonly roster: Uint8Array;
  readonly epochs: readonly Uint8Array[];
}

export class DiskRecords {
  readonly genesis: Genesis;
  readonly heard: HeardGeneration;
  readonly #meta: MetaTable;
  readonly #keys: HostKeys;
  readonly #generations = new Map<GenerationId, Generation>();
  /** What is offered is judged against what is durable, so that one of two that come together cannot undo the other. */
  readonly #turns = new Turns();
  #roster: Roster;
  #chain: EpochChain;
  /** Newest first; empty only when this host was revoked before it ever held one. */
  #secrets: SwarmSecret[];
  #head: Generation | null = null;

  private constructor(
    meta: MetaTable,
    keys: HostKeys,
    genesis: Genesis,
    roster: Roster,
    chain: EpochChain,
    secrets: SwarmSecret[],
  ) {
    this.#meta = meta;
    this.#keys = keys;
    this.genesis = genesis;
    this.#roster = roster;
    this.#chain = chain;
    this.#secrets = secrets;
    this.heard = new HeardGeneration(meta, this);
  }

  /** Checks the records of a new disk and makes them durable together with `more`, and with its first generation where this host made one. */
  static async create(
    meta: MetaTable,
    keys: HostKeys,
    records: InitialRecords,
    more: MetaChange,
    first: ((chain: EpochChain) => Generation) | null,
  ): Promise<DiskRecords> {
    const genesis = decodeGenesis(records.genesis);
    const roster = verifyRoster(records.roster, genesis);
    const chain = verifyEpochChain(
      records.epochs.map((bytes) => decodeEpochRecord(bytes, genesis)),
      genesis,
      roster,
    );
    const secrets = [openRosterSecret(roster, keys)];
    const disk = genesis.disk;
    const generation = first?.(chain) ?? null;
    if (generation !== null) verifyGeneration(generation, chain, roster);
    await meta.commit({
      ...(generation === null ? {} : { [generationKey(generation)]: generation.bytes }),
      [diskKey(disk, 'genesis')]: genesis.bytes,
      [diskKey(disk, 'roster')]: roster.bytes,
      [diskKey(disk, 'secrets')]: encodeCanonical(secrets),
      ...epochChange(disk, chain.records),
      ...more,
    });
    const created = new DiskRecords(meta, keys, genesis, roster, chain, secrets);
    if (generation !== null) created.#generations.set(generation.id, generation);
    created.#head = generation;
    return created;
  }

  /** What the metadata table holds of a disk. */
  static load(meta: MetaTable, keys: HostKeys, disk: DiskId): DiskRecords {
    const required = (name: string): Uint8Array => {
      const value = meta.get(diskKey(disk, name));
      if (value === null)
        throw new DiskswarmError('FORMAT_INVALID', `the metadata of disk ${disk} lacks its ${name}`, {
          data: { disk },
        });
      return value;
    };
    const genesis = decodeGenesis(required('genesis'));
    const roster = verifyRoster(required('roster'), genesis);
    const values = (prefix: string): Uint8Array[] =>
      meta.keys(diskKey(disk, prefix)).map((key) => meta.get(key) ?? new Uint8Array(0));
    const epochs = values('epoch/').map((bytes) => decodeEpochRecord(bytes, genesis));
    const chain = verifyEpochChain(epochs, genesis, roster);
    const secrets = decodeCanonical(required('secrets'), { maxBytes: 4096, what: 'swarm secrets' }) as Uint8Array[];
    const records = new DiskRecords(meta, keys, genesis, roster, chain, secrets);
    for (const bytes of values('generation/')) {
      const generation = decodeGeneration(bytes);
      records.#generations.set(generation.id, generation);
    }
    records.#head = records.#newest();
    return records;
  }

  get disk(): DiskId {
    return this.genesis.disk;
  }
  get roster(): Roster {
    return this.#roster;
  }
  get chain(): EpochChain {
    return this.#chain;
  }
  get secrets(): readonly SwarmSecret[] {
    return this.#secrets;
  }
  /** The newest generation that counts; null before the first one was learned. */
  get head(): Generation | null {
    return this.#head;
  }
  /** This host's own entry. */
  get member(): Member | null {
    return memberOf(this.#roster, this.#keys.hostId);
  }
  /** This host may write the disk now. */
  get owned(): boolean {
    return this.#chain.current.owner === this.#keys.hostId && this.member?.revoked === undefined;
  }

  generation(id: GenerationId): Generation | null {
    return this.#generations.get(id) ?? null;
  }

  /** A generation that counts and has this manifest; the newest one where it is among several. */
  generationAt(root: Generation['root']): Generation | null {
    if (this.#head?.root === root) return this.#head;
    for (const generation of this.#generations.values()) {
      if (generation.root === root && this.#trusted(generation)) return generation;
    }
    return null;
  }

  /** The generations that count, oldest first. */
  history(): Generation[] {
    return [...this.#generations.values()].filter((generation) => this.#trusted(generation)).sort(compareGenerations);
  }

  /** Takes a roster that is newer than ours; durable when this resolves. */
  offerRoster(bytes: Uint8Array): Promise<'newer' | 'same' | 'stale'> {
    return this.#turns.run(async () => this.#takeRoster(verifyRoster(bytes, this.genesis, this.#roster)));
  }

  /** Adds hosts that came by a token, and `more` in the same step; ROSTER_STALE, with nothing done, unless all of them count. */
  admit(admissions: readonly Admission[], more: MetaChange): Promise<void> {
    return this.#turns.run(async () => {
      const roster = withAdmissions(this.#roster, admissions);
      if (!admissions.every(({ bytes }) => roster.admissions.some((each) => Buffer.compare(each.bytes, bytes) === 0)))
        throw new DiskswarmError('ROSTER_STALE', `the roster of disk ${this.disk} changed while a host was let in`, {
          data: { disk: this.disk },
        });
      await this.#meta.commit({ [diskKey(this.disk, 'roster')]: roster.bytes, ...more });
      this.#roster = roster;
    });
  }

  /** Takes a roster that the owner made of ours; ROSTER_STALE when ours became another one meanwhile. False when it is ours already. */
  changeRoster(bytes: Uint8Array): Promise<boolean> {
    return this.#turns.run(async () => {
      const offered = verifyRoster(bytes, this.genesis);
      const { verdict, roster } = takeRoster(this.#roster, offered);
      const passed = Buffer.compare(roster.signed, offered.signed) !== 0;
      if (passed || (verdict === 'newer' && offered.sequence === this.#roster.sequence)) {
        throw new DiskswarmError(
          'ROSTER_STALE',
          `the roster of disk ${this.disk} changed while this change was made; nothing was changed, run the command again`,
          {
            data: { disk: this.disk, offered: offered.sequence, present: this.#roster.sequence },
          },
        );
      }
      return (await this.#takeRoster(offered)) === 'newer';
    });
  }

  async #takeRoster(offered: Roster): Promise<'newer' | 'same' | 'stale'> {
    const { verdict, roster } = takeRoster(this.#roster, offered);
    if (verdict !== 'newer') return verdict;
    const chain = verifyEpochChain(this.#chain.records, this.genesis, roster);
    const secrets = this.#withSecretOf(roster);
    await this.#meta.commit({
      [diskKey(this.disk, 'roster')]: roster.bytes,
      [diskKey(this.disk, 'secrets')]: encodeCanonical(secrets),
    });
    this.#roster = roster;
    this.#chain = chain;
    this.#secrets = secrets;
    this.#head = this.#newest();
    return 'newer';
  }

  /** Takes epoch records that we lack and that verify together with ours; true when the chain changed. Durable when this resolves. */
  offerEpochs(offered: readonly Uint8Array[], more: MetaChange = {}): Promise<boolean> {
    return this.#turns.run(() => this.#takeEpochs(offered, more));
  }

  async #takeEpochs(offered: readonly Uint8Array[], more: MetaChange): Promise<boolean> {
    // By their bytes: a signature is checked once, however often its record comes.
    const known = new Set(this.#chain.records.map((record) => bytesKey(record.bytes)));
    const fresh = offered
      .filter((bytes) => !known.has(bytesKey(bytes)))
      .map((bytes) => decodeEpochRecord(bytes, this.genesis));
    if (fresh.length === 0) {
      await this.#meta.commit(more);
      return false;
    }
    const chain = verifyEpochChain([...this.#chain.records, ...fresh], this.genesis, this.#roster);
    await this.#meta.commit({ ...epochChange(this.disk, fresh), ...more });
    this.#chain = chain;
    this.#head = this.#newest();
    return true;
  }

  /** Takes a generation whose signer was entitled; durable when this resolves. Known ones are taken again without harm. */
  offerGeneration(bytes: Uint8Array, more: MetaChange = {}): Promise<Generation> {
    return this.#turns.run(() => this.#takeGeneration(bytes, more));
  }

  async #takeGeneration(bytes: Uint8Array, more: MetaChange): Promise<Generation> {
    const generation = decodeGeneration(bytes);
    verifyGeneration(generation, this.#chain, this.#roster);
    const rival = [...this.#generations.values()].find(
      (known) => known.id !== generation.id && compareGenerations(known, generation) === 0 && this.#trusted(known),
    );
    if (rival !== undefined) {
      throw new DiskswarmError(
        'GENERATION_UNTRUSTED',
        `disk ${this.disk} has two generations ${generation.sequence} of epoch ${generation.epoch}: its owning host signed both`,
        {
          data: { reason: 'forked', known: rival.id, offered: generation.id },
        },
      );
    }
    await this.#meta.commit({ [generationKey(generation)]: generation.bytes, ...more });
    this.#generations.set(generation.id, generation);
    this.#head = this.#newest();
    return generation;
  }

  /**
   * Forgets the rounds of migrations that are over: generations that were never meant to be kept and that nothing here refers to. The newest one and the one
   * it came from stay, and so does `inUse`, which an export serves. Durable when this resolves.
   */
  dropRounds(inUse: GenerationId | null): Promise<void> {
    return this.#turns.run(async () => {
      const { entries } = this.#chain;
      const needed = new Set<GenerationId | null | undefined>([
        ...[inUse, this.#head?.id, this.#head?.parent?.generation],
        ...entries.flatMap(({ after, until }) => [after?.generation, until?.generation]),
      ]);
      const over = [...this.#generations.values()].filter(({ kept, id }) => !kept && !needed.has(id));
      if (over.length === 0) return;
      await this.#meta.commit(Object.fromEntries(over.map((generation) => [generationKey(generation), null])));
      for (const { id } of over) this.#generations.delete(id);
    });
  }

  /** Every key of the disk, to be deleted. */
  forget(): MetaChange {
    return Object.fromEntries(this.#meta.keys(diskKey(this.disk, '')).map((key) => [key, null]));
  }

  #withSecretOf(roster: Roster): SwarmSecret[] {
    const member = memberOf(roster, this.#keys.hostId);
    if (member === null || member.revoked !== undefined) return this.#secrets;
    const secret = openRosterSecret(roster, this.#keys);
    const others = this.#secrets.filter((known) => Buffer.compare(known, secret) !== 0);
    return [secret, ...others].slice(0, MAX_SECRETS);
  }

  #trusted(generation: Generation): boolean {
    try {
      verifyGeneration(generation, this.#chain, this.#roster);
      return true;
    } catch (error) {
      if (error instanceof DiskswarmError) return false;
      throw error;
    }
  }

  #newest(): Generation | null {
    return this.history().at(-1) ?? null;
  }
}

/** The bytes as a key of sets and maps. */
export function bytesKey(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function epochChange(disk: DiskId, records: readonly EpochRecord[]): MetaChange {
  return Object.fromEntries(records.map((record) => [diskKey(disk, `epoch/${record.id}`), record.bytes]));
}

function generationKey(generation: Generation): string {
  return diskKey(generation.disk, `generation/${generation.id}`);
}
