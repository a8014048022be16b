/** Where the log goes, what it leaves out, and that its last words arrive. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { createLog } from '../src/cli/log.ts';

const LOG = fileURLToPath(new URL('../src/cli/log.ts', import.meta.url));

/** Runs a line of code with `log` in a process of its own; what it wrote. */
function logged(level: string, code: string): { stdout: string; records: Record<string, unknown>[] } {
  const script = `import { createLog } from ${JSON.stringify(LOG)}; const log = createLog(${JSON.stringify(level)}); ${code}`;
  const args = ['--conditions=source', '--input-type=module', '-e', script];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return {
    stdout,
    records: stderr
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line)),
  };
}

test('the log goes to stderr, at its level, and is there when the process ends at once', (t) => {
  const { stdout, records } = logged('warn', "log.info({}, 'no'); log.warn({ disk: 'a' }, 'yes'); process.exit(0);");
  t.is(stdout, '');
  t.is(records.length, 1);
  t.like(records[0], { msg: 'yes', disk: 'a' });
  t.regex(String(records[0]?.time), /^\d{4}-\d\d-\d\dT/);
});

test('secrets are not printed', (t) => {
  const { records } = logged(
    '',
    "log.info({ secret: 'hush', disk: { swarmSecret: 'hush', deep: { passphrase: 'hush' } }, name: 'a' }, 'x');",
  );
  const text = JSON.stringify(records);
  t.false(text.includes('hush'));
  t.is(records[0]?.name, 'a');
});

test('a level that is none is refused', (t) => {
  t.throws(() => createLog('loud'), { code: 'INVALID_ARGUMENT' });
});
