/** Pages in a map that counts what is read and checks what sources and sinks are promised. */
import { blake3, type ChunkId, DiskswarmError, PAGE_BYTES, type PageId, toHex, ZERO_ID } from '@diskswarm/core';
import { type PageSink, type PageSource, pageIdOf } from '../src/index.ts';

export class MemoryPages implements PageSource, PageSink {
  readonly pages = new Map<PageId, Uint8Array>();
  reads = 0;
  puts = 0;

  async get(id: PageId): Promise<Uint8Array> {
    if (id === ZERO_ID) throw new Error('asked for the zero page');
    this.reads++;
    const page = this.pages.get(id);
    if (page === undefined) throw new DiskswarmError('CHUNK_NOT_FOUND', `no page ${id}`, { data: { id } });
    return page;
  }

  async put(id: PageId, page: Uint8Array): Promise<void> {
    if (id === ZERO_ID || pageIdOf(page) !== id || page.length !== PAGE_BYTES) throw new Error('put a wrong page');
    this.puts++;
    this.pages.set(id, page);
  }
}

/** Some id that is not zero, different for every `number`. */
export function fakeId(number: number): ChunkId {
  return toHex(blake3(Buffer.from(`chunk ${number}`))) as ChunkId;
}

/** Everything an async iterable yields. */
export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}
