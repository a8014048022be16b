/** What the announcer needs from the network: one announce to one tracker. The real one is transport/http-tracker.ts. */
import type { AnnounceRequest, AnnounceResponse } from '@diskswarm/announce';

export interface TrackerClient {
  /** Rejects with PEER_UNREACHABLE, FORMAT_INVALID or ABORTED. */
  announce(url: string, request: AnnounceRequest, options: { signal: AbortSignal }): Promise<AnnounceResponse>;
}
