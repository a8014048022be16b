/**
 * `disk import | grant | revoke | join`: making a disk and deciding which hosts may have it.
 *
 * Import, grant and revoke are signed here with the owner's key. The agent is asked first, so that nobody types a passphrase
 * for something that cannot work.
 */
import { DEFAULT_CHUNK_BYTES, DiskswarmError, type HostId } from '@diskswarm/core';
import { MAX_INVITATION_CHARS, type Role } from '@diskswarm/identity';
import type { Command } from 'commander';
import { ask, askWithProgress, type CommandContext } from '../context.ts';
import { detectImage } from '../image-format.ts';
import { grantHost, newDiskRecords, revokeHost } from '../owner-records.ts';
import { openOwner } from '../owner-store.ts';
import { parseChoice, parseChunkSize, parseHost, parseName } from '../parse.ts';
import type { Action } from '../program.ts';
import { sizeText } from '../words.ts';

const ROLES: readonly Role[] = ['reader', 'writer', 'keeper'];

export function registerDiskMemberCommands(disk: Command, action: Action): void {
  disk
    .command('import')
    .argument('<file>', 'a raw or qcow2 image, or an nbd:// or nbd+unix:// URI')
    .requiredOption('--name <name>', 'what to call the disk here', parseName)
    .option('--chunk-size <size>', 'a power of two from 16K to 1M', parseChunkSize, DEFAULT_CHUNK_BYTES)
    .description('make a disk of an image; this host owns it')
    .action(action<[string], { name: string; chunkSize: number }>(importDisk));

  disk
    .command('grant')
    .argument('<name>')
    .requiredOption('--host <hostid>', 'the id that the other host prints with "host id"', (text) =>
      parseHost('host', text),
    )
    .option(
      '--role <role>',
      'reader, writer (may take the disk) or keeper',
      (text) => parseChoice('role', text, ROLES),
      'reader',
    )
    .description('let another host have the disk, and print an invitation for it')
    .action(
      action<[string], { host: HostId; role: Role }>(async (context, [argument], { host, role }) => {
        const name = parseName(argument);
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
    .requiredOption('--host <hostid>', 'the host', (text) => parseHost('host', text))
    .description('take the disk away from a host: it learns nothing of what comes later')
    .action(
      action<[string], { host: HostId }>(async (context, [argument], { host }) => {
        const name = parseName(argument);
        const view = await ask(context, 'disk.ownerView', { name });
        const { rosterBundle, rosterSequence } = revokeHost(view, await openOwner(context), host);
        await ask(context, 'disk.applyRoster', { name, rosterBundle });
        const text = `${host.slice(0, 8)} is revoked from ${name}; the other hosts learn it when they next meet one that knows`;
        context.output.result({ name, hostId: host, revoked: true, rosterSequence }, text);
      }),
    );

  disk
    .command('join')
    .argument('<invitation>', 'the line that "disk grant" printed, or - to read it from stdin')
    .option('--name <name>', 'what to call the disk here, if not as the inviter does', parseName)
    .description('get a disk this host was invited to')
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

async function importDisk(
  context: CommandContext,
  [file]: [string],
  options: { name: string; chunkSize: number },
): Promise<void> {
  const { name, chunkSize } = options;
  const image = detectImage(file);
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
    name,
    chunkSizeBytes: chunkSize,
    records: { genesis, rosterBundle, grant },
  };
  const info = await askWithProgress(context, 'disk.import', params, `import ${name}`);
  const { sizeBytes, importedBytes, newBytes } = info;
  context.output.result(
    info,
    `${name}: ${sizeText(sizeBytes)}, ${sizeText(importedBytes)} of data, ${sizeText(newBytes)} new here`,
  );
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
