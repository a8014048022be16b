/** Announces over HTTP: one bounded answer, one time limit, no redirects. What is said and read is packages/announce's. */
import { type AnnounceRequest, buildAnnounceUrl, MAX_RESPONSE_BYTES, parseAnnounceResponse } from '@diskswarm/announce';
import { DiskswarmError } from '@diskswarm/core';
import type { TrackerClient } from '../discovery/tracker-client.ts';

const TIMEOUT_MS = 15_000;

/** The real client. */
export const httpTracker: TrackerClient = {
  async announce(url: string, request: AnnounceRequest, { signal }: { signal: AbortSignal }) {
    const target = buildAnnounceUrl(url, request);
    let body: Uint8Array;
    try {
      const response = await fetch(target, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
        redirect: 'error',
        headers: { 'user-agent': 'diskswarm', connection: 'close' },
      });
      body = await readBounded(response);
    } catch (error) {
      if (error instanceof DiskswarmError) throw error;
      if (signal.aborted) throw new DiskswarmError('ABORTED', 'the announce was given up', { cause: error });
      throw new DiskswarmError('PEER_UNREACHABLE', `the tracker ${url} does not answer`, {
        data: { url },
        cause: error,
      });
    }
    return parseAnnounceResponse(body);
  },
};

async function readBounded(response: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let lengthBytes = 0;
  for await (const part of response.body ?? []) {
    lengthBytes += part.length;
    if (lengthBytes > MAX_RESPONSE_BYTES) {
      throw new DiskswarmError('LIMIT_EXCEEDED', `a tracker's answer of more than ${MAX_RESPONSE_BYTES} bytes`);
    }
    parts.push(part);
  }
  // A refusal may come with any status; its body says why.
  if (lengthBytes === 0) {
    throw new DiskswarmError('PEER_UNREACHABLE', `the tracker answers with status ${response.status}`, {
      data: { status: response.status },
    });
  }
  return Buffer.concat(parts);
}
