/**
 * The value of an option of QEMU, `key=value,key=value` or JSON, as pairs in order. Pure.
 *
 * A comma inside a value is doubled. JSON is flattened to dotted keys, which QEMU takes for the same thing.
 * Source: QEMU's util/keyval.c and docs/interop (7.2).
 */

/** In order; a flag has the value null. */
export type OptionPairs = readonly (readonly [key: string, value: string | null])[];

/** `implied`: the key of a first item that has none. Null where JSON is malformed, or holds what dotted keys cannot say. */
export function parsePairs(text: string, implied?: string): OptionPairs | null {
  if (text.startsWith('{')) return fromJson(text);
  return splitItems(text).map((item, index) => {
    const equals = item.indexOf('=');
    if (equals >= 0) return [item.slice(0, equals), item.slice(equals + 1)];
    return index === 0 && implied !== undefined ? [implied, item] : [item, null];
  });
}

export function formatPairs(pairs: OptionPairs): string {
  return pairs.map(([key, value]) => (value === null ? key : `${key}=${value.replaceAll(',', ',,')}`)).join(',');
}

/** The last value of a key, which is the one that counts. */
export function lastOf(pairs: OptionPairs, key: string): string | null {
  return pairs.findLast(([each]) => each === key)?.[1] ?? null;
}

function splitItems(text: string): string[] {
  return (text.match(/(?:[^,]|,,)+/g) ?? []).map((item) => item.replaceAll(',,', ','));
}

function fromJson(text: string): OptionPairs | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const pairs: [string, string][] = [];
  return flatten(value, '', pairs) ? pairs : null;
}

/** False for what dotted keys cannot say. */
function flatten(value: unknown, key: string, pairs: [string, string][]): boolean {
  if (typeof value === 'string' || typeof value === 'number') pairs.push([key, String(value)]);
  else if (typeof value === 'boolean') pairs.push([key, value ? 'on' : 'off']);
  else if (typeof value !== 'object' || value === null) return false;
  else return Object.entries(value).every(([name, each]) => flatten(each, key === '' ? name : `${key}.${name}`, pairs));
  return true;
}
