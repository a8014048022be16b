/** A DHT of ten nodes at one address, as a process: prints where they are, and runs until it is ended. */
import createTestnet from 'hyperdht/testnet.js';

const { bootstrap } = await createTestnet(10, { host: process.argv[2] ?? '127.0.0.1' });
console.log(JSON.stringify(bootstrap.map(({ host, port }) => `${host}:${port}`)));
