/**
 * The owner's passphrase: from --passphrase-file, DISKSWARM_PASSPHRASE, or a prompt without echo. Never from an argument,
 * which other users of the machine could read.
 */
import fs from 'node:fs';
import { DiskswarmError, messageOf } from '@diskswarm/core';
import { MAX_PASSPHRASE_BYTES } from '@diskswarm/identity';
import type { CommandContext } from './context.ts';

/** The passphrase; with `twice` a prompt asks again to catch a slip. INVALID_ARGUMENT when there is no way to get one. */
export async function readPassphrase(context: CommandContext, options: { twice: boolean }): Promise<string> {
  if (context.passphraseFile !== undefined) return fromFile(context.passphraseFile);
  const fromEnvironment = process.env.DISKSWARM_PASSPHRASE;
  if (fromEnvironment !== undefined && fromEnvironment !== '') return fromEnvironment;
  if (!process.stdin.isTTY) {
    throw invalid('the passphrase is needed: a terminal, DISKSWARM_PASSPHRASE or --passphrase-file');
  }
  const passphrase = await prompt('Passphrase: ');
  if (passphrase === '') throw invalid('an empty passphrase protects nothing');
  if (options.twice && (await prompt('The same again: ')) !== passphrase) throw invalid('the two passphrases differ');
  return passphrase;
}

/** The first line of a file. */
function fromFile(file: string): string {
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    throw invalid(`the passphrase file cannot be read: ${messageOf(error)}`);
  }
  const line = text.split('\n', 1)[0]?.replace(/\r$/, '') ?? '';
  if (line === '' || Buffer.byteLength(line) > MAX_PASSPHRASE_BYTES) {
    throw invalid(`the first line of ${file} is no passphrase of 1 to ${MAX_PASSPHRASE_BYTES} bytes`);
  }
  return line;
}

/** One line typed at the terminal, unseen. */
function prompt(question: string): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write(question);
  return new Promise((resolve, reject) => {
    let typed = '';
    const end = (settle: () => void): void => {
      stdin.off('data', onData);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write('\n');
      settle();
    };
    const onData = (chunk: string): void => {
      for (const key of chunk) {
        if (key === '\r' || key === '\n' || key === '\x03' || key === '\x04') {
          const given = key === '\r' || key === '\n';
          end(given ? () => resolve(typed) : () => reject(new DiskswarmError('ABORTED', 'given up')));
          return;
        }
        if (key === '\x7f' || key === '\b') typed = [...typed].slice(0, -1).join('');
        else if (Buffer.byteLength(typed) < MAX_PASSPHRASE_BYTES) typed += key;
      }
    };
    stdin.setRawMode(true);
    stdin.setEncoding('utf8');
    stdin.on('data', onData);
    stdin.resume();
  });
}

function invalid(why: string): DiskswarmError {
  return new DiskswarmError('INVALID_ARGUMENT', why, { data: { field: 'passphrase' } });
}
