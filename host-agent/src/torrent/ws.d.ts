/** What is used of ws, which brings no types of its own. */
declare module 'ws' {
  import type { EventEmitter } from 'node:events';

  export default class WebSocket extends EventEmitter {
    constructor(
      url: string,
      options: { maxPayload: number; handshakeTimeout: number; perMessageDeflate: false; followRedirects: false },
    );
    static readonly OPEN: number;
    readonly readyState: number;
    readonly bufferedAmount: number;
    send(text: string): void;
    terminate(): void;
  }

  /** For tests. */
  export class WebSocketServer extends EventEmitter {
    constructor(options: { host: string; port: number; perMessageDeflate: false });
    readonly clients: ReadonlySet<WebSocket>;
    address(): unknown;
    close(): void;
  }
}
