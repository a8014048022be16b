/**
 * Where an invitation or a token sends its host: trackers, addresses of the inviter, and a name for the disk.
 *
 * Bounded in number and length, and checked when made and when read, because a line is pasted from anywhere.
 */
import { DiskswarmError, parseAddress, RecordReader } from '@diskswarm/core';
import { MAX_INVITATION_PLACES } from './limits.ts';
import { NAME_PATTERN } from './names.ts';

const MAX_PLACE_BYTES = 512;

export interface Places {
  /** Announce URLs, at most 16. */
  readonly trackers: readonly string[];
  /** `host:port` of the inviter, at most 16. */
  readonly addresses: readonly string[];
  /** Suggested name for the disk. */
  readonly name: string;
}

/** INVALID_ARGUMENT unless all of it can be put into a line. */
export function checkPlaces({ trackers, addresses, name }: Places): void {
  for (const address of addresses) parseAddress(address);
  const places = [...trackers, ...addresses];
  const tooMany = trackers.length > MAX_INVITATION_PLACES || addresses.length > MAX_INVITATION_PLACES;
  if (tooMany || places.some((place) => Buffer.byteLength(place) > MAX_PLACE_BYTES) || !NAME_PATTERN.test(name)) {
    throw new DiskswarmError(
      'INVALID_ARGUMENT',
      'an invitation names at most 16 trackers and addresses, and a valid disk name',
    );
  }
  for (const tracker of trackers) {
    if (!URL.canParse(tracker))
      throw new DiskswarmError('INVALID_ARGUMENT', `"${tracker.slice(0, 80)}" is no tracker URL`);
  }
}

/** The places in a record of kind `what`, checked. */
export function readPlaces(reader: RecordReader, what: string): Places {
  const texts = (key: string): string[] =>
    reader
      .list(key, MAX_INVITATION_PLACES)
      .map((item) => new RecordReader({ item }, what, ['item']).text('item', MAX_PLACE_BYTES));
  const places = { trackers: texts('trackers'), addresses: texts('addresses'), name: reader.text('name', 64) };
  checkPlaces(places);
  return places;
}
