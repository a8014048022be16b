/** What was measured with what: the versions that a reader needs to repeat a run. */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { GuestArtefacts } from '@diskswarm/guest';
import { findProgram, run } from '../programs.ts';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
/** How programs are asked for their version, which is the first number in what they say; others are not asked. */
const ASKED: Readonly<Record<string, readonly string[]>> = {
  qemu: ['qemu-system-x86_64', '--version'],
  'qemu-nbd': ['qemu-nbd', '--version'],
  'qemu-img': ['qemu-img', '--version'],
  nbdkit: ['nbdkit', '--version'],
  nbdcopy: ['nbdcopy', '--version'],
  fio: ['fio', '--version'],
  b3sum: ['b3sum', '--version'],
  casync: ['casync', '--version'],
  aria2c: ['aria2c', '--version'],
  openssl: ['openssl', 'version'],
  python: ['/usr/bin/python3', '--version'],
  rsync: ['rsync', '--version'],
};
const OF_EXPERIMENTS = ['qemu-system-x86_64', 'qemu-nbd', 'python3'];
const ANSWER_MS = 10_000;

/** Name → version, for an experiment whose systems use these programs; null where no guest runs. */
export async function toolVersions(
  guest: Pick<GuestArtefacts, 'kernel'> | null,
  programs: readonly string[],
): Promise<Record<string, string>> {
  const kernel = guest === null ? {} : { guest: guest.kernel.version };
  return { ...(await ownVersions()), ...kernel, ...(await programVersions([...OF_EXPERIMENTS, ...programs])) };
}

/** Of diskswarm, with the commit where this is a clone, and of Node. */
export async function ownVersions(): Promise<Record<string, string>> {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };
  const git = async (...args: readonly string[]): Promise<string | null> =>
    (await run(['git', '-C', ROOT, ...args], { timeoutMs: ANSWER_MS }).catch(() => null))?.stdout.trim() ?? null;
  const commit = await git('rev-parse', '--short=12', 'HEAD');
  const changes = await git('status', '--porcelain', '--', '.', ':!docs');
  const place = commit === null ? '' : `, commit ${commit}${changes === '' ? '' : ' with changes'}`;
  return { diskswarm: `${version}${place}`, node: process.versions.node };
}

/** Of those of the programs that can say it. */
export async function programVersions(programs: readonly string[]): Promise<Record<string, string>> {
  const versions: Record<string, string> = {};
  for (const [name, command] of Object.entries(ASKED)) {
    const [program = ''] = command;
    if (!programs.includes(program.split('/').at(-1) as string)) continue;
    if (findProgram(program) === undefined && !program.startsWith('/')) continue;
    const { stdout } = await run(command, { timeoutMs: ANSWER_MS }).catch(() => ({ stdout: '' }));
    const found = /\d+\.\d+(?:\.\d+)*/.exec(stdout)?.[0];
    if (found !== undefined) versions[name] = found;
  }
  return versions;
}
