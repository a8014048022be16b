/** The parts of `hyperdht` and `@hyperswarm/secret-stream` that are used here and in tests; the packages have no types of their own. */
declare module '@hyperswarm/secret-stream' {
  import { Duplex } from 'node:stream';

  /** An encrypted stream over another one. */
  export default class NoiseSecretStream extends Duplex {
    constructor(isInitiator: boolean, rawStream: object | null, options: object);
    /** 64 bytes, from the handshake on. */
    readonly handshakeHash: Buffer | null;
    readonly remotePublicKey: Buffer | null;
    readonly rawStream: {
      /** Bytes sent and not acknowledged. */
      readonly inflight: number;
    } | null;
    /** Called once, by the constructor or later. */
    start(rawStream: object, options?: object): void;
    /** Resolves when what was written so far is acknowledged; false when the stream ended. */
    flush(): Promise<boolean>;
  }
}

declare module 'hyperdht' {
  import type NoiseSecretStream from '@hyperswarm/secret-stream';

  /** Makes the stream of a connection. */
  type CreateSecretStream = (isInitiator: boolean, rawStream: object | null, options: object) => NoiseSecretStream;

  namespace HyperDHT {
    interface KeyPair {
      readonly publicKey: Buffer;
      readonly secretKey: Buffer;
    }
    interface NodeAddress {
      readonly host: string;
      readonly port: number;
    }
    /** What a node of the DHT answers to a question about a topic. */
    interface TopicAnswer {
      readonly peers: readonly { readonly publicKey: Buffer; readonly relayAddresses: readonly NodeAddress[] }[];
    }
    /** Yields the answers that say something. */
    interface Query<Answer> extends AsyncIterable<Answer> {
      /** Nodes that answered, whatever they said. */
      readonly successes: number;
    }
    /** What a host that connects says of itself before the connection is made. */
    interface HandshakePayload {
      readonly relayThrough: object | null;
    }
    interface Options {
      bootstrap?: readonly NodeAddress[];
      host?: string;
      port?: number;
      ephemeral?: boolean;
      keyPair?: KeyPair;
    }
    interface Routes {
      _onconnect(publicKey: Buffer, rawStream: { readonly socket: object }): void;
    }
    interface Server {
      readonly relayAddresses: readonly NodeAddress[];
      listen(keyPair: KeyPair): Promise<Server>;
      close(): Promise<void>;
    }
  }

  class HyperDHT {
    constructor(options: HyperDHT.Options);
    /** The node's own; those that punch are others. */
    readonly socket: object;
    /** Ways on which other hosts were reached, by their keys. */
    readonly _socketPool: { readonly routes: HyperDHT.Routes };
    static keyPair(): HyperDHT.KeyPair;
    /** What a NAT does with ports. */
    static readonly FIREWALL: { readonly RANDOM: number };
    createServer(
      options: {
        reusableSocket: boolean;
        shareLocalAddress: boolean;
        createSecretStream: CreateSecretStream;
        firewall(publicKey: Buffer, payload: HyperDHT.HandshakePayload): boolean;
      },
      onConnection: (stream: NoiseSecretStream) => void,
    ): HyperDHT.Server;
    connect(
      publicKey: Uint8Array,
      options: {
        keyPair: HyperDHT.KeyPair;
        reusableSocket: boolean;
        localConnection?: boolean;
        /** Asked before punching begins, with what the NATs of both are; false gives it up. */
        holepunch?(remoteNat: number, localNat: number): boolean;
        createSecretStream: CreateSecretStream;
        relayAddresses: readonly HyperDHT.NodeAddress[];
      },
    ): NoiseSecretStream;
    announce(
      topic: Uint8Array,
      keyPair: HyperDHT.KeyPair,
      relayAddresses: readonly HyperDHT.NodeAddress[],
    ): HyperDHT.Query<HyperDHT.TopicAnswer>;
    unannounce(topic: Uint8Array, keyPair: HyperDHT.KeyPair): Promise<void>;
    destroy(options?: { force?: boolean }): Promise<void>;
  }
  export default HyperDHT;
}

declare module 'hyperdht/testnet.js' {
  export default function createTestnet(
    size: number,
    options: { host: string },
  ): Promise<{ readonly bootstrap: readonly { host: string; port: number }[]; destroy(): Promise<void> }>;
}
