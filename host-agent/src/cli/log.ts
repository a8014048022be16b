/**
 * The agent's log: JSON lines on stderr, written at once, so that the last ones before an end are there.
 *
 * The single place that imports `pino`. DISKSWARM_LOG sets the level (trace, debug, info, warn, error, silent).
 * Fields that hold secrets are never printed, wherever they stand in a record of depth three.
 */
import { DiskswarmError } from '@diskswarm/core';
import pino from 'pino';

/** What the agent logs with. */
export interface AgentLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const SECRETS = [
  'passphrase',
  'secret',
  'swarmSecret',
  'signingSeed',
  'wrappingSeed',
  'recoverySeed',
  'invitation',
  'seed',
];
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];

/** A log at `level` ("info" when undefined or empty); INVALID_ARGUMENT for a level that is none. */
export function createLog(level: string | undefined): AgentLog {
  const chosen = level || 'info';
  if (!LEVELS.includes(chosen)) {
    throw new DiskswarmError(
      'INVALID_ARGUMENT',
      `DISKSWARM_LOG: "${chosen.slice(0, 40)}" is not one of ${LEVELS.join(', ')}`,
      {
        data: { field: 'DISKSWARM_LOG' },
      },
    );
  }
  const redact = { paths: SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '(secret)' };
  const destination = pino.destination({ dest: 2, sync: true });
  return pino({ level: chosen, base: null, timestamp: pino.stdTimeFunctions.isoTime, redact }, destination);
}
