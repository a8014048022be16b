/**
 * The tracker on HTTP: /announce and /scrape in bencode (BEP 3, 7, 23, 48), /healthz, /stats and /metrics for monitors.
 *
 * Connections are kept and bounded; what is asked is parsed by the announce package and decided by SwarmTable, here stand the
 * status codes. A refusal of an announce is an answer with a reason, as clients expect; too many questions are status 429.
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
} from '@diskswarm/announce';
import { type Address, DiskswarmError, formatAddress, hasCode, messageOf, parseAddress, toHex } from '@diskswarm/core';
import { METRICS_CONTENT_TYPE } from '@diskswarm/metrics';
import type { AddressLimit } from '../address-limit.ts';
import { type Counters, type Gauges, metricsText, statsText } from '../counters.ts';
import { KEEP_ALIVE_MS, MAX_CONNECTIONS, MAX_HEADER_BYTES, REQUEST_TIMEOUT_MS } from '../limits.ts';
import type { NewsBoard } from '../news-board.ts';
import type { SwarmTable } from '../swarm-table.ts';

/** Nobody is turned away for it, so the status stays 200. */
const AWAY = 'ok, but the shared store is away: this tracker answers from what it knows itself\n';

export interface HttpOptions {
  readonly listen: Address;
  readonly table: SwarmTable;
  readonly board: NewsBoard;
  readonly limit: AddressLimit | null;
  readonly counters: Counters;
  readonly gauges: () => Gauges;
}

/** A tracker's HTTP server. */
export interface HttpServer {
  readonly listen: Address;
  stop(): Promise<void>;
}

/** Starts it; ADDRESS_UNAVAILABLE when it cannot listen there. */
export async function serveHttp(options: HttpOptions): Promise<HttpServer> {
  const { host, port } = parseAddress(options.listen);
  const server = http.createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: REQUEST_TIMEOUT_MS / 2,
    },
    (request, response) => answer(options, request, response),
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
  let stopping: Promise<void> | null = null;
  return {
    listen: formatAddress(bound.address, bound.port),
    stop: () => {
      stopping ??= new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      return stopping;
    },
  };
}

function answer(options: HttpOptions, request: http.IncomingMessage, response: http.ServerResponse): void {
  const { counters, gauges } = options;
  const [path = '', query = ''] = splitOnce(request.url ?? '', '?');
  // No request of ours has a body; what a stranger sends is not read, so the connection cannot be used again.
  if (request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined) {
    response.shouldKeepAlive = false;
  }
  if (request.method !== 'GET') {
    send(response, 405, 'text/plain', 'only GET is served\n', { Allow: 'GET' });
  } else if (path === '/healthz') {
    send(response, 200, 'text/plain', gauges().store === false ? AWAY : 'ok\n');
  } else if (path === '/stats') {
    send(response, 200, 'application/json', statsText(counters, gauges()));
  } else if (path === '/metrics') {
    send(response, 200, METRICS_CONTENT_TYPE, metricsText(counters, gauges()));
  } else if (path === '/announce' || path === '/scrape') {
    bencoded(options, request, response, path, query);
  } else {
    send(response, 404, 'text/plain', 'this is a tracker: /announce, /scrape, /healthz, /stats, /metrics\n');
  }
}

function bencoded(
  { table, board, limit, counters }: HttpOptions,
  request: http.IncomingMessage,
  response: http.ServerResponse,
  path: '/announce' | '/scrape',
  text: string,
): void {
  const endpoint = (port: number): Uint8Array => packEndpoint(request.socket.remoteAddress ?? '', port);
  let body: Uint8Array;
  try {
    if (limit?.allows(endpoint(0).subarray(0, -2)) === false) {
      counters.refused.limit++;
      send(response, 429, 'text/plain', 'too many questions from this address\n', { 'Retry-After': '1' });
      return;
    }
    const query = parseQuery(text);
    if (path === '/announce') {
      const asked = parseAnnounceRequest(query);
      const answer = table.announce(asked, endpoint(asked.port));
      if (asked.blob !== undefined && !board.post(asked.infoHash, asked.blob, household(endpoint(0))))
        counters.refused.blob++;
      const blob = asked.event === 'stopped' ? undefined : board.get(asked.infoHash);
      body = encodePackedAnnounceResponse({ ...answer, blob });
      counters.announces.http++;
    } else {
      body = encodeScrapeResponse(table.scrape(parseScrapeRequest(query)));
      counters.scrapes.http++;
    }
  } catch (error) {
    if (!(error instanceof DiskswarmError)) throw error;
    counters.refused[hasCode(error, 'LIMIT_EXCEEDED') ? 'full' : 'malformed']++;
    body = encodeFailure(error.message);
  }
  send(response, 200, 'text/plain', body);
}

/** Names an address, and a /64 of IPv6. */
function household(endpoint: Uint8Array): string {
  return toHex(endpoint.subarray(0, Math.min(endpoint.length - 2, 8)));
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
