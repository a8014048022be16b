/**
 * `host id`, `peer ls | unban`, `store stats | verify`: this host, the others it knows, and its chunks.
 *
 * A host has its keys before its first agent runs: `host id` makes them, so that an invitation can be asked for right away.
 */
import { DiskswarmError, hasCode } from '@diskswarm/core';
import { FolderStorage, systemRandom } from '@diskswarm/core/system';
import type { Command } from 'commander';
import { loadHostKeys, readHostKeys } from '../../state/host-keys-file.ts';
import { openStateFolder, readVersion } from '../../state/state-folder.ts';
import { ask, askWithProgress, type CommandContext } from '../context.ts';
import { FailedResult } from '../output.ts';
import { parseHost } from '../parse.ts';
import type { Action } from '../program.ts';
import { countText, facts, rateText, sizeText, table } from '../words.ts';

export function registerHostCommands(program: Command, action: Action): void {
  const host = program.command('host').description('this host');
  host
    .command('id')
    .description('the id that others grant access to')
    .action(
      action<[]>(async (context) => {
        const hostId = await findHostId(context);
        context.output.result({ hostId }, hostId);
      }),
    );

  const peer = program.command('peer').description('other hosts');
  peer
    .command('ls')
    .description('the hosts this one is connected to, and those it banned')
    .action(
      action<[]>(async (context) => {
        const { peers } = await ask(context, 'peer.ls', {});
        const rows = peers.map(({ hostId, address, lanes, rates, disks, banned }) => [
          hostId.slice(0, 8),
          address,
          banned ? 'banned' : countText(lanes, 'lane'),
          rateText(rates.receiveBytesPerSecond),
          rateText(rates.sendBytesPerSecond),
          disks.join(' '),
        ]);
        const text = table(['HOST', 'ADDRESS', 'STATE', 'IN', 'OUT', 'DISKS'], rows);
        context.output.result({ peers }, peers.length === 0 ? 'no peers' : text);
      }),
    );
  peer
    .command('unban')
    .argument('<hostid>')
    .description('speak to a banned host again')
    .action(
      action<[string]>(async (context, [argument]) => {
        const hostId = parseHost('hostid', argument);
        const result = await ask(context, 'peer.unban', { hostId });
        context.output.result(result, result.unbanned ? 'no longer banned' : 'was not banned');
      }),
    );

  const store = program.command('store').description("this host's chunks");
  store
    .command('stats')
    .description('how much is stored')
    .action(
      action<[]>(async (context) => {
        const stats = await ask(context, 'store.stats', {});
        const { chunks, bytes, packs, packBytes, deadBytes } = stats;
        const text = facts([
          ['chunks', `${chunks}, ${sizeText(bytes)}`],
          ['packs', `${packs}, ${sizeText(packBytes)}`],
          ['dead', sizeText(deadBytes)],
        ]);
        context.output.result(stats, text);
      }),
    );
  store.command('verify').description('read every chunk and compare it with its id').action(action<[]>(verifyStore));
}

/** From the key file, which only its first reader writes; from the agent where one holds the folder and has no file yet. */
async function findHostId(context: CommandContext): Promise<string> {
  readVersion(context.stateDir);
  const storage = new FolderStorage(context.stateDir);
  const known = await readHostKeys(storage);
  if (known !== null) return known.hostId;
  try {
    const folder = await openStateFolder(context.stateDir);
    try {
      return (await loadHostKeys(storage, systemRandom)).hostId;
    } finally {
      folder.release();
    }
  } catch (error) {
    if (!hasCode(error, 'AGENT_ALREADY_RUNNING')) throw error;
    return (await ask(context, 'host.id', {})).hostId;
  }
}

/** The document has the counts also when chunks are damaged; then it has the error too, and the command fails. */
async function verifyStore(context: CommandContext): Promise<void> {
  const result = await askWithProgress(context, 'store.verify', {}, 'verify');
  const { chunks, bytes, corrupt } = result;
  if (corrupt.length > 0) {
    const why = `${countText(corrupt.length, 'chunk')} of ${chunks} damaged; they are fetched again when needed`;
    throw new FailedResult(result, new DiskswarmError('CHUNK_CORRUPT', why, { data: { count: corrupt.length } }));
  }
  context.output.result(result, `${countText(chunks, 'chunk')}, ${sizeText(bytes)}: all good`);
}
