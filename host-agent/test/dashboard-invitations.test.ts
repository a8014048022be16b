/** The desk where a page asks and an owner signs: nobody there, nobody answering, too many, and answers to nothing. */
import test from 'ava';
import { InvitationDesk } from '../src/dashboard/invitation-desk.ts';
import { TestClock } from './support/test-clock.ts';

const WANTED = { name: 'desk', hostId: 'ab', role: 'reader' } as const;

function signer(desk: InvitationDesk): { ids: number[]; leave: () => void; left: Promise<void> } {
  const ids: number[] = [];
  const over = new AbortController();
  const left = desk.sign((id) => ids.push(id), { signal: over.signal });
  return { ids, leave: () => over.abort(), left };
}

test('without a signer nobody waits', async (t) => {
  const desk = new InvitationDesk(new TestClock());
  t.false(desk.open);
  t.deepEqual(await desk.want(WANTED), { kind: 'absent' });
});

test('the signer that came last is asked, and the one before it once that has left', async (t) => {
  const clock = new TestClock();
  const desk = new InvitationDesk(clock);
  const [first, second] = [signer(desk), signer(desk)];
  const one = desk.want(WANTED);
  t.deepEqual([first.ids, second.ids], [[], [1]]);
  desk.signed(1, { kind: 'made', invitation: 'line' });
  t.deepEqual(await one, { kind: 'made', invitation: 'line' });
  t.is(clock.timers, 0);
  second.leave();
  await second.left;
  const two = desk.want(WANTED);
  t.deepEqual(first.ids, [2]);
  desk.signed(2, { kind: 'refused', reason: 'no' });
  t.deepEqual(await two, { kind: 'refused', reason: 'no' });
  first.leave();
  await first.left;
  t.false(desk.open);
});

test('what is not signed within a minute is refused, and an answer after that is to nothing', async (t) => {
  const clock = new TestClock();
  const desk = new InvitationDesk(clock);
  signer(desk);
  const wanted = desk.want(WANTED);
  clock.advance(60_000);
  t.deepEqual(await wanted, { kind: 'refused', reason: 'it was not signed within a minute' });
  t.throws(() => desk.signed(1, { kind: 'made', invitation: 'late' }), { code: 'INVALID_ARGUMENT' });
});

test('eight wait at most', async (t) => {
  const desk = new InvitationDesk(new TestClock());
  const { ids } = signer(desk);
  const waiting = Array.from({ length: 8 }, () => desk.want(WANTED));
  t.like(await desk.want(WANTED), { kind: 'refused' });
  t.is(ids.length, 8);
  for (const id of ids) desk.signed(id, { kind: 'made', invitation: `${id}` });
  t.deepEqual(
    (await Promise.all(waiting)).map((signed) => signed.kind === 'made' && signed.invitation),
    ids.map(String),
  );
});
