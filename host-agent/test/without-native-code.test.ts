/** Foreign native code stays out of the agent's threads of torrents: it would end the process with them. */
import { execFileSync } from 'node:child_process';
import test from 'ava';

/** The native modules of a Node that imported `module`, but for the hash function, which is made for threads. */
function nativeAfter(module: string): string {
  const script = `await import('${module}'); console.log(process.report.getReport().sharedObjects.filter((file) => file.endsWith('.node')).join('\\n')); process.exit(0);`;
  const files = execFileSync(process.execPath, ['--conditions=source', '--input-type=module', '-e', script], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
  });
  return files
    .split('\n')
    .filter((file) => !file.includes('blake'))
    .join('\n');
}

test("the torrents' client loads none, which webtorrent by itself would", (t) => {
  t.true(nativeAfter('webtorrent').includes('datachannel'));
  t.is(nativeAfter('../src/torrent/webtorrent-client.ts').trim(), '');
});
