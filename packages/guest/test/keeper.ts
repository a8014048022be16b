/** Boots the guest that its argument describes, says so, and then waits to be killed. */
import { bootGuest } from '../src/index.ts';

const guest = bootGuest(JSON.parse(process.argv[2]!));
await guest.ready({ timeoutMs: 120_000 });
console.log('up');
await guest.exited;
