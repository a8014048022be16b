/**
 * nbdkit over TLS on loopback and nbdcopy as its client: what copying a disk over an encrypted line costs without us.
 *
 * Certificates are made with openssl for this run and end with its folder.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { pause, run, serve } from '../programs.ts';

/** Starts nbdkit over TLS; gives a function that copies the export into a file and tells how long that took. */
export async function startTlsCopy(folder: string, image: string): Promise<(target: string) => Promise<number>> {
  await mkdir(folder, { recursive: true });
  await makeCertificates(folder);
  const port = await freePort();
  const listen = ['--ipaddr', '127.0.0.1', '--port', String(port)];
  const tls = ['--tls=require', `--tls-certificates=${folder}`];
  await serve(['nbdkit', '--foreground', ...listen, ...tls, 'file', image], null);
  await pause(500);
  const uri = `nbds://127.0.0.1:${port}/?tls-certificates=${folder}`;
  return async (target) => (await run(['nbdcopy', uri, target])).elapsedMs;
}

async function makeCertificates(folder: string): Promise<void> {
  const at = (name: string): string => join(folder, name);
  const newKey = ['-newkey', 'rsa:2048', '-nodes'];
  await run([
    ...['openssl', 'req', '-x509', ...newKey, '-days', '2', '-subj', '/CN=bench authority'],
    ...['-keyout', at('ca-key.pem'), '-out', at('ca-cert.pem')],
  ]);
  const request = ['-subj', '/CN=127.0.0.1', '-keyout', at('server-key.pem'), '-out', at('server.csr')];
  await run(['openssl', 'req', ...newKey, ...request]);
  await writeFile(at('extensions'), 'subjectAltName=IP:127.0.0.1\n');
  await run([
    ...['openssl', 'x509', '-req', '-in', at('server.csr'), '-CA', at('ca-cert.pem'), '-CAkey', at('ca-key.pem')],
    ...['-CAcreateserial', '-days', '2', '-extfile', at('extensions'), '-out', at('server-cert.pem')],
  ]);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
