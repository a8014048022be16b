/**
 * News kept over a restart: what the board takes goes to a journal, and the journal makes the board again.
 *
 * A blob is with the kernel before the announce that brought it is answered: however a tracker ends, the next one refuses what was
 * old before. Ages are kept by the wall clock, so that news goes a week after its last repetition whether the tracker ran or not; a
 * repetition is written now and then only. A clock that was set back makes news look fresh, no more.
 *
 * record: kind u8 1, info hash (20 bytes), seconds since 1970 of the last repetition u32 little-endian, the blob
 */
import { INFO_HASH_BYTES } from '@diskswarm/announce';
import { type Clock, DiskswarmError, fromHex, type Storage, toHex } from '@diskswarm/core';
import { MAX_BLOB_BYTES } from '@diskswarm/identity';
import { KeptLog } from './kept-log.ts';
import type { News, NewsBoard } from './news-board.ts';

const KIND = 1;
const SECONDS_AT = 1 + INFO_HASH_BYTES;
const BLOB_AT = SECONDS_AT + 4;
const LAST_SECOND = 2 ** 32 - 1;

export class NewsJournal {
  readonly #board: NewsBoard;
  readonly #log: KeptLog;

  private constructor(board: NewsBoard, log: KeptLog) {
    this.#board = board;
    this.#log = log;
  }

  /** Fills the empty `board` from the journal in `storage` and follows it from then on. STATE_VERSION for a newer one. */
  static async open(storage: Storage, board: NewsBoard, clock: Clock): Promise<NewsJournal> {
    const log = await KeptLog.open({
      storage,
      path: 'news.journal',
      kind: 'TRKNEWS1',
      maxRecordBytes: BLOB_AT + MAX_BLOB_BYTES,
      clock,
      onRecord: (record) => void board.restore(decode(record, secondsOf(clock))),
      snapshot: function* () {
        for (const news of board.all()) yield encode(news, secondsOf(clock));
      },
    });
    board.onChange = (infoHash) => {
      const news = board.news(infoHash);
      if (news === undefined) return;
      log.append(encode(news, secondsOf(clock)));
      log.sync();
    };
    return new NewsJournal(board, log);
  }

  /** Whether what is taken is being kept. */
  get ok(): boolean {
    return this.#log.ok;
  }

  /** Makes all of it durable and closes. Idempotent. */
  async close(): Promise<void> {
    this.#board.onChange = null;
    await this.#log.close();
  }
}

function secondsOf(clock: Clock): number {
  return Math.floor(clock.wallMs() / 1000);
}

function encode({ infoHash, blob, ageSeconds }: News, nowSeconds: number): Uint8Array {
  const record = Buffer.alloc(BLOB_AT + blob.length);
  record[0] = KIND;
  record.set(fromHex(infoHash), 1);
  record.writeUInt32LE(Math.min(Math.max(0, nowSeconds - ageSeconds), LAST_SECOND), SECONDS_AT);
  record.set(blob, BLOB_AT);
  return record;
}

/** What was overtaken, or is too old, is no news any more; FORMAT_INVALID is for what was never a record. */
function decode(record: Uint8Array, nowSeconds: number): News {
  if (record.length <= BLOB_AT || record[0] !== KIND)
    throw new DiskswarmError('FORMAT_INVALID', "the tracker's news: a malformed record", { data: { what: 'news' } });
  const repeatedAt = new DataView(record.buffer, record.byteOffset + SECONDS_AT, 4).getUint32(0, true);
  return {
    infoHash: toHex(record.subarray(1, SECONDS_AT)),
    blob: record.subarray(BLOB_AT),
    ageSeconds: Math.max(0, nowSeconds - repeatedAt),
  };
}
