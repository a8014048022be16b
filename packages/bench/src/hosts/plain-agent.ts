/**
 * An agent over the plain wire: the shipped agent with its transport exchanged, to see what encryption costs.
 *
 *   node plain-agent.ts HOST:PORT STATE
 */
import { runAgent } from '@diskswarm/host-agent';
import { createPlainTransport } from '@diskswarm/swarm/transport';

const [listen = '', stateDir = ''] = process.argv.slice(2);
/** To stderr, where the bench finds it when the agent fails. */
function complain(fields: object, message: string): void {
  process.stderr.write(`${message} ${JSON.stringify(fields)}\n`);
}

const agent = await runAgent({
  stateDir,
  listen,
  transport: createPlainTransport(),
  trackers: [],
  peers: [],
  uploadLimit: null,
  downloadLimit: null,
  log: { info: () => {}, warn: complain, error: complain },
});
process.stdout.write(`${JSON.stringify({ event: 'ready', listen: agent.listen })}\n`);
process.once('SIGTERM', () => {
  agent.stop().then(
    () => process.exit(0),
    () => process.exit(1),
  );
});
