/**
 * The tracker on datagrams (BEP 15).
 *
 * Until an address has shown with a connection id that it receives what is sent to it, nothing larger than its question goes there:
 * a connect request is answered with as many bytes, everything else unproven with silence. So is a scrape of swarms that
 * are all unknown. An answer that the kernel does not take soon is dropped: the client asks again.
 */
import dgram from 'node:dgram';
import {
  COMPACT_V4_BYTES,
  COMPACT_V6_BYTES,
  encodeUdpAnnounce,
  encodeUdpConnect,
  encodeUdpError,
  encodeUdpScrape,
  packEndpoint,
  parseUdpRequest,
  UDP_PEERS_AT,
  type UdpRequest,
} from '@diskswarm/announce';
import { type Address, DiskswarmError, formatAddress, messageOf, parseAddress } from '@diskswarm/core';
import type { AddressLimit } from '../address-limit.ts';
import type { ConnectionIds } from '../connection-ids.ts';
import type { Counters } from '../counters.ts';
import {
  MAX_CACHED_ADDRESSES,
  MAX_PEERS_PER_ANSWER,
  MAX_QUEUED_ANSWERS,
  MAX_UDP6_PEERS_PER_ANSWER,
} from '../limits.ts';
import type { SwarmTable } from '../swarm-table.ts';

/** What the kernel may hold for us; it takes less where it is told to. */
const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024;

export interface UdpOptions {
  readonly listen: Address;
  readonly table: SwarmTable;
  readonly ids: ConnectionIds;
  readonly limit: AddressLimit | null;
  readonly counters: Counters;
}

/** A tracker's datagram socket. */
export interface UdpServer {
  readonly listen: Address;
  stop(): Promise<void>;
}

/** Binds the socket; ADDRESS_UNAVAILABLE when it cannot. */
export async function serveUdp(options: UdpOptions): Promise<UdpServer> {
  const { host, port } = parseAddress(options.listen);
  const family = host.includes(':') ? 6 : 4;
  const socket = dgram.createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    // Answers go to numeric addresses: nothing is to be looked up, and nothing to be waited for.
    lookup: (address, _, done) => done(null, address, family),
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', (error) => {
      const why = `cannot listen on ${options.listen}: ${messageOf(error)}`;
      reject(new DiskswarmError('ADDRESS_UNAVAILABLE', why, { data: { listen: options.listen }, cause: error }));
    });
    socket.bind(port, host, () => {
      socket.removeAllListeners('error');
      resolve();
    });
  });
  // A destination that cannot be reached is the client's loss alone.
  socket.on('error', () => {});
  widen(socket);
  const desk = new Desk(options);
  socket.on('message', (bytes, from) => {
    if (from.port === 0) return;
    if (socket.getSendQueueCount() > MAX_QUEUED_ANSWERS) {
      options.counters.refused.busy++;
      return;
    }
    const answer = desk.answer(bytes, from.address);
    if (answer !== null) socket.send(answer, from.port, from.address);
  });
  const bound = socket.address();
  let stopping: Promise<void> | null = null;
  return {
    listen: formatAddress(bound.address, bound.port),
    stop: () => {
      stopping ??= new Promise<void>((resolve) => socket.close(() => resolve()));
      return stopping;
    },
  };
}

function widen(socket: dgram.Socket): void {
  try {
    socket.setRecvBufferSize(SOCKET_BUFFER_BYTES);
    socket.setSendBufferSize(SOCKET_BUFFER_BYTES);
  } catch {
    // The system's own size does, with more loss in a burst.
  }
}

/** Decides what a datagram is answered with. */
class Desk {
  readonly #options: UdpOptions;
  readonly #addresses = new Map<string, Uint8Array>();
  /** Who is asking right now; the table keeps copies. */
  readonly #peer4 = new Uint8Array(COMPACT_V4_BYTES);
  readonly #peer6 = new Uint8Array(COMPACT_V6_BYTES);

  constructor(options: UdpOptions) {
    this.#options = options;
  }

  answer(bytes: Buffer, ip: string): Buffer | null {
    const { ids, limit, counters } = this.#options;
    const request = parseUdpRequest(bytes);
    if (request === null) {
      counters.refused.malformed++;
      return null;
    }
    const address = this.#pack(ip);
    if (limit?.allows(address) === false) {
      counters.refused.limit++;
      return null;
    }
    if (request.kind === 'connect') {
      counters.connects++;
      const { high, low } = ids.issue(address);
      return encodeUdpConnect(request.transaction, high, low);
    }
    if (!ids.holds(address, request.connectionHigh, request.connectionLow)) {
      counters.refused.connection++;
      return null;
    }
    return request.kind === 'announce' ? this.#announce(request, address) : this.#scrape(request);
  }

  #announce({ transaction, request }: UdpRequest & { kind: 'announce' }, address: Uint8Array): Buffer {
    const { table, counters } = this.#options;
    const peer = address.length + 2 === COMPACT_V6_BYTES ? this.#peer6 : this.#peer4;
    peer.set(address);
    peer[address.length] = request.port >> 8;
    peer[address.length + 1] = request.port & 0xff;
    const most = peer.length === COMPACT_V6_BYTES ? MAX_UDP6_PEERS_PER_ANSWER : MAX_PEERS_PER_ANSWER;
    try {
      const answer = table.announceInto(request, peer, most, UDP_PEERS_AT, (counts, peersBytes) =>
        encodeUdpAnnounce(transaction, counts, peersBytes),
      );
      counters.announces.udp++;
      return answer;
    } catch (error) {
      if (!(error instanceof DiskswarmError)) throw error;
      counters.refused.full++;
      return encodeUdpError(transaction, error.message);
    }
  }

  #scrape({ transaction, infoHashes }: UdpRequest & { kind: 'scrape' }): Buffer | null {
    const { table, counters } = this.#options;
    const counts = table.scrape(infoHashes);
    if (counts.size === 0) return null;
    counters.scrapes.udp++;
    const none = { seeders: 0, leechers: 0, completed: 0 };
    return encodeUdpScrape(
      transaction,
      infoHashes.map((hash) => counts.get(hash) ?? none),
    );
  }

  /** 4 or 16 bytes. Clients ask several times in a row, so the last addresses are remembered. */
  #pack(ip: string): Uint8Array {
    const known = this.#addresses.get(ip);
    if (known !== undefined) return known;
    const packed = packEndpoint(ip, 0).subarray(0, -2);
    if (this.#addresses.size >= MAX_CACHED_ADDRESSES) this.#addresses.clear();
    this.#addresses.set(ip, packed);
    return packed;
  }
}
