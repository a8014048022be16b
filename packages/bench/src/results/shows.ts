/** `shows.md` in a folder of runs: what the experiment shows, in a few sentences of a person, for the report and docs/BENCHMARKS.md. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const MAX_SHOWN_CHARS = 4000;

/** Empty when nobody wrote it. */
export async function readShows(path: string): Promise<string> {
  const text = await readFile(join(path, 'shows.md'), 'utf8').catch(() => '');
  return text.trim().slice(0, MAX_SHOWN_CHARS);
}
