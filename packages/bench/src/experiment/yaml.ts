/**
 * The seam for `yaml`: text in, plain values out, everything that YAML can do and an experiment does not need refused.
 *
 * Leaves the meaning of the values to read-experiment.ts. Aliases are refused, because a few bytes of them unfold to gigabytes.
 */
import { DiskswarmError } from '@diskswarm/core';
import { parseDocument } from 'yaml';

const MAX_EXPERIMENT_BYTES = 64 * 1024;

/** The one document in `text`. @throws DiskswarmError BAD_EXPERIMENT, with line and column where YAML itself is wrong */
export function parseYaml(text: string, place: string): unknown {
  if (Buffer.byteLength(text) > MAX_EXPERIMENT_BYTES) {
    throw new DiskswarmError('BAD_EXPERIMENT', `${place} is larger than ${MAX_EXPERIMENT_BYTES} bytes`);
  }
  const document = parseDocument(text, { schema: 'core', strict: true, uniqueKeys: true });
  const [fault] = document.errors;
  if (fault !== undefined) throw new DiskswarmError('BAD_EXPERIMENT', `${place} is not YAML: ${fault.message}`);
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    throw new DiskswarmError('BAD_EXPERIMENT', `${place} uses aliases, which an experiment cannot`, { cause: error });
  }
}
