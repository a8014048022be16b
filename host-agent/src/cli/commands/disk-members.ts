/**
 * `disk import | grant | revoke | members | join`: making a disk and deciding which hosts may have it.
 *
 * Import, grant and revoke are signed here with the owner's key. The agent is asked first, so that nobody types a passphrase
 * for something that cannot work.
 */
import { DEFAULT_CHUNK_BYTES, DiskswarmError, type HostId, parseTokenId, type TokenId } from '@diskswarm/core';
import { MAX_INVITATION_CHARS, MAX_TOKEN_USES, type Role } from '@diskswarm/identity';
import type { Command } from 'commander';
import { ask, askWithProgress, type CommandContext } from '../context.ts';
import { detectImage } from '../image-format.ts';
import { membersText } from '../member-words.ts';
import { grantByToken, grantHost, newDiskRecords, revokeByToken, revokeHost } from '../owner-records.ts';
import { openOwner } from '../owner-store.ts';
import { parseChoice, parseChunkSize, parseCount, parseDuration, parseHost, parseName } from '../parse.ts';
import type { Action } from '../program.ts';
import { countText, sizeText } from '../words.ts';

interface GrantOptions {
  readonly host?: HostId;
  readonly token?: boolean;
  readonly uses?: number;
  /** Milliseconds. */
  readonly expires: number;
  readonly role: Role;
}

interface ImportOptions {
  readonly name: string;
  readonly chunkSize: number;
  readonly file?: string;
}

/** Of a token, unless told otherwise. */
const TOKEN_LIFE = '7d';
const ROLES: readonly Role[] = ['reader', 'writer', 'keeper'];

export function registerDiskMemberCommands(disk: Command, action: Action): void {
  disk
    .command('import')
    .argument('<file>', 'a raw or qcow2 image, an nbd:// or nbd+unix:// URI, a .torrent file or a magnet link')
    .requiredOption('--name <name>', 'what to call the disk here', parseName)
    .addOption(
      disk
        .createOption('--chunk-size <size>', 'a power of two from 16K to 1M')
        .argParser(parseChunkSize)
        .default(DEFAULT_CHUNK_BYTES, '64K'),
    )
    .option('--file <path>', 'the file to take of a torrent that has several')
    .description('make a disk of an image; this host owns it')
    .action(action<[string], ImportOptions>(importDisk));

  disk
    .command('grant')
    .argument('<name>')
    .option('--host <hostid>', 'the id that the other host prints with "host id"', (text) => parseHost('host', text))
    .option('--token', 'for whoever has the line, instead of one host; with --uses')
    .option('--uses <count>', 'so many hosts may come by the token, 1 to 1000', parseUses)
    .addOption(
      disk
        .createOption('--expires <time>', 'how long the token is good: 30m, 12h, 7d')
        .argParser(parseLife)
        .default(parseLife(TOKEN_LIFE), TOKEN_LIFE),
    )
    .option(
      '--role <role>',
      'reader, writer (may take the disk) or keeper',
      (text) => parseChoice('role', text, ROLES),
      'reader',
    )
    .description('let another host have the disk, and print an invitation for it; or print a token for several')
    .action(
      action<[string], GrantOptions>(async (context, [argument], options) => {
        const name = parseName(argument);
        const { host, role } = options;
        if (options.token === true) return grantToken(context, name, options);
        if (host === undefined || options.uses !== undefined) throw whom();
        const view = await ask(context, 'disk.ownerView', { name });
        const granted = grantHost(view, await openOwner(context), { host, role, name });
        const { invitation, rosterBundle, rosterSequence } = granted;
        if (rosterBundle !== null) await ask(context, 'disk.applyRoster', { name, rosterBundle });
        context.output.result({ name, hostId: host, role, rosterSequence, invitation }, invitation);
      }),
    );

  disk
    .command('revoke')
    .argument('<name>')
    .option('--host <hostid>', 'the host', (text) => parseHost('host', text))
    .option('--token <id>', 'a token: nobody comes by it any more, who did stays', parseTokenId)
    .description('take the disk away from a host: it learns nothing of what comes later; or take a token back')
    .action(
      action<[string], { host?: HostId; token?: TokenId }>(async (context, [argument], { host, token }) => {
        const name = parseName(argument);
        if (token !== undefined && host === undefined) return revokeToken(context, name, token);
        if (host === undefined || token !== undefined) throw whom();
        const view = await ask(context, 'disk.ownerView', { name });
        const { rosterBundle, rosterSequence } = revokeHost(view, await openOwner(context), host);
        await ask(context, 'disk.applyRoster', { name, rosterBundle });
        const text = `${host.slice(0, 8)} is revoked from ${name}; the other hosts learn it when they next meet one that knows`;
        context.output.result({ name, hostId: host, revoked: true, rosterSequence }, text);
      }),
    );

  disk
    .command('members')
    .argument('<name>')
    .description('the hosts that have the disk, and its tokens')
    .action(
      action<[string]>(async (context, [argument]) => {
        const info = await ask(context, 'disk.members', { name: parseName(argument) });
        context.output.result(info, membersText(info));
      }),
    );

  disk
    .command('join')
    .argument('<invitation>', 'the line that "disk grant" printed, a token too, or - to read it from stdin')
    .option('--name <name>', 'what to call the disk here, if not as the inviter does', parseName)
    .description('get a disk this host was invited to, or has a token for')
    .action(
      action<[string], { name?: string }>(async (context, [argument], { name }) => {
        const invitation = argument === '-' ? await readLine() : argument;
        if (invitation === '')
          throw new DiskswarmError('INVITATION_INVALID', 'there is no invitation on stdin', {
            data: { reason: 'incomplete' },
          });
        if (invitation.length > MAX_INVITATION_CHARS) throw tooLong();
        const info = await ask(context, 'disk.join', { invitation, name: name ?? null });
        context.output.result(
          info,
          `${info.name}: ${sizeText(info.sizeBytes)}, generation ${info.sequence}, as ${info.role}`,
        );
      }),
    );
}

async function importDisk(context: CommandContext, [file]: [string], options: ImportOptions): Promise<void> {
  const { name, chunkSize } = options;
  const image = detectImage(file);
  if (options.file !== undefined && image.format !== 'torrent') {
    const why = '--file names a file of a torrent: it goes with a .torrent file or a magnet link';
    throw new DiskswarmError('INVALID_ARGUMENT', why, { data: { field: 'file' } });
  }
  const { disks } = await ask(context, 'disk.ls', {});
  if (disks.some((disk) => disk.name === name)) {
    throw new DiskswarmError('NAME_EXISTS', `this host has a disk named ${name}; choose another --name`, {
      data: { name },
    });
  }
  const { hostId } = await ask(context, 'host.id', {});
  const { genesis, rosterBundle, grant } = newDiskRecords(await openOwner(context), hostId as HostId, chunkSize);
  const params = {
    path: image.location,
    format: image.format,
    ...(options.file === undefined ? {} : { file: options.file }),
    name,
    chunkSizeBytes: chunkSize,
    records: { genesis, rosterBundle, grant },
  };
  if (image.format === 'torrent')
    context.output.note('looking for hosts that have the torrent; what arrived is kept when this is given up');
  const info = await askWithProgress(context, 'disk.import', params, `import ${name}`);
  const { sizeBytes, importedBytes, newBytes } = info;
  context.output.result(
    info,
    `${name}: ${sizeText(sizeBytes)}, ${sizeText(importedBytes)} of data, ${sizeText(newBytes)} new here`,
  );
}

async function grantToken(context: CommandContext, name: string, options: GrantOptions): Promise<void> {
  const { role, uses, expires: lifeMs } = options;
  if (uses === undefined || options.host !== undefined) throw whom();
  if (role === 'writer')
    throw new DiskswarmError(
      'INVALID_ARGUMENT',
      'role: a token makes readers or keepers; a writer is named with --host',
      {
        data: { field: 'role' },
      },
    );
  const view = await ask(context, 'disk.ownerView', { name });
  const redeemer = (await ask(context, 'host.id', {})).hostId as HostId;
  const granted = grantByToken(view, await openOwner(context), { redeemer, role, uses, lifeMs, name });
  const { rosterBundle, rosterSequence, line, token } = granted;
  await ask(context, 'disk.applyRoster', { name, rosterBundle });
  const expires = new Date(token.expiresMs).toISOString();
  const document = { name, token: token.id, role, uses, expires, redeemerHostId: redeemer, rosterSequence, line };
  context.output.note(
    `token ${token.id} of ${name}: ${countText(uses, 'host')} may come by it until ${expires}, while this host's agent runs`,
  );
  context.output.result(document, line);
}

async function revokeToken(context: CommandContext, name: string, token: TokenId): Promise<void> {
  const view = await ask(context, 'disk.ownerView', { name });
  const { rosterBundle, rosterSequence } = revokeByToken(view, await openOwner(context), token);
  await ask(context, 'disk.applyRoster', { name, rosterBundle });
  context.output.result({ name, token, revoked: true, rosterSequence }, `nobody comes by token ${token} any more`);
}

function whom(): DiskswarmError {
  return new DiskswarmError(
    'INVALID_ARGUMENT',
    'say whom: either --host HOSTID, or a token (to grant one: --token --uses N)',
    {
      data: { field: 'host' },
    },
  );
}

function parseUses(text: string): number {
  const uses = parseCount('uses', text);
  if (uses <= MAX_TOKEN_USES) return uses;
  throw new DiskswarmError('INVALID_ARGUMENT', `uses: a token lets at most ${MAX_TOKEN_USES} hosts in`, {
    data: { field: 'uses' },
  });
}

function parseLife(text: string): number {
  return parseDuration('expires', text);
}

/** What stands on stdin, without white space around it. */
async function readLine(): Promise<string> {
  let text = '';
  process.stdin.setEncoding('utf8');
  for await (const chunk of process.stdin) {
    text += chunk;
    if (text.length > 2 * MAX_INVITATION_CHARS) throw tooLong();
  }
  return text.trim();
}

function tooLong(): DiskswarmError {
  return new DiskswarmError('INVITATION_INVALID', 'this is too long for an invitation', {
    data: { reason: 'too-long' },
  });
}
