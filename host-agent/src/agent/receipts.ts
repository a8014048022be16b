/**
 * Receipts of one disk (design D7): those that other hosts gave us, and the one we give when the newest generation is complete and durable here.
 *
 * Our own is recorded before anybody hears of it, and with it the pin: the generation it names is not dropped by `rm` without force.
 */
import { type HostId, hasCode } from '@diskswarm/core';
import {
  comparePositions,
  createReceipt,
  type Generation,
  memberOf,
  NONCE_BYTES,
  type Receipt,
  verifyReceipt,
} from '@diskswarm/identity';
import type { OwnershipMessage } from '@diskswarm/ownership';
import { type DiskRecords, diskKey } from './disk-records.ts';
import type { Environment } from './environment.ts';

export class Receipts {
  readonly #env: Environment;
  readonly #records: DiskRecords;
  readonly #received = new Map<HostId, Receipt>();
  #own: Receipt | null = null;

  constructor(env: Environment, records: DiskRecords) {
    this.#env = env;
    this.#records = records;
    for (const key of env.meta.keys(diskKey(records.disk, 'receipt/'))) this.#load(env.meta.get(key));
  }

  /** Receipts of other hosts. */
  get received(): readonly Receipt[] {
    return [...this.#received.values()];
  }

  /** The newest receipt this host gave; null before the first. */
  get own(): Receipt | null {
    return this.#own;
  }

  /** Records a receipt for `generation`, which is complete and durable here, and returns what peers are told. */
  async give(
    generation: Generation,
    nonce: Uint8Array = this.#env.random.bytes(NONCE_BYTES),
  ): Promise<OwnershipMessage> {
    const receipt = createReceipt(generation, nonce, this.#env.keys);
    await this.#keep(receipt);
    this.#own = receipt;
    return { kind: 'receipt', disk: this.#records.disk, record: receipt.bytes };
  }

  /** Takes another host's receipt if it says more than the one before; true then. */
  async take(bytes: Uint8Array): Promise<boolean> {
    const receipt = verifyReceipt(bytes, this.#records.roster);
    if (receipt.host === this.#env.hostId) return false;
    const before = this.#received.get(receipt.host);
    if (before !== undefined && comparePositions(receipt, before) < 0) return false;
    await this.#keep(receipt);
    this.#received.set(receipt.host, receipt);
    return true;
  }

  async #keep(receipt: Receipt): Promise<void> {
    await this.#env.meta.commit({ [diskKey(this.#records.disk, `receipt/${receipt.host}`)]: receipt.bytes });
  }

  #load(bytes: Uint8Array | null): void {
    if (bytes === null) return;
    try {
      const receipt = verifyReceipt(bytes, this.#records.roster);
      if (receipt.host === this.#env.hostId) this.#own = receipt;
      else if (memberOf(this.#records.roster, receipt.host) !== null) this.#received.set(receipt.host, receipt);
    } catch (error) {
      // Its host was revoked since.
      if (!hasCode(error, 'REVOKED') && !hasCode(error, 'ROLE_FORBIDS')) throw error;
    }
  }
}
