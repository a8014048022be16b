/**
 * The programs from outside npm that the demo, the tests and the benchmarks use, and how to get them on Debian and
 * Ubuntu.
 *
 * Looks for the programs rather than for packages, so that it is right on other systems too. It installs only as
 * root, only what is missing, and says what it is about to do; otherwise it names the packages and lets the caller
 * go on. The guest's kernel is not installed here: packages/guest unpacks it into a cache folder.
 */
import { findProgram, run, say } from './process.mjs';

/** Debian package → one program that shows it is there. */
const DEMO = {
  'qemu-system-x86': 'qemu-system-x86_64',
  'qemu-utils': 'qemu-nbd',
  'busybox-static': 'busybox',
  e2fsprogs: 'mke2fs',
  iproute2: 'ip',
};
const TESTS = {
  ...DEMO,
  nbdkit: 'nbdkit',
  'libnbd-bin': 'nbdcopy',
  'python3-libnbd': 'nbdsh',
  fio: 'fio',
  strace: 'strace',
  nftables: 'nft',
  // The peers of the benchmarks, whose small runs are tests too.
  b3sum: 'b3sum',
  aria2: 'aria2c',
  'transmission-cli': 'transmission-cli',
  casync: 'casync',
  rsync: 'rsync',
  openssl: 'openssl',
  opentracker: 'opentracker',
  'redis-server': 'redis-server',
  prometheus: 'promtool',
  chromium: 'chromium',
  'zbar-tools': 'zbarimg',
};

const BY_PURPOSE = { build: {}, demo: DEMO, test: TESTS, bench: { ...TESTS, 'librsvg2-bin': 'rsvg-convert' } };

/** What one may set the machine up for. */
export const purposes = Object.keys(BY_PURPOSE);

/** The packages that `purpose` needs and whose programs are missing here. */
export function missingPackages(purpose) {
  return Object.entries(BY_PURPOSE[purpose])
    .filter(([, program]) => findProgram(program) === undefined)
    .map(([name]) => name);
}

/** Installs what is missing for `purpose` where it can; resolves to the packages that are still missing. */
export async function installMissingPackages(purpose) {
  const missing = missingPackages(purpose);
  if (missing.length === 0) return [];
  say(`setup: not on this machine yet: ${missing.join(' ')}`);
  if (findProgram('apt-get') === undefined) {
    say('setup: this is no Debian or Ubuntu; please install these programs with the means of your system.');
    return missing;
  }
  if (process.getuid?.() !== 0) {
    say('setup: installing Debian packages needs root, and this is not root. To install them yourself:');
    say(`setup:   sudo apt-get update && sudo apt-get install --no-install-recommends ${missing.join(' ')}`);
    return missing;
  }
  say('setup: installing them with apt-get (this is what root is used for)');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const patience = ['-q', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3'];
  await run('apt-get', [...patience, 'update'], { env });
  await run('apt-get', [...patience, 'install', '-y', '--no-install-recommends', ...missing], { env });
  const left = missingPackages(purpose);
  if (left.length > 0) say(`setup: apt-get did not provide: ${left.join(' ')}`);
  return left;
}
