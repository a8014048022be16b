/** Many waiters of one signal: all that still wait are told, once. */
import test from 'ava';
import { SharedAborts } from '../src/fetch/shared-aborts.ts';

test('an abort reaches those who wait, not those who stopped waiting or who wait for another signal', (t) => {
  const aborts = new SharedAborts();
  const [one, other] = [new AbortController(), new AbortController()];
  const told: string[] = [];
  aborts.on(one.signal, () => told.push('a'));
  const leave = aborts.on(one.signal, () => told.push('b'));
  aborts.on(one.signal, () => told.push('c'));
  aborts.on(other.signal, () => told.push('other'));
  leave();
  one.abort();
  t.deepEqual(told, ['a', 'c']);
});
