/** What a background fetch leaves to everything else that the agent does. */
import type { PieceIndex } from '@diskswarm/core';
import test from 'ava';
import { BackgroundFetch } from '../src/agent/background-fetch.ts';
import type { GenerationView } from '../src/agent/generation-view.ts';
import type { PieceChunks } from '../src/agent/piece-chunks.ts';

const PIECES = 300;

test('the first pieces are on their way before the last are asked for', async (t) => {
  let asked = 0;
  const arrived = Promise.withResolvers<void>();
  const chunks = {
    ensure: () => {
      asked++;
      return arrived.promise;
    },
  } as unknown as PieceChunks;
  const view = {
    leaves: 1,
    piecesTotal: PIECES,
    missingIn: async () => Array.from({ length: PIECES }, (_, piece) => ({ piece: piece as PieceIndex })),
  } as unknown as GenerationView;
  const running = new BackgroundFetch(chunks, view, () => 0).run([], async () => {});
  const askedAtFirstTurn = await new Promise<number>((resolve) => setImmediate(() => resolve(asked)));
  t.true(askedAtFirstTurn > 0 && askedAtFirstTurn < PIECES / 4, `${askedAtFirstTurn}`);
  arrived.resolve();
  await running;
  t.is(asked, PIECES);
});
