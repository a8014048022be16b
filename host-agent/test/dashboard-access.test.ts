/** Who may read the dashboard: codes are good once and for ten minutes, sessions are bounded, and neither is guessed or reused. */
import { SeededRandom } from '@diskswarm/sim';
import test from 'ava';
import { DashboardAccess } from '../src/dashboard/access.ts';
import { TestClock } from './support/test-clock.ts';

function make(): { access: DashboardAccess; clock: TestClock } {
  const clock = new TestClock();
  return { access: new DashboardAccess(clock, new SeededRandom('7')), clock };
}

test('a code opens one session', (t) => {
  const { access } = make();
  const code = access.newCode();
  t.regex(code, /^[0-9a-f]{64}$/);
  const session = access.redeem(code);
  t.true(session !== null && session !== code && access.admits(session));
  t.is(access.redeem(code), null);
  t.false(access.admits(code));
});

test('codes nobody gave out, and empty ones, open nothing', (t) => {
  const { access } = make();
  access.newCode();
  for (const guess of ['', '0'.repeat(64), 'constructor']) {
    t.is(access.redeem(guess), null);
    t.false(access.admits(guess));
  }
});

test('a code is good for ten minutes', (t) => {
  const { access, clock } = make();
  const [early, late] = [access.newCode(), access.newCode()];
  clock.advance(599_000);
  t.not(access.redeem(early), null);
  clock.advance(1_000);
  t.is(access.redeem(late), null);
});

test('of many codes and sessions the oldest go', (t) => {
  const { access } = make();
  const codes = Array.from({ length: 17 }, () => access.newCode());
  t.is(access.redeem(codes[0]!), null);
  const sessions = codes.slice(1).map((code) => access.redeem(code)!);
  t.true(sessions.every((session) => access.admits(session)));
  for (let more = 0; more < 17; more++) access.redeem(access.newCode());
  t.false(access.admits(sessions[0]!));
  t.true(access.admits(sessions[15]!));
});
