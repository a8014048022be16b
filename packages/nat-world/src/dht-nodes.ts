/** A DHT at one address, as a process: prints where its nodes are, and runs until it is ended. */
import { startDht } from './dht.ts';

const { bootstrap } = await startDht(process.argv[2] ?? '127.0.0.1');
console.log(JSON.stringify(bootstrap));
