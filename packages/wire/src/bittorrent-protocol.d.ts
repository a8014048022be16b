/** The part of the `bittorrent-protocol` package that bittorrent-channel.ts uses, its overridden internals included. */
declare module 'bittorrent-protocol' {
  type Respond = (error: Error | null, bytes?: Uint8Array) => void;

  export interface WireEvents {
    handshake(infoHash: string, peerId: string, extensions: { fast: boolean; extended: boolean }): void;
    request(index: number, offset: number, length: number, respond: Respond): void;
    cancel(index: number, offset: number, length: number): void;
    piece(index: number, offset: number, bytes: Uint8Array): void;
    reject(index: number, offset: number, length: number): void;
    choke(): void;
    unchoke(): void;
    extended(name: string | number, payload: unknown): void;
    error(error: Error): void;
  }

  export default class Wire {
    readonly peerChoking: boolean;
    readonly amChoking: boolean;
    readonly peerExtendedMapping: Record<string, number>;
    /** Our own extensions, by the numbers that the peer uses. */
    readonly extendedMapping: Record<number, string>;
    handshake(infoHash: Uint8Array, peerId: Uint8Array, extensions: { fast: boolean }): void;
    use(extension: new () => object): void;
    choke(): void;
    unchoke(): void;
    interested(): void;
    request(index: number, offset: number, length: number, callback: () => void): void;
    cancel(index: number, offset: number, length: number): void;
    reject(index: number, offset: number, length: number): void;
    extended(name: string, payload: Uint8Array): void;
    destroy(): void;
    on<Name extends keyof WireEvents>(name: Name, listener: WireEvents[Name]): this;
    /** Where every outgoing message passes: whole, except that a piece's bytes follow their header in a call of their own. */
    _push(data: Uint8Array): boolean;
    /** Takes bytes in; processes them before it returns. */
    _write(data: Uint8Array, done: () => void): void;
  }
}
