/** Core's Transport for one process: names or addresses of simulated machines, listeners and dials. */
import {
  type Address,
  type Connection,
  DiskswarmError,
  type ErrorCode,
  formatAddress,
  type Listener,
  parseAddress,
  type Transport,
} from '@diskswarm/core';
import type { SimProcess } from '../process.ts';
import type { SimNetwork } from './network.ts';

/** How long a dial to a machine that does not exist takes to fail. */
const UNKNOWN_HOST_US = 1000;

export class SimTransport implements Transport {
  readonly #network: SimNetwork;
  readonly #host: string;
  readonly #process: SimProcess;

  constructor(network: SimNetwork, host: string, process: SimProcess) {
    this.#network = network;
    this.#host = host;
    this.#process = process;
  }

  /** Whatever host part is given is taken for this machine. */
  listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener> {
    const port = this.#network.port(this.#host);
    return this.#process.settleLater(0, `listen ${address}`, () => {
      const wanted = parseAddress(address).port;
      const number = wanted === 0 ? port.freePort() : wanted;
      if (port.listeners.has(number))
        throw new DiskswarmError('INVALID_ARGUMENT', `${address} is in use (simulated)`, { data: { address } });
      const listener = { process: this.#process, address: formatAddress(port.ip, number), accept: onConnection };
      port.listeners.set(number, listener);
      const close = async (): Promise<void> => {
        if (port.listeners.get(number) === listener) port.listeners.delete(number);
      };
      return { address: listener.address, close };
    });
  }

  dial(address: Address, { signal, timeoutMs }: { signal?: AbortSignal; timeoutMs: number }): Promise<Connection> {
    return new Promise((resolve, reject) => {
      let settled = false;
      const settle = (): boolean => {
        if (settled || !this.#process.alive) return false;
        settled = true;
        timer.cancel();
        signal?.removeEventListener('abort', abort);
        return true;
      };
      const fail = (code: ErrorCode, why: string): void => {
        if (settle()) reject(new DiskswarmError(code, `${address}: ${why} (simulated)`, { data: { address } }));
      };
      const abort = (): void => fail('ABORTED', 'given up');
      const timer = this.#process.clock.setTimer(timeoutMs, () => fail('PEER_UNREACHABLE', 'timed out'));
      signal?.addEventListener('abort', abort, { once: true });
      if (signal?.aborted) return abort();
      this.#handshake(address, {
        accepted: (connection) => {
          const wanted = settle();
          if (wanted) resolve(connection);
          return wanted;
        },
        fail: (why) => fail('PEER_UNREACHABLE', why),
      }).catch(reject);
    });
  }

  /** Two round trips, as TCP and TLS 1.3 need; waits while the machines are parted. */
  async #handshake(
    address: Address,
    on: { accepted: (connection: Connection) => boolean; fail: (why: string) => void },
  ): Promise<void> {
    const { host, port: number } = parseAddress(address);
    const here = this.#network.port(this.#host);
    const there = this.#network.find(host);
    if (there === undefined)
      return this.#process.later(UNKNOWN_HOST_US, `dial ${address}`, () => on.fail('no such host'));
    await this.#network.hop(here, there, `dial ${number}`);
    const refused = !there.listeners.has(number);
    await this.#network.hop(there, here, 'answer');
    if (refused) return on.fail('connection refused');
    await this.#network.hop(here, there, 'hello');
    await this.#network.hop(there, here, 'hello');
    const listener = there.listeners.get(number);
    if (listener === undefined) return on.fail('connection reset');
    const dialler = { port: here, process: this.#process, address: formatAddress(here.ip, here.freePort()) };
    const [near, far] = this.#network.connect(dialler, {
      port: there,
      process: listener.process,
      address: listener.address,
    });
    if (!on.accepted(near)) return near.destroy();
    await this.#network.hop(here, there, 'finished');
    listener.process.later(0, `accept ${dialler.address}`, () => {
      if (there.listeners.get(number) === listener) listener.accept(far);
      else far.destroy();
    });
  }
}
