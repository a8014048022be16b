/**
 * What a peer says of a disk besides chunks: the order its messages have to come in, and to whom each goes.
 *
 * The roster comes first; what comes behind it waits in the gate until the roster was judged. Indexes are opened at once, because the next
 * message may name them. Whether records are true is judged by the handlers.
 */
import { DiskswarmError } from '@diskswarm/core';
import { type ExtensionMessage, MAX_EPOCH_RECORDS, type PathMessage, type PieceSpaces } from '@diskswarm/wire';
import type { PathRequests } from './path-requests.ts';
import type { ChannelHandlers } from './ports.ts';
import type { RosterGate } from './roster-gate.ts';

export interface DiskHearingOptions {
  readonly gate: RosterGate;
  readonly spaces: PieceSpaces;
  readonly paths: PathRequests;
  /** Null before the channel is opened and after it was closed. */
  readonly handlers: () => ChannelHandlers | null;
  readonly onPath: (message: PathMessage) => void;
  readonly onPacking: (compressed: boolean) => void;
}

export class DiskHearing {
  readonly #options: DiskHearingOptions;
  /** Epoch records that came ahead of their generation. */
  #epochs: Uint8Array[] = [];

  constructor(options: DiskHearingOptions) {
    this.#options = options;
  }

  /** One message, which took `lengthBytes`; throws PROTOCOL_ERROR when it has no place here. */
  hear(message: ExtensionMessage, lengthBytes: number): void {
    const { gate, spaces, paths, handlers } = this.#options;
    if (message.kind === 'roster') {
      gate.roster(message.bundle);
      return;
    }
    if (!gate.begun && message.kind !== 'trace') {
      throw new DiskswarmError('PROTOCOL_ERROR', `a ${message.kind} message before the roster`);
    }
    switch (message.kind) {
      case 'epochs':
        this.#epochs.push(...message.epochs);
        if (this.#epochs.length > MAX_EPOCH_RECORDS)
          throw new DiskswarmError('PROTOCOL_ERROR', 'too many epoch records');
        break;
      case 'generation': {
        const { space, pieces, generation, record } = message;
        const epochs = [...this.#epochs, ...message.epochs];
        this.#epochs = [];
        spaces.adopt(space, generation, pieces);
        gate.pass(lengthBytes, () => handlers()?.onGeneration({ generation, pieces, record, epochs }));
        break;
      }
      case 'claims': {
        const space = spaces.at(message.space);
        if (space === undefined || Math.max(message.has.end, message.lacks.end) > space.pieces) {
          throw new DiskswarmError('PROTOCOL_ERROR', 'claims about pieces that nobody opened');
        }
        const { has, lacks } = message;
        gate.pass(lengthBytes, () => handlers()?.onClaims(space.generation, has, lacks));
        break;
      }
      case 'path':
        this.#options.onPath(message);
        break;
      case 'pages':
        paths.answered(message.request, message.pages);
        break;
      case 'packing':
        this.#options.onPacking(message.compressed);
        break;
      case 'trace':
        gate.pass(lengthBytes, () => handlers()?.onTrace(message.generation, message.trace));
        break;
      case 'ownership':
        gate.pass(lengthBytes, () => handlers()?.onOwnership(message.message));
        break;
      case 'migration':
        gate.pass(lengthBytes, () => handlers()?.onMigration(message.message));
        break;
    }
  }
}
