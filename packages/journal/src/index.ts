/**
 * @module journal
 * One crash-safe, append-only journal: the host's metadata, the store's index and the overlay's maps are all kept in it.
 *
 * ```ts
 * const state = new Map();
 * const journal = await Journal.open(storage, 'meta.journal', { kind: 'HOSTMETA', maxRecordBytes: 65536, onRecord: (bytes) => apply(state, bytes) });
 * journal.append(record);   // survives the death of the process
 * await journal.sync();     // survives a power cut
 * ```
 */
export { FRAME_OVERHEAD_BYTES, JOURNAL_VERSION, MAX_RECORD_BYTES } from './format.ts';
export { Journal, type JournalOptions } from './journal.ts';
export { type ReplayOptions, replayJournal } from './replay.ts';
