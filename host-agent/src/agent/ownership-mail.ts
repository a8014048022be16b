/**
 * What other hosts say about the ownership of one disk, handed to whom it concerns: receipts, requests for them, and the steps of a hand-over.
 *
 * A host that asks for the disk waits its turn behind other structural work; everything else is taken at once.
 */
import { DiskswarmError, type HostId } from '@diskswarm/core';
import type { OwnershipMessage } from '@diskswarm/ownership';
import type { ChangeSignal } from './change-signal.ts';
import type { DiskCompletion } from './disk-completion.ts';
import type { DiskRecords } from './disk-records.ts';
import type { DiskTemplates } from './disk-templates.ts';
import { codeOf, type OwnershipDriver } from './ownership-driver.ts';
import type { Receipts } from './receipts.ts';

export interface OwnershipMailOptions {
  readonly name: string;
  readonly records: DiskRecords;
  readonly receipts: Receipts;
  readonly completion: DiskCompletion;
  readonly ownership: OwnershipDriver;
  readonly changed: ChangeSignal;
  readonly templates: DiskTemplates;
  readonly inTurn: (work: () => Promise<void>) => Promise<void>;
  readonly peers: { send(to: HostId, message: OwnershipMessage): void };
}

export class OwnershipMail {
  readonly #options: OwnershipMailOptions;
  /** What the owner answered to our ask, by nonce. */
  #refusal: { readonly nonce: Uint8Array; readonly error: DiskswarmError } | null = null;

  constructor(options: OwnershipMailOptions) {
    this.#options = options;
  }

  /** Why the ask, or the request for a receipt, with this nonce was refused; null when it was not. */
  refusalOf(nonce: Uint8Array): DiskswarmError | null {
    return this.#refusal !== null && Buffer.compare(this.#refusal.nonce, nonce) === 0 ? this.#refusal.error : null;
  }

  /** Takes one message. Errors blame the sender. */
  async take(from: HostId, message: OwnershipMessage): Promise<void> {
    const { name, records, receipts, completion, ownership, changed, inTurn, peers, templates } = this.#options;
    switch (message.kind) {
      case 'receipt':
        if (await receipts.take(message.record)) changed.fire();
        return;
      case 'templates':
        await templates.take(message.record);
        return;
      case 'receiptRequest':
        return peers.send(
          from,
          (await completion.receiptFor(message.generation, message.nonce)) ?? {
            kind: 'refused',
            disk: records.disk,
            nonce: message.nonce,
            code: 'GENERATION_NOT_FOUND',
            message: 'the generation is not complete here',
          },
        );
      case 'refused':
        this.#refusal = {
          nonce: message.nonce,
          error: new DiskswarmError(
            codeOf(message.code),
            `host ${from} did not hand over disk "${name}": ${message.message}`,
            { data: { name, from } },
          ),
        };
        changed.fire();
        return;
      case 'ask':
        return inTurn(() => ownership.receive(from, message));
      default:
        return ownership.receive(from, message);
    }
  }
}
