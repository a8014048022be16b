/** One line for a whole lab: hosts that join by a token with the shipped command, beside one that comes too late. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { pattern } from './nbd.ts';
import { eventually, Host, type Json, temporaryFolder } from './processes.ts';

test('hosts join by a token until it is used up or taken back, and the roster names them', async (t) => {
  const folder = temporaryFolder(t);
  const [home, ...labs] = ['home', 'lab-1', 'lab-2', 'lab-3'].map((name) => new Host(t, folder, name)) as [
    Host,
    ...Host[],
  ];
  const [one, two, three] = labs as [Host, Host, Host];
  const image = path.join(folder, 'image.raw');
  fs.writeFileSync(image, pattern(1024 * 1024, 1));
  await Promise.all([home.start(), ...labs.map((lab) => lab.start()), home.ok('owner', 'init')]);
  await home.ok('disk', 'import', image, '--name', 'template');
  const grant = ['disk', 'grant', 'template', '--token'];
  for (const wrong of [
    grant,
    [...grant, '--uses', '0'],
    [...grant, '--uses', '2', '--role', 'writer'],
    grant.slice(0, 3),
  ])
    t.is((await home.run(wrong)).exitCode, 2, wrong.join(' '));
  const { line, token, uses } = await home.ok(...grant, '--uses', '2', '--expires', '2h');
  t.is(uses, 2);
  // Both at once: each gets a use of its own.
  await Promise.all([one.ok('disk', 'join', String(line)), two.ok('disk', 'join', String(line), '--name', 'mine')]);
  const late = await three.run(['disk', 'join', String(line)]);
  t.deepEqual([late.exitCode, late.errorCode], [1, 'TOKEN_REFUSED']);
  t.regex(String(late.errorMessage), /all its uses are taken/);
  const members = (await home.ok('disk', 'members', 'template')).members as Json[];
  t.deepEqual(
    members
      .filter((member) => member.token === token)
      .map(({ hostId, use, role }) => [hostId, use, role])
      .sort(),
    [one, two].map(({ id }) => [id, members.find(({ hostId }) => hostId === id)?.use, 'reader']).sort(),
  );
  await one.ok('disk', 'pull', 'template');
  await eventually('the first host knows the second', async () =>
    ((await one.ok('disk', 'members', 'template')).members as Json[]).some(({ hostId }) => hostId === two.id),
  );
  const second = await home.ok(...grant, '--uses', '5');
  await home.ok('disk', 'revoke', 'template', '--token', String(second.token));
  const revoked = await three.run(['disk', 'join', String(second.line)]);
  t.deepEqual([revoked.exitCode, revoked.errorCode], [1, 'TOKEN_REFUSED']);
  t.regex(String(revoked.errorMessage), /taken back/);
  // An agent that starts again knows what was used.
  await home.stop();
  await home.start();
  const again = await home.ok(...grant, '--uses', '1', '--role', 'keeper');
  t.is((await three.ok('disk', 'join', String(again.line))).role, 'keeper');
});

test('a line that is copied lets in no more hosts than its uses, and nobody back who was revoked', async (t) => {
  const folder = temporaryFolder(t);
  const [home, one, two, three] = ['home', 'lab-1', 'lab-2', 'lab-3'].map((name) => new Host(t, folder, name)) as [
    Host,
    Host,
    Host,
    Host,
  ];
  const image = path.join(folder, 'image.raw');
  fs.writeFileSync(image, pattern(1024 * 1024, 1));
  await Promise.all([home, one, two, three].map((host) => host.start()));
  await home.ok('owner', 'init');
  await home.ok('disk', 'import', image, '--name', 'template');
  const { line, token } = await home.ok('disk', 'grant', 'template', '--token', '--uses', '2');
  const join = ['disk', 'join', String(line)];
  const members = async (): Promise<string[]> =>
    ((await home.ok('disk', 'members', 'template')).members as Json[])
      .filter((member) => member.token === token)
      .map(({ hostId }) => String(hostId));
  await one.ok(...join);
  // The same host again, with a copy of the line: its use counts once.
  await one.ok('disk', 'rm', 'template', '--force');
  await one.ok(...join);
  await two.ok(...join);
  t.deepEqual((await members()).sort(), [one.id, two.id].sort());
  // One after the other: at once, the second would meet the name that the first has taken for the time being.
  for (const attempt of [1, 2]) t.is((await three.run(join)).errorCode, 'TOKEN_REFUSED', `attempt ${attempt}`);
  // A copy with another role, or another number of uses, is no token: the owner signed it as it is.
  const middle = String(line).length >> 1;
  const altered = `${String(line).slice(0, middle)}${String(line)[middle] === 'A' ? 'B' : 'A'}${String(line).slice(middle + 1)}`;
  t.is((await three.run(['disk', 'join', altered])).errorCode, 'INVITATION_INVALID');
  t.deepEqual((await three.ok('disk', 'ls')).disks, []);
  await home.ok('disk', 'revoke', 'template', '--host', one.id);
  await one.ok('disk', 'rm', 'template', '--force');
  const back = await one.run(join);
  t.deepEqual([back.exitCode, back.errorCode], [1, 'TOKEN_REFUSED']);
  t.regex(back.errorMessage, /revoked/);
  await two.ok('disk', 'pull', 'template');
});
