/**
 * Scrape: the numbers of given swarms without joining them (BEP 48). A tracker of ours answers for named hashes only,
 * since a list of all swarms would tell strangers which exist.
 *
 * The answer's keys are raw hash bytes, which core's encoder cannot write: its texts are UTF-8.
 */
import { DiskswarmError, encodeCanonical, fromHex, toHex } from '@diskswarm/core';
import { INFO_HASH_BYTES, type InfoHash, withQuery } from './announce-request.ts';
import { readBencode } from './bencode-reader.ts';
import { MAX_RESPONSE_BYTES, MAX_SCRAPE_HASHES } from './limits.ts';
import { percentDecode, percentEncode } from './percent-bytes.ts';
import { invalid, type Query } from './query.ts';

/** The numbers of one swarm. */
export interface SwarmCounts {
  readonly seeders: number;
  readonly leechers: number;
  /** How often somebody completed it, as far as the tracker remembers. */
  readonly completed: number;
}

/** The hashes asked for, without repeats; INVALID_ARGUMENT when there is none, or one is malformed. */
export function parseScrapeRequest(query: Query): readonly InfoHash[] {
  const values = query.get('info_hash') ?? [];
  if (values.length === 0) throw invalid('info_hash', 'is missing: only named swarms are counted');
  if (values.length > MAX_SCRAPE_HASHES) throw invalid('info_hash', `is given more than ${MAX_SCRAPE_HASHES} times`);
  const hashes = values.map((value) => percentDecode(value));
  if (hashes.some((hash) => hash.length !== INFO_HASH_BYTES))
    throw invalid('info_hash', `is not ${INFO_HASH_BYTES} bytes`);
  return [...new Set(hashes.map(toHex))];
}

/** The URL to fetch; by convention the last "announce" of the path becomes "scrape". INVALID_ARGUMENT where there is none. */
export function buildScrapeUrl(announceUrl: string, infoHashes: readonly InfoHash[]): string {
  const at = announceUrl.lastIndexOf('/announce');
  if (at < 0) throw invalid('tracker', 'has no scrape: its path does not end in "announce"');
  const scrapeUrl = `${announceUrl.slice(0, at)}/scrape${announceUrl.slice(at + '/announce'.length)}`;
  return withQuery(
    scrapeUrl,
    infoHashes.map((hash) => `info_hash=${percentEncode(fromHex(hash))}`),
  );
}

/** The bytes of an answer. */
export function encodeScrapeResponse(counts: ReadonlyMap<InfoHash, SwarmCounts>): Uint8Array {
  const text = (latin1: string): Buffer => Buffer.from(latin1, 'latin1');
  const parts: Uint8Array[] = [text('d5:filesd')];
  for (const hash of [...counts.keys()].sort()) {
    const { seeders, leechers, completed } = counts.get(hash) as SwarmCounts;
    parts.push(text(`${INFO_HASH_BYTES}:`), fromHex(hash));
    parts.push(encodeCanonical({ complete: seeders, downloaded: completed, incomplete: leechers }));
  }
  return new Uint8Array(Buffer.concat([...parts, text('ee')]));
}

/** Reads an answer; FORMAT_INVALID when it is none, PEER_UNREACHABLE when the tracker refuses. */
export function parseScrapeResponse(bytes: Uint8Array): ReadonlyMap<InfoHash, SwarmCounts> {
  const body = readBencode(bytes, MAX_RESPONSE_BYTES);
  const files = body instanceof Map ? body.get('files') : undefined;
  if (!(files instanceof Map)) {
    const failure = body instanceof Map ? body.get('failure reason') : undefined;
    if (failure instanceof Uint8Array) {
      const reason = Buffer.from(failure.subarray(0, 300)).toString('utf8');
      throw new DiskswarmError('PEER_UNREACHABLE', `the tracker refuses: ${reason}`, { data: { reason } });
    }
    throw new DiskswarmError('FORMAT_INVALID', "the tracker's answer: no files", { data: { what: 'tracker answer' } });
  }
  const counts = new Map<InfoHash, SwarmCounts>();
  for (const [key, value] of files) {
    if (key.length !== INFO_HASH_BYTES || !(value instanceof Map)) continue;
    const count = (name: string): number => (typeof value.get(name) === 'number' ? Math.max(0, value.get(name)) : 0);
    counts.set(toHex(Buffer.from(key, 'latin1')), {
      seeders: count('complete'),
      leechers: count('incomplete'),
      completed: count('downloaded'),
    });
  }
  return counts;
}
