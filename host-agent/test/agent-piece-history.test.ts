/** What is remembered of pieces that changed: the last chunk that was here, and how often they changed during a move. */
import { type ChunkId, type GenerationId, ID_BYTES, idToBytes, PAGE_BYTES, type PieceIndex } from '@diskswarm/core';
import type { LeafChange } from '@diskswarm/manifest';
import test from 'ava';
import type { GenerationView } from '../src/agent/generation-view.ts';
import { PieceHistory } from '../src/agent/piece-history.ts';

const id = (digit: string): ChunkId => digit.repeat(64) as ChunkId;
const piece = (value: number): PieceIndex => value as PieceIndex;

/** A view by what of it is here, under a name: of rounds it begins with an r. */
const view = (name: string, ...here: number[]): GenerationView =>
  ({
    subject: { generation: name as GenerationId },
    has: (each: number) => here.includes(each),
  }) as unknown as GenerationView;

/** A leaf with these ids in its first slots; a dot is a zero piece. */
function page(ids: string): Uint8Array {
  const bytes = new Uint8Array(PAGE_BYTES);
  for (const [slot, digit] of [...ids].entries()) if (digit !== '.') bytes.set(idToBytes(id(digit)), slot * ID_BYTES);
  return bytes;
}
const change = (before: string, after: string, leaf = 0): LeafChange[] => [
  { leaf, before: page(before), after: page(after) },
];

test('the base of a piece is the last chunk that was here in its place', (t) => {
  const history = new PieceHistory((generation) => generation.startsWith('r'));
  // Piece 0 was here, 1 was not, 2 was zero, 3 did not change, 4 is here already.
  history.moved(view('g1', 0, 3, 4), view('g2', 3, 4), change('ab.cd', 'ef1c2'));
  t.deepEqual(
    [0, 1, 2, 3, 4].map((each) => history.baseOf(piece(each))),
    [id('a'), null, null, null, null],
  );
  // The chunk of generation 2 did not come before 3: the one of generation 1 is still the one that is here.
  history.moved(view('g2', 3, 4), view('g3', 3, 4), change('ef1c2', '3f1c2'));
  t.is(history.baseOf(piece(0)), id('a'));
  history.moved(view('g3', 0, 3, 4), view('g4', 3, 4), change('3f1c2', '4f1c2'));
  t.is(history.baseOf(piece(0)), id('3'));
  // It came: what stood there before is of no use any more.
  history.moved(view('g4', 0, 3, 4), view('g5', 0, 3, 4), change('4f1c2', '4f1c5', 1));
  t.is(history.baseOf(piece(0)), null);
});

test('changes are counted from round to round, and no longer than the move', (t) => {
  const history = new PieceHistory((generation) => generation.startsWith('r'));
  history.moved(view('g1'), view('r1'), change('aa', 'bb'));
  history.moved(view('r1'), view('r2'), change('bb', 'cb'));
  t.deepEqual(
    [0, 1, 2].map((each) => history.changesOf(piece(each))),
    [2, 1, 0],
  );
  history.moved(view('r2'), view('g2'), change('cb', 'db'));
  t.is(history.changesOf(piece(0)), 0);
});

test('no more pieces are remembered than there is room for', (t) => {
  const history = new PieceHistory(() => true);
  const leaves = 300;
  const all = Array.from({ length: leaves }, (_, leaf) => change('a'.repeat(256), 'b'.repeat(256), leaf)[0]!);
  const before = { ...view('g1'), has: () => true } as unknown as GenerationView;
  history.moved(before, view('r1'), all);
  const known = Array.from({ length: leaves * 256 }, (_, each) => history.baseOf(piece(each))).filter(
    (base) => base !== null,
  );
  t.is(known.length, 65_536);
  t.is(history.changesOf(piece(leaves * 256 - 1)), 0);
});
