/** Starts the process that lets browsers in while there is something for them, and starts it again when it ends by itself. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { WebGatewayOrders } from './web-gateway-protocol.ts';

const MAX_GATEWAY_HEAP_MIB = 128;
const RESTART_FIRST_MS = 5_000;
const RESTART_LATEST_MS = 300_000;
/** The same ending as this file's: sources run as .ts, the build as .js. */
const PROGRAM = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? 'web-gateway.ts' : 'web-gateway.js', import.meta.url),
);

export class WebGatewayProcess {
  #child: ChildProcess | null = null;
  #orders: WebGatewayOrders | null = null;
  #restart: NodeJS.Timeout | null = null;
  #restartMs = RESTART_FIRST_MS;
  /** Fires when it has been well for long. */
  #steady: NodeJS.Timeout | null = null;

  /** Has it do this from now on; without a torrent it ends. */
  update(orders: WebGatewayOrders): void {
    this.#orders = orders.torrents.length === 0 ? null : orders;
    if (this.#orders === null) {
      for (const timer of [this.#restart, this.#steady]) if (timer !== null) clearTimeout(timer);
      this.#restart = null;
      const child = this.#child;
      this.#child = null;
      child?.kill('SIGKILL');
    } else if (this.#child !== null) this.#child.send(this.#orders, () => {});
    else if (this.#restart === null) this.#start();
  }

  #start(): void {
    this.#restart = null;
    const child = fork(PROGRAM, [], {
      // Nothing of the agent's is its business.
      env: {},
      execArgv: [...process.execArgv, `--max-old-space-size=${MAX_GATEWAY_HEAP_MIB}`],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#child = child;
    this.#steady = setTimeout(() => {
      this.#restartMs = RESTART_FIRST_MS;
    }, RESTART_LATEST_MS);
    child.on('error', () => {}); // `exit` follows, or it never was.
    child.once('close', () => this.#ended(child));
    child.send(this.#orders!, () => {});
  }

  #ended(child: ChildProcess): void {
    if (this.#child !== child) return;
    this.#child = null;
    if (this.#steady !== null) clearTimeout(this.#steady);
    this.#restart = setTimeout(() => this.#start(), this.#restartMs);
    this.#restartMs = Math.min(2 * this.#restartMs, RESTART_LATEST_MS);
  }
}
