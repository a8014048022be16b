/** Ports of this machine for servers that cannot choose one themselves. */
import { once } from 'node:events';
import net from 'node:net';

/** Below the ports that systems give to outgoing connections: nobody gets one by chance, also while its server is away. */
const FIRST = 20_000;
const LAST = 31_999;

/** One that nobody listens at just now. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1));
    const server = net.createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
  throw new Error('no free port found');
}
