/**
 * The server of the bittorrent-tracker package as a process of its own: `node foreign-tracker.ts PORT`. Says `ready` when it listens.
 *
 * Its swarms hold 1000 peers unless told otherwise; here they hold what is measured.
 */
import Server from 'bittorrent-tracker/server';

const server = new Server({ http: false, udp: true, ws: false, stats: false, peersCacheLength: 100_000 });
// Warnings are about single datagrams; the load counts what is not answered.
for (const event of ['error', 'warning']) server.on(event, () => {});
server.once('listening', () => process.stdout.write('ready\n'));
server.listen({ udp: Number(process.argv[2]) }, { udp: '127.0.0.1', udp6: '::1' });
