/** Where pages come from and go to; the store is both. Neither is ever called with the zero id. */
import type { PageId } from '@diskswarm/core';

export interface PageSource {
  /** Bytes that hash to `id` (the source verifies); rejects with CHUNK_NOT_FOUND where they are not to be had. The result is only read. */
  get(id: PageId): Promise<Uint8Array>;
}

export interface PageSink {
  /** Takes a page; the array passes to the sink. Its children were put before. */
  put(id: PageId, page: Uint8Array): Promise<void>;
}
