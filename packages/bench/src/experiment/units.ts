/** The quantities of an experiment file, with the units that people write and the bounds that a testbed can keep. */
import { quantity } from './fields.ts';

const KBIT = 1e3;

/** Bits per second. */
export const rate = quantity(
  { 'kbit/s': KBIT, 'Mbit/s': KBIT * 1e3, 'Gbit/s': KBIT * 1e6 },
  { least: 64 * KBIT, most: 10 * KBIT * 1e6, what: 'a rate from 64 kbit/s to 10 Gbit/s, like "20 Mbit/s"' },
);

/** Milliseconds. */
export const roundTrip = quantity(
  { ms: 1, s: 1000 },
  { least: 0, most: 2000, what: 'a round trip from "0 ms" to "2 s"' },
);

/** Milliseconds, one way. */
export const delay = quantity({ ms: 1, s: 1000 }, { least: 0, most: 1000, what: 'a delay from "0 ms" to "1 s"' });

/** A share from 0 to 1. */
export const loss = quantity({ '%': 0.01 }, { least: 0, most: 0.2, what: 'a loss from "0 %" to "20 %"' });

/** MiB. */
export const mebibytes = quantity(
  { MiB: 1, GiB: 1024 },
  { least: 8, most: 1024 * 1024, what: 'a size from 8 MiB to 1024 GiB, like "256 MiB"' },
);

/** Seconds. */
export const seconds = quantity(
  { s: 1, min: 60, h: 3600 },
  { least: 10, most: 24 * 3600, what: 'a time from "10 s" to "24 h"' },
);
