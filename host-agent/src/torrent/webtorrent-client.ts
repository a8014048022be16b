/**
 * A BitTorrent client that keeps to itself and to its bounds. The single place that imports `webtorrent`, in threads of its own only.
 *
 * What it would do on its own is turned off: it maps no ports at routers, calls nobody on the LAN, fetches from no web server. Where pieces
 * lie is the caller's business, and so is what is fetched and given.
 */
/// <reference path="./webtorrent.d.ts" />
import net from 'node:net';
import { parseAddress } from '@diskswarm/core';
import type { Torrent } from 'webtorrent';
import { withoutNativeCode } from './without-native-code.ts';

export type { Torrent };

const { default: WebTorrent } = await withoutNativeCode(() => import('webtorrent'));

/** Connections of one client. */
const MAX_TORRENT_CONNECTIONS = 64;

type Done = (error: Error | null, bytes?: Uint8Array) => void;

/** Where the pieces of one torrent lie: webtorrent's form of a store (abstract-chunk-store). */
export interface PieceStore {
  /** Bytes of a piece from `offset` on; all of it unless `length` says less. */
  get(piece: number, options: { offset?: number; length?: number } | undefined, done: Done): void;
  /** A whole piece whose hash is right; it may be kept. */
  put(piece: number, bytes: Uint8Array, done: Done): void;
  close(done: Done): void;
  destroy(done: Done): void;
}

export interface ClientOptions {
  /** HOST:PORT; port 0 picks a free one, and so does one that is taken. */
  readonly listen: string;
  /** Look in BitTorrent's public DHT. */
  readonly dht: boolean;
}

export class TorrentClient {
  readonly #client: InstanceType<typeof WebTorrent>;

  private constructor(client: InstanceType<typeof WebTorrent>) {
    this.#client = client;
  }

  /** Starts one; rejects when the address cannot be listened at. */
  static async start({ listen, dht }: ClientOptions): Promise<TorrentClient> {
    const { host, port } = parseAddress(listen);
    try {
      return await TorrentClient.#listen(host, port, dht);
    } catch (error) {
      if (port === 0 || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      return TorrentClient.#listen(host, 0, dht);
    }
  }

  /** Where peers connect. */
  get port(): number {
    return this.#client.torrentPort;
  }

  /** Gives what is whole in `store`, which is not looked through first. */
  seed(metainfo: Uint8Array, store: PieceStore): Torrent {
    return this.#client.add(metainfo, { preloadedStore: store, storeCacheSlots: 0, skipVerify: true });
  }

  /**
   * Looks for a torrent's metadata and fetches nothing before it was asked to: `storeFor` sees the metadata first. What is in the store already is looked
   * through, and `verified` is told of every piece, then and later.
   */
  fetch(torrent: Uint8Array | string, storeFor: (torrent: Torrent) => PieceStore): Torrent {
    // webtorrent constructs it once it has the metadata.
    class FetchStore implements PieceStore {
      readonly #store: PieceStore;

      constructor(_pieceBytes: number, options: { torrent: Torrent }) {
        this.#store = storeFor(options.torrent);
      }

      get: PieceStore['get'] = (...all) => this.#store.get(...all);
      put: PieceStore['put'] = (...all) => this.#store.put(...all);
      close: PieceStore['close'] = (done) => this.#store.close(done);
      destroy: PieceStore['destroy'] = (done) => this.#store.destroy(done);
    }
    return this.#client.add(torrent, { store: FetchStore, storeCacheSlots: 0, deselect: true });
  }

  /** Lets go of every peer and tracker. */
  stop(): Promise<void> {
    return new Promise((resolve) => this.#client.destroy(resolve));
  }

  static #listen(host: string, port: number, dht: boolean): Promise<TorrentClient> {
    const { listen } = net.Server.prototype;
    // webtorrent has no option for the address, nor a bound on who connects; it listens while it is constructed.
    net.Server.prototype.listen = function (this: net.Server, wanted: unknown, done: unknown): net.Server {
      this.maxConnections = MAX_TORRENT_CONNECTIONS;
      // It writes a block's header by itself: put off, each block would wait for the peer's acknowledgement of the one before.
      this.on('connection', (socket: net.Socket) => socket.setNoDelay(true));
      return listen.call(this, { host, port: Number(wanted) }, done as () => void);
    } as typeof listen;
    try {
      const client = new WebTorrent({
        torrentPort: port,
        maxConns: MAX_TORRENT_CONNECTIONS,
        dht: dht ? {} : false,
        lsd: false,
        natUpnp: false,
        natPmp: false,
        utp: false,
        webSeeds: false,
        // None is loaded (without-native-code.ts).
        tracker: { wrtc: false },
      });
      return new Promise((resolve, reject) => {
        client.once('listening', () => resolve(new TorrentClient(client)));
        // Later ones end the thread, as anything does that nobody expected.
        client.once('error', reject);
      });
    } finally {
      net.Server.prototype.listen = listen;
    }
  }
}
