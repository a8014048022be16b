/**
 * `owner init | backup FILE | restore FILE`: the person's key, in an encrypted file outside every state folder.
 *
 * A backup also holds the recovery key. Order of a backup: the backup is durable first, only then does the everyday file
 * give the recovery key up.
 */
import path from 'node:path';
import { toHex } from '@diskswarm/core';
import { systemRandom } from '@diskswarm/core/system';
import { createOwner, decodeOwnerFile, withoutRecovery } from '@diskswarm/identity';
import type { Command } from 'commander';
import { dropRecovery, readOwnerBytes, refuseExisting, writeNewOwner } from '../owner-store.ts';
import { readPassphrase } from '../passphrase.ts';
import { refuseInsideState } from '../places.ts';
import type { Action } from '../program.ts';

export function registerOwnerCommands(program: Command, action: Action): void {
  const owner = program.command('owner').description("the person's key: who holds it owns the disks");

  owner
    .command('init')
    .description('make the key')
    .action(
      action<[]>(async (context) => {
        const file = context.ownerFile;
        refuseInsideState(file, context.stateDir);
        refuseExisting(file);
        const passphrase = await readPassphrase(context, { twice: true });
        const created = createOwner(systemRandom);
        writeNewOwner(file, created, passphrase);
        context.output.result(
          { ownerFile: file, publicKey: toHex(created.publicKey) },
          `Your key is in ${file}\nMake a backup now: diskswarm owner backup FILE. Without key and passphrase nobody can add a host to your disks.`,
        );
      }),
    );

  owner
    .command('backup')
    .argument('<file>', 'where to write it; must not exist')
    .description('copy the key, with the recovery key, which leaves the everyday file')
    .action(
      action<[string]>(async (context, [argument]) => {
        const file = path.resolve(argument);
        refuseInsideState(file, context.stateDir);
        refuseExisting(file);
        const bytes = readOwnerBytes(context.ownerFile);
        const passphrase = await readPassphrase(context, { twice: false });
        const opened = decodeOwnerFile(bytes, passphrase);
        const recovery = opened.recoverySeed !== null;
        writeNewOwner(file, opened, passphrase);
        if (recovery) dropRecovery(context.ownerFile, opened, passphrase);
        context.output.result(
          { backup: file, publicKey: toHex(opened.publicKey), recovery },
          recovery
            ? `The backup is in ${file}, under the same passphrase.\nIt alone holds the recovery key now: keep it in another place.`
            : `The backup is in ${file}, under the same passphrase. The recovery key is in your first backup only.`,
        );
      }),
    );

  owner
    .command('restore')
    .argument('<file>', 'a backup')
    .description('bring the key back from a backup')
    .action(
      action<[string]>(async (context, [argument]) => {
        refuseInsideState(context.ownerFile, context.stateDir);
        refuseExisting(context.ownerFile);
        const bytes = readOwnerBytes(path.resolve(argument));
        const passphrase = await readPassphrase(context, { twice: false });
        const opened = decodeOwnerFile(bytes, passphrase);
        writeNewOwner(context.ownerFile, withoutRecovery(opened), passphrase);
        context.output.result(
          { ownerFile: context.ownerFile, publicKey: toHex(opened.publicKey) },
          `Your key is back in ${context.ownerFile}`,
        );
      }),
    );
}
