/**
 * The tracker on HTTP: /announce and /scrape in bencode, /healthz for monitors (BEP 3, 7, 23, 48).
 *
 * Listens where it is told, port 0 included. What it is asked is parsed by the announce package and decided by SwarmTable;
 * here stand only the connection bounds and the status codes. A tracker keeps nothing on disk: after a restart
 * it knows again who is there within one interval.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  encodeFailure,
  encodePackedAnnounceResponse,
  encodeScrapeResponse,
  packEndpoint,
  parseAnnounceRequest,
  parseQuery,
  parseScrapeRequest,
  type Query,
} from '@diskswarm/announce';
import {
  type Address,
  type Clock,
  DiskswarmError,
  formatAddress,
  messageOf,
  parseAddress,
  type Random,
} from '@diskswarm/core';
import { KEEP_ALIVE_MS, MAX_CONNECTIONS, MAX_HEADER_BYTES, REQUEST_TIMEOUT_MS } from './limits.ts';
import { SwarmTable } from './swarm-table.ts';

export interface TrackerOptions {
  /** HOST:PORT; port 0 picks a free one. */
  readonly listen: Address;
  readonly clock: Clock;
  readonly random: Random;
  /** Seconds between announces that clients are asked for. @default 120 */
  readonly intervalSeconds?: number;
}

/** A tracker at work. */
export interface Tracker {
  readonly listen: Address;
  /** What clients are given, with a host that is an address of this machine only if `listen` was one. */
  readonly announceUrl: string;
  readonly counts: { readonly swarms: number; readonly peers: number };
  /** Ends all connections. Idempotent. */
  stop(): Promise<void>;
}

/** Starts a tracker; ADDRESS_UNAVAILABLE when it cannot listen there. */
export async function startTracker(options: TrackerOptions): Promise<Tracker> {
  const { host, port } = parseAddress(options.listen);
  const table = new SwarmTable(options);
  const server = http.createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: REQUEST_TIMEOUT_MS / 2,
    },
    (request, response) => answer(table, request, response),
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    else socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const why = `cannot listen on ${options.listen}: ${messageOf(error)}`;
      reject(new DiskswarmError('ADDRESS_UNAVAILABLE', why, { data: { listen: options.listen }, cause: error }));
    });
    server.listen(port, host, resolve);
  });
  const bound = server.address() as AddressInfo;
  const listen = formatAddress(bound.address, bound.port);
  let stopping: Promise<void> | null = null;
  return {
    listen,
    announceUrl: `http://${listen}/announce`,
    get counts() {
      return { swarms: table.swarmCount, peers: table.peerCount };
    },
    stop: () => {
      stopping ??= new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      return stopping;
    },
  };
}

function answer(table: SwarmTable, request: http.IncomingMessage, response: http.ServerResponse): void {
  const [path = '', query = ''] = splitOnce(request.url ?? '', '?');
  // No request of ours has a body; what a stranger sends is not read, so the connection cannot be used again.
  if (request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined) {
    response.shouldKeepAlive = false;
  }
  if (request.method !== 'GET') {
    send(response, 405, 'text/plain', 'only GET is served\n', { Allow: 'GET' });
  } else if (path === '/healthz') {
    send(response, 200, 'text/plain', 'ok\n');
  } else if (path === '/announce') {
    send(
      response,
      200,
      'text/plain',
      reply(() => announce(table, parseQuery(query), request)),
    );
  } else if (path === '/scrape') {
    send(
      response,
      200,
      'text/plain',
      reply(() => encodeScrapeResponse(table.scrape(parseScrapeRequest(parseQuery(query))))),
    );
  } else {
    send(response, 404, 'text/plain', 'this is a tracker: /announce, /scrape, /healthz\n');
  }
}

function announce(table: SwarmTable, query: Query, request: http.IncomingMessage): Uint8Array {
  const asked = parseAnnounceRequest(query);
  const peer = packEndpoint(request.socket.remoteAddress ?? '', asked.port);
  return encodePackedAnnounceResponse(table.announce(asked, peer));
}

/** A refusal is an answer too: 200 with a reason, as clients expect (BEP 3). */
function reply(make: () => Uint8Array): Uint8Array {
  try {
    return make();
  } catch (error) {
    if (error instanceof DiskswarmError) return encodeFailure(error.message);
    throw error;
  }
}

function send(
  response: http.ServerResponse,
  status: number,
  type: string,
  body: string | Uint8Array,
  headers: http.OutgoingHttpHeaders = {},
): void {
  const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
  response.writeHead(status, { ...headers, 'Content-Type': type, 'Content-Length': length });
  response.end(body);
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
