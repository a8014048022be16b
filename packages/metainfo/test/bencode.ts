/** Bencode for tests, as simple as it can be: keys of dictionaries sorted. */

export type Value = number | string | Buffer | readonly Value[] | { readonly [key: string]: Value };

export function bencode(value: Value): Buffer {
  if (typeof value === 'number') return Buffer.from(`i${value}e`);
  if (typeof value === 'string') return bencode(Buffer.from(value));
  if (Buffer.isBuffer(value)) return Buffer.concat([Buffer.from(`${value.length}:`), value]);
  const parts = Array.isArray(value)
    ? value.map(bencode)
    : Object.entries(value)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .flatMap(([key, item]) => [bencode(key), bencode(item as Value)]);
  return Buffer.concat([Buffer.from(Array.isArray(value) ? 'l' : 'd'), ...parts, Buffer.from('e')]);
}
