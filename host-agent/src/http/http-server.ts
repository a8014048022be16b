/**
 * The HTTP server of this host's own pages: bounded connections, headers and times, and an end that waits for nobody.
 *
 * What is asked and answered is the caller's, who is given every request. On a loopback address only requests that were sent to one by
 * name are let through: a page from elsewhere whose host name was made to point here (DNS rebinding) is refused.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Address, DiskswarmError, formatAddress, messageOf, parseAddress } from '@diskswarm/core';

/** Connections of one server at once. */
const MAX_HTTP_CONNECTIONS = 64;
/** Of one request. */
const MAX_HTTP_HEADER_BYTES = 8 * 1024;
const REQUEST_MS = 10_000;
const KEEP_ALIVE_MS = 30_000;

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

export interface HttpServer {
  /** Where it really listens. */
  readonly listen: Address;
  /** Ends all connections. Idempotent. */
  stop(): Promise<void>;
}

export interface HttpServerOptions {
  readonly listen: Address;
  readonly onRequest: (request: http.IncomingMessage, response: http.ServerResponse) => Promise<void>;
  /** Told of what a handler threw; the client saw status 500. */
  readonly onDefect: (error: unknown) => void;
}

/** Starts it; ADDRESS_UNAVAILABLE when it cannot listen there. */
export async function serveHttp({ listen, onRequest, onDefect }: HttpServerOptions): Promise<HttpServer> {
  const { host, port } = parseAddress(listen);
  let local = true;
  const server = http.createServer(
    {
      maxHeaderSize: MAX_HTTP_HEADER_BYTES,
      requestTimeout: REQUEST_MS,
      headersTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: REQUEST_MS / 2,
    },
    (request, response) => {
      if (local && !LOOPBACK.test(request.headers.host ?? '')) {
        answer(response, 403, 'text/plain', 'ask for this page as 127.0.0.1 or localhost\n');
        return;
      }
      onRequest(request, response).catch((error: unknown) => {
        onDefect(error);
        if (response.headersSent) response.destroy();
        else answer(response, 500, 'text/plain', 'this went wrong; the log of the agent says how\n');
      });
    },
  );
  server.maxConnections = MAX_HTTP_CONNECTIONS;
  server.on('clientError', (_error, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const why = `cannot listen on ${listen}: ${messageOf(error)}`;
      reject(new DiskswarmError('ADDRESS_UNAVAILABLE', why, { data: { listen }, cause: error }));
    });
    server.listen(port, host, resolve);
  });
  const bound = server.address() as AddressInfo;
  const address = formatAddress(bound.address, bound.port);
  local = LOOPBACK.test(address);
  let stopping: Promise<void> | null = null;
  return {
    listen: address,
    stop: () => {
      stopping ??= new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      return stopping;
    },
  };
}

/** Answers in one piece. What a request still sends is not read: then its connection ends. */
export function answer(
  response: http.ServerResponse,
  status: number,
  type: string,
  body: string | Uint8Array,
  headers: http.OutgoingHttpHeaders = {},
): void {
  if (!response.req.complete) response.shouldKeepAlive = false;
  response.writeHead(status, {
    ...headers,
    'Content-Type': type,
    'Content-Length': typeof body === 'string' ? Buffer.byteLength(body) : body.length,
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',
  });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

/** The path that is asked for, without a query. */
export function pathOf(request: http.IncomingMessage): string {
  const url = request.url ?? '';
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}
