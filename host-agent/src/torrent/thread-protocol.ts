/** What the agent's thread and the threads of torrents ask each other. */

type Call<Args, Result> = (args: Args, options: { signal: AbortSignal }) => Promise<Result> | Result;

/** How a torrent that is given away does. */
export interface SeedStatus {
  readonly infoHash: string;
  readonly peers: number;
  readonly uploadedBytes: number;
}

/** Answered by the thread that seeds. */
export type SeedThreadCalls = {
  /** The port it listens at. */
  port: Call<null, number>;
  add: Call<
    {
      readonly infoHash: string;
      readonly metainfo: Uint8Array;
      readonly sizeBytes: number;
      readonly pieceBytes: number;
    },
    void
  >;
  remove: Call<string, void>;
  status: Call<null, readonly SeedStatus[]>;
};

/** What it asks the agent. */
export type SeedOwnerCalls = {
  ready: Call<null, void>;
  /** Bytes of a torrent that may be given; rejects for any other. */
  read: Call<{ readonly infoHash: string; readonly offsetBytes: number; readonly lengthBytes: number }, Uint8Array>;
  /** Resolves when so many bytes may leave this host. */
  spend: Call<number, void>;
};

export interface SeedThreadOptions {
  readonly kind: 'seed';
  /** HOST:PORT */
  readonly listen: string;
  /** What leaves must be asked for. */
  readonly limited: boolean;
}

export interface FetchThreadOptions {
  readonly kind: 'fetch';
  /** HOST:PORT */
  readonly listen: string;
  /** A magnet link of ours, or a .torrent file. */
  readonly torrent: string | Uint8Array;
  readonly infoHash: string;
  /** The path of the file to take; null for the only one. */
  readonly file: string | null;
  /** Where its bytes go, the file's first at 0. */
  readonly scratch: string;
  readonly dht: boolean;
}

/** The file that is being fetched. */
export interface FetchedFile {
  readonly lengthBytes: number;
  /** Of its first byte in the torrent. */
  readonly offsetBytes: number;
  readonly pieceBytes: number;
  /** Root of its hash tree, of a hybrid torrent; null otherwise. */
  readonly root: Uint8Array | null;
}

/** The thread that fetches is asked nothing. */
export type FetchThreadCalls = Record<never, never>;

/** What the thread that fetches tells the agent. */
export type FetchOwnerCalls = {
  described: Call<FetchedFile, void>;
  /** A piece is in the scratch file, and right. */
  verified: Call<number, void>;
  /** Nothing more will come. */
  failed: Call<
    { readonly code: 'TORRENT_INVALID' | 'DISK_FULL' | 'EXTERNAL_TOOL_FAILED'; readonly message: string },
    void
  >;
};
