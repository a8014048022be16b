/** Run as a process of its own: opens the state folder in its argument once per line on stdin, and says how it went. */
import { createInterface } from 'node:readline';
import { DiskswarmError } from '@diskswarm/core';
import { openStateFolder } from '../../src/state/state-folder.ts';

console.log('ready');
for await (const _ of createInterface({ input: process.stdin })) {
  try {
    await openStateFolder(process.argv[2] as string);
    console.log('held');
  } catch (error) {
    console.log(error instanceof DiskswarmError ? `${error.code} ${error.data.pid}` : String(error));
  }
}
