/**
 * The network segments of this host by IPv4 multicast: one socket that hears the group, one that speaks for each own address.
 *
 * Datagrams do not leave the segment (TTL 1), and those of senders that are not on one are not heard. Interfaces that come and
 * go are noticed by `hosts`. Which addresses count is decided by where the agent listens: all but loopback, or only that one.
 */
import { createSocket, type Socket } from 'node:dgram';
import { BlockList } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type Address, DiskswarmError, formatAddress, parseAddress } from '@diskswarm/core';
import type { Segment } from '../discovery/lan-discovery.ts';

/** In the range for use within an organisation (RFC 2365). */
const GROUP = '239.255.68.83';
const PORT = 6971;

export class MulticastSegment implements Segment {
  /** The address that the agent listens on; null for all. */
  readonly #only: string | null;
  #hearing: Socket | null = null;
  readonly #speaking = new Map<string, Socket>();
  /** The networks of own addresses. */
  #networks = new BlockList();

  /** `listen` is where the agent accepts connections. */
  constructor(listen: Address) {
    const { host } = parseAddress(listen);
    this.#only = host === '0.0.0.0' || host === '::' ? null : host;
  }

  async open(onDatagram: (bytes: Uint8Array, from: string) => void): Promise<void> {
    const socket = createSocket({ type: 'udp4', reuseAddr: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', (error) => {
        const address = formatAddress(GROUP, PORT);
        const why = `cannot listen on ${address} for other hosts on the LAN: ${error.message}`;
        reject(new DiskswarmError('ADDRESS_UNAVAILABLE', why, { data: { address }, cause: error }));
      });
      // Bound to the group: what is sent to this host alone is nothing for everybody.
      socket.bind(PORT, GROUP, resolve);
    });
    socket.removeAllListeners('error');
    socket.on('error', () => undefined);
    socket.on('message', (bytes, { address }) => {
      if (this.#networks.check(address)) onDatagram(bytes, address);
    });
    this.#hearing = socket;
  }

  hosts(): readonly string[] {
    const hearing = this.#hearing;
    if (hearing === null) return [];
    const own = Object.values(networkInterfaces())
      .flatMap((entries) => entries ?? [])
      .filter(({ family, internal, address }) =>
        this.#only === null ? family === 'IPv4' && !internal : family === 'IPv4' && address === this.#only,
      );
    this.#networks = new BlockList();
    for (const { cidr } of own) {
      const [network = '', bits = ''] = (cidr ?? '').split('/');
      if (bits !== '') this.#networks.addSubnet(network, Number(bits));
    }
    const hosts = [...new Set(own.map(({ address }) => address))];
    for (const [host, socket] of this.#speaking) {
      if (hosts.includes(host)) continue;
      this.#speaking.delete(host);
      socket.close();
    }
    for (const host of hosts) if (!this.#speaking.has(host)) this.#join(hearing, host);
    return hosts;
  }

  send(host: string, bytes: Uint8Array): void {
    this.#speaking.get(host)?.send(bytes, PORT, GROUP, () => undefined);
  }

  async close(): Promise<void> {
    const sockets = [this.#hearing, ...this.#speaking.values()];
    this.#hearing = null;
    this.#speaking.clear();
    for (const socket of sockets) socket?.close();
  }

  #join(hearing: Socket, host: string): void {
    try {
      hearing.addMembership(GROUP, host);
    } catch {
      // Joined before the address went away and came back, or an interface without multicast: calls are sent all the same.
    }
    const socket = createSocket({ type: 'udp4' });
    this.#speaking.set(host, socket);
    const gone = (): void => {
      if (this.#speaking.get(host) !== socket) return;
      // A new one is made when the address is back.
      this.#speaking.delete(host);
      socket.close();
    };
    socket.on('error', gone);
    socket.bind(0, host, () => {
      try {
        socket.setMulticastInterface(host);
        socket.setMulticastTTL(1);
      } catch {
        gone();
      }
    });
  }
}
