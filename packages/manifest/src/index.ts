/**
 * @module manifest
 * The tree of 8 KiB pages that maps piece index to chunk id (design D2): building, changing, comparing, reading, and
 * verifying the pages of one path as they come from a peer.
 *
 * Leaves to others: where pages are kept (PageSource and PageSink: the store), who is trusted (identity), chunks' bytes.
 * Invariants: children are put before the page that names them; all-zero pages are never put or asked for.
 *
 * ```ts
 * const builder = new ManifestBuilder({ pieces: geometry.pieces, sink });
 * for await (const id of ids) await builder.add(id);
 * const root = await builder.finish();
 * const reader = new ManifestReader({ root, pieces: geometry.pieces, source });
 * const id = await reader.idOf(piece);
 * ```
 */
export * from './builder.ts';
export * from './compare.ts';
export * from './layout.ts';
export * from './page.ts';
export * from './page-ports.ts';
export * from './reader.ts';
export * from './update.ts';
export * from './verify-path.ts';
