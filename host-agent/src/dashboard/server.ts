/**
 * What a browser can ask of the dashboard: its files, a session for a code, the live events, and an invitation. Nothing else, and nothing
 * but the files without a session.
 *
 * The session's secret travels in the Authorization header, which no page of another origin can set: so no request is made in the
 * user's name by accident. A body is JSON, small, and checked here.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Address, hasCode } from '@diskswarm/core';
import { NAME_PATTERN, parseHostId } from '@diskswarm/identity';
import { answer, type HttpServer, pathOf, serveHttp } from '../http/http-server.ts';
import type { DashboardAccess } from './access.ts';
import { type Asset, SECURITY_HEADERS } from './assets.ts';
import type { InvitationDesk, WantedInvitation } from './invitation-desk.ts';
import type { LiveStreams } from './live-streams.ts';
import { qrCodeOf } from './qr-code.ts';

const MAX_DASHBOARD_BODY_BYTES = 4096;
const JSON_TYPE = 'application/json';
const ROLES = ['reader', 'writer', 'keeper'] as const;

export interface DashboardServerOptions {
  readonly listen: Address;
  readonly assets: ReadonlyMap<string, Asset>;
  readonly access: DashboardAccess;
  readonly desk: InvitationDesk;
  readonly streams: LiveStreams;
  readonly onDefect: (error: unknown) => void;
}

/** Starts it; ADDRESS_UNAVAILABLE when it cannot listen there. */
export function serveDashboard(options: DashboardServerOptions): Promise<HttpServer> {
  const { listen, onDefect } = options;
  return serveHttp({ listen, onDefect, onRequest: (request, response) => respond(options, request, response) });
}

async function respond(
  options: DashboardServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { assets, access, streams } = options;
  const path = pathOf(request);
  const asset = assets.get(path);
  if (asset !== undefined) {
    if (request.method === 'GET' || request.method === 'HEAD')
      answer(response, 200, asset.type, asset.bytes, SECURITY_HEADERS);
    else refuse(response, 405, 'only GET is served here');
  } else if (path === '/api/session' && request.method === 'POST') {
    const body = await bodyOf(request);
    const session = typeof body?.code === 'string' ? access.redeem(body.code) : null;
    if (session === null) refuse(response, 401, 'this link was used already, or is older than ten minutes');
    else say(response, 200, { session });
  } else if (path === '/api/events' && request.method === 'GET') {
    if (!admitted(access, request)) refuse(response, 401, 'this page has no session');
    else if (!streams.add(response, SECURITY_HEADERS)) refuse(response, 503, 'too many pages are open');
  } else if (path === '/api/invitations' && request.method === 'POST') {
    if (!admitted(access, request)) refuse(response, 401, 'this page has no session');
    else await invite(options.desk, await bodyOf(request), response);
  } else refuse(response, 404, 'there is nothing here');
}

function admitted(access: DashboardAccess, request: IncomingMessage): boolean {
  const secret = /^Bearer ([0-9a-f]{64})$/.exec(request.headers.authorization ?? '')?.[1];
  return secret !== undefined && access.admits(secret);
}

async function invite(
  desk: InvitationDesk,
  body: Readonly<Record<string, unknown>> | null,
  response: ServerResponse,
): Promise<void> {
  const wanted = wantedOf(body);
  if (typeof wanted === 'string') {
    refuse(response, 400, wanted);
    return;
  }
  const signed = await desk.want(wanted);
  if (signed.kind === 'made') {
    say(response, 200, { invitation: signed.invitation, qr: qrCodeOf(signed.invitation) });
  } else if (signed.kind === 'refused') {
    refuse(response, 409, signed.reason);
  } else {
    const { name, hostId, role } = wanted;
    say(response, 409, {
      error: "nobody is here who holds the owner's key",
      command: `diskswarm disk grant ${name} --host ${hostId} --role ${role}`,
    });
  }
}

/** What is asked for, checked; else why it is none. */
function wantedOf(body: Readonly<Record<string, unknown>> | null): WantedInvitation | string {
  const { name, hostId } = body ?? {};
  const role = ROLES.find((each) => each === body?.role);
  if (typeof name !== 'string' || !NAME_PATTERN.test(name)) return 'choose a disk';
  if (role === undefined) return 'choose what the host may do';
  if (typeof hostId !== 'string' || !/^[0-9a-f]{136}$/.test(hostId))
    return 'this is no host id: it has 136 digits and letters from a to f, and "diskswarm host id" prints it on the other host';
  try {
    return { name, role, hostId: parseHostId(hostId) };
  } catch (error) {
    if (!hasCode(error, 'INVALID_ID')) throw error;
    return 'this host id was mistyped: its checksum is wrong';
  }
}

/** A JSON object of a small body; null for anything else. */
async function bodyOf(request: IncomingMessage): Promise<Readonly<Record<string, unknown>> | null> {
  if (request.headers['content-type'] !== JSON_TYPE) return null;
  const parts: Buffer[] = [];
  let heldBytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    heldBytes += part.length;
    if (heldBytes > MAX_DASHBOARD_BODY_BYTES) return null;
    parts.push(part);
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(parts).toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function say(response: ServerResponse, status: number, document: object): void {
  if (!response.destroyed) answer(response, status, JSON_TYPE, JSON.stringify(document), SECURITY_HEADERS);
}

function refuse(response: ServerResponse, status: number, error: string): void {
  say(response, status, { error });
}
