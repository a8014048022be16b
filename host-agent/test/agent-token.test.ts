/** Hosts that come by a join token: agents in simulation, with crashes where it hurts most. */
import { toHex } from '@diskswarm/core';
import {
  createHostKeys,
  createTokenLine,
  grantToken,
  memberOf,
  newToken,
  revokeMember,
  revokeToken,
  type TokenRole,
} from '@diskswarm/identity';
import { createSimulation, SeededRandom } from '@diskswarm/sim';
import test, { type ExecutionContext } from 'ava';
import { NAME, never, OneHost } from './support/agent.ts';

const HOUR_MS = 3_600_000;

interface Lab {
  readonly home: OneHost;
  newcomer(name: string): Promise<OneHost>;
  /** Makes a token at home as its owner does. */
  token(uses: number, options?: { lifeMs?: number; role?: TokenRole }): Promise<string>;
}

async function withLab(seed: number, scenario: (lab: Lab) => Promise<void>): Promise<void> {
  const simulation = createSimulation(seed);
  await simulation.run(async () => {
    const home = new OneHost(simulation);
    const hosts = [home];
    await home.agent.start();
    await home.import((piece) => piece % 7);
    const { owner, genesis, random } = home.records;
    await scenario({
      home,
      newcomer: async (name) => {
        const host = new OneHost(simulation, name, createHostKeys(random));
        hosts.push(host);
        await host.agent.start();
        return host;
      },
      token: async (uses, { lifeMs = HOUR_MS, role = 'reader' } = {}) => {
        const { roster, secrets } = home.disk.records;
        const nowMs = home.machine.clock.wallMs();
        const redeemer = home.agent.env.hostId;
        const made = newToken({ genesis, redeemer, role, uses, expiresMs: nowMs + lifeMs }, random);
        const change = { genesis, roster, secret: secrets[0]!, token: made.token, nowMs };
        await home.disk.applyRoster(grantToken(change, owner, random).roster.bytes);
        const places = { trackers: [], addresses: ['home:7000'], name: NAME };
        return createTokenLine({ genesis, secret: made.secret, redeemer, ...places }, owner);
      },
    });
    for (const host of hosts) await host.agent.stop();
  });
}

const refusedAs = (t: ExecutionContext, reason: string, joining: Promise<unknown>): Promise<unknown> =>
  t.throwsAsync(joining, { code: 'TOKEN_REFUSED', message: /lets this host in no more/ }).then((error) => {
    t.is((error as unknown as { data: { reason: string } }).data.reason, reason);
  });

const comers = ({ disk }: OneHost): (number | undefined)[] =>
  disk.records.roster.members.filter(({ token }) => token !== undefined).map(({ token }) => token?.use);

test('one line lets several hosts in, each named in the roster; they read the disk, and the next is refused', (t) =>
  withLab(1, async ({ home, newcomer, token }) => {
    const line = await token(2);
    const [one, two, three] = [await newcomer('lab-1'), await newcomer('lab-2'), await newcomer('lab-3')];
    await one.agent.join(line, null);
    await two.agent.join(line, null);
    await refusedAs(t, 'used-up', three.agent.join(line, null));
    t.deepEqual(comers(home).sort(), [1, 2]);
    await one.disk.changed.until(() => one.disk.content.head !== null, never);
    await one.attach(true);
    t.is((await one.read(3))[0], 3);
    // Who came second is known to who came first, by way of home.
    const second = two.agent.env.hostId;
    await one.disk.changed.until(() => memberOf(one.disk.records.roster, second) !== null, never);
    const { members, tokens } = await home.handlers['disk.members']({ name: NAME }, { ...never, emit: () => {} });
    t.is(members.filter((member) => member.token === tokens[0]?.token).length, 2);
    t.like(tokens[0], { uses: 2, used: 2, state: 'used-up', role: 'reader' });
    // A refused newcomer has nothing of the disk, and may come by another token.
    t.deepEqual(three.agent.disks, []);
    await three.agent.join(await token(1, { role: 'keeper' }), null);
    t.is(three.disk.records.member?.role, 'keeper');
  }));

test('a host that comes again is the one that came: its use counts once, before and after the uses are up', (t) =>
  withLab(2, async ({ home, newcomer, token }) => {
    const line = await token(2);
    const [one, two] = [await newcomer('lab-1'), await newcomer('lab-2')];
    await one.agent.join(line, null);
    await one.agent.remove(one.disk, null);
    await one.agent.join(line, null);
    await two.agent.join(line, null);
    await two.agent.remove(two.disk, null);
    await two.agent.join(line, null);
    t.deepEqual(comers(home).sort(), [1, 2]);
  }));

test('expired, taken back, of a revoked host, and unknown tokens are refused with the reason', (t) =>
  withLab(3, async ({ home, newcomer, token }) => {
    const { owner, genesis, random } = home.records;
    const [one, two] = [await newcomer('lab-1'), await newcomer('lab-2')];
    await refusedAs(t, 'expired', one.agent.join(await token(3, { lifeMs: 0 }), null));
    const line = await token(3);
    await one.agent.join(line, null);
    const id = home.disk.records.roster.tokens.at(-1)!.id;
    const { roster, secrets } = home.disk.records;
    await home.disk.applyRoster(revokeToken({ genesis, roster, secret: secrets[0]!, id }, owner, random).roster.bytes);
    await refusedAs(t, 'revoked', two.agent.join(line, null));
    t.is(memberOf(home.disk.records.roster, one.agent.env.hostId)?.revoked, undefined);
    const fresh = await token(3);
    const host = one.agent.env.hostId;
    const after = { epoch: 1, sequence: 1 };
    const next = revokeMember({ genesis, roster: home.disk.records.roster, host, after }, owner, random).roster;
    await home.disk.applyRoster(next.bytes);
    await one.agent.remove(one.disk, null);
    await refusedAs(t, 'host-revoked', one.agent.join(fresh, null));
    // A token that no roster lists meets silence, like any stranger.
    const { secret } = newToken(
      { genesis, redeemer: home.agent.env.hostId, role: 'reader', uses: 1, expiresMs: 1 },
      random,
    );
    const places = { trackers: [], addresses: ['home:7000'], name: NAME };
    const unlisted = createTokenLine({ genesis, secret, redeemer: home.agent.env.hostId, ...places }, owner);
    await t.throwsAsync(two.agent.join(unlisted, null), { code: 'PEER_UNREACHABLE', message: /ask for a new token/ });
    t.false(JSON.stringify([...home.warnings, ...two.warnings]).includes(toHex(secret)));
  }));

for (const how of ['crash', 'power cut'] as const) {
  test(`a ${how} between count and answer, and any time: never a host more than the uses, never a use lost to who had it`, (t) =>
    withLab(4, async ({ home, newcomer, token }) => {
      const line = await token(3);
      const labs = [];
      for (let index = 0; index < 6; index++) labs.push(await newcomer(`lab-${index}`));
      const random = new SeededRandom(`crashes ${how}`);
      const waits = labs.map(() => 1 + random.below(60));
      for (const [index, lab] of labs.entries()) {
        const joining = lab.agent.join(line, null).then(
          () => true,
          () => false,
        );
        await new Promise<void>((resolve) => void home.machine.clock.setTimer(waits[index]!, resolve));
        await home.restart(how);
        await joining;
      }
      const counted = comers(home);
      t.true(counted.length <= 3, String(counted));
      t.is(new Set(counted).size, counted.length);
      // All come again: those who were let in and those who are let in now are three, and no more.
      for (const lab of labs) {
        if (lab.agent.disks.length === 0) await lab.agent.join(line, null).catch(() => {});
      }
      t.deepEqual(comers(home).sort(), [1, 2, 3]);
      t.is(labs.filter((lab) => lab.agent.disks.length > 0).length, 3);
    }));
}

test('the owner revokes another host while newcomers come: they are let in under the new secret', (t) =>
  withLab(5, async ({ home, newcomer, token }) => {
    const { owner, genesis, random, office } = home.records;
    const line = await token(5);
    const before = home.disk.records.roster;
    const [one, two] = [await newcomer('lab-1'), await newcomer('lab-2')];
    await one.agent.join(line, null);
    // Signed on a host that had not heard of the newcomer.
    const after = { epoch: 1, sequence: 1 };
    const { roster } = revokeMember({ genesis, roster: before, host: office.hostId, after }, owner, random);
    await home.disk.applyRoster(roster.bytes);
    const host = one.agent.env.hostId;
    await home.disk.changed.until(() => memberOf(home.disk.records.roster, host) !== null, never);
    await one.disk.changed.until(
      () => Buffer.compare(one.disk.records.secrets[0]!, home.disk.records.secrets[0]!) === 0,
      never,
    );
    await two.agent.join(line, null);
    t.deepEqual(comers(home).sort(), [1, 2]);
  }));
