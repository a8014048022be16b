/** What the thread that gives torrents tells the process that lets browsers in. */

/** The whole of it each time; the last one counts. */
export interface WebGatewayOrders {
  /** Where the client of torrents listens: HOST:PORT. */
  readonly listen: string;
  readonly torrents: readonly {
    /** 40 hex digits. */
    readonly infoHash: string;
    /** Announce URLs that speak WebSocket. */
    readonly trackers: readonly string[];
  }[];
}

/** Browsers meet there; a client without WebRTC has no use for it. */
export function isWebTracker(announceUrl: string): boolean {
  return /^wss?:/i.test(announceUrl);
}
