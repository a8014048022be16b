/** What a fleet's boots came to: sums, words, and which outcomes count as failed. */
import test from 'ava';
import { type FleetHost, failureOf, outcomeOf, summaryText } from '../src/demo/fleet-summary.ts';
import { MIB } from './export-support/clients.ts';

const HOSTS: readonly FleetHost[] = [9, 10, 11, 10].map((touched, index) => ({
  name: `lab${index + 1}`,
  loginMs: 3_000 + index * 1_000,
  touchedBytes: touched * MIB,
  fromSeedBytes: 3 * MIB,
  fromOthersBytes: 8 * MIB,
}));

test('sums, and the share of one boot that the seed sent', (t) => {
  const outcome = outcomeOf(HOSTS);
  t.like(outcome, { hosts: 4, oneBootBytes: 10 * MIB, seedSentBytes: 12 * MIB, sharedBytes: 32 * MIB, share: 1.2 });
  t.is(failureOf(outcome), null);
  const text = summaryText(outcome, 2.5e6);
  t.regex(text, /lab1 +3\.0 s +9M +3M +8M\n/);
  t.regex(text, /one boot needs +10M +4\.2 s\n4 boots, each from the seed alone +40M +16\.8 s\n/);
  t.regex(text, /for these 4 +12M +5\.0 s\n.*32M\n\nthe seed sent 1\.20 × what one boot needs, for 4 boots$/);
});

test('a seed that sent too much, and a host that booted out of nowhere, are failures', (t) => {
  const greedy = HOSTS.map((host) => ({ ...host, fromSeedBytes: 5 * MIB }));
  t.regex(failureOf(outcomeOf(greedy)) ?? '', /2\.00 × what one boot needs/);
  for (const odd of [{ touchedBytes: 0 }, { fromSeedBytes: 0, fromOthersBytes: 0 }])
    t.regex(
      failureOf(outcomeOf([...HOSTS, { ...(HOSTS[0] as FleetHost), name: 'lab5', ...odd }])) ?? '',
      /^lab5 booted/,
    );
});
