/**
 * The link between two agents: a TCP relay of the test's own that can be slowed, held and cut.
 *
 * Each agent listens on 127.0.0.1 and is reached at the same port of LINK_HOST. The relay connects from LINK_HOST too, so that what one agent
 * learns of where the other is leads through here again. Bytes that are held are late, never lost; a cut resets every connection.
 */
import net from 'node:net';

export const LINK_HOST = '127.0.0.9';

/** Read ahead of what the link carries, for each connection and direction. */
const MAX_QUEUED_BYTES = 65_536;

export type Direction = 'there' | 'back';

interface Lane {
  held: boolean;
  /** Milliseconds of the monotonic clock at which the link is free again. */
  freeAtMs: number;
  readonly pipes: Set<Pipe>;
}

export class Relay {
  readonly #lanes: Readonly<Record<Direction, Lane>> = {
    there: { held: false, freeAtMs: 0, pipes: new Set() },
    back: { held: false, freeAtMs: 0, pipes: new Set() },
  };
  readonly #servers: net.Server[] = [];
  readonly #sockets = new Set<net.Socket>();
  #bytesPerSecond = Number.POSITIVE_INFINITY;
  #down = false;

  /** Makes a host reachable; `towards` is the direction of who connects to it. Resolves with the port it has to listen at, on 127.0.0.1. */
  async listen(towards: Direction): Promise<number> {
    const server = net.createServer({ allowHalfOpen: true }, (near) => {
      const { port } = server.address() as net.AddressInfo;
      this.#join(near, port, towards);
    });
    this.#servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, LINK_HOST, resolve);
    });
    return (server.address() as net.AddressInfo).port;
  }

  /** Of each direction. */
  limit(bytesPerSecond: number): void {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Nothing gets through in these directions until `release`. */
  hold(...directions: readonly Direction[]): void {
    for (const direction of directions) this.#lanes[direction].held = true;
  }

  release(): void {
    for (const lane of Object.values(this.#lanes)) {
      lane.held = false;
      for (const pipe of lane.pipes) pipe.pump();
    }
  }

  /** The link is down: what is connected breaks, and nobody connects until `restore`. */
  cut(): void {
    this.#down = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  restore(): void {
    this.#down = false;
  }

  close(): void {
    this.cut();
    for (const server of this.#servers) server.close();
  }

  #join(near: net.Socket, port: number, towards: Direction): void {
    if (this.#down) {
      near.resetAndDestroy();
      return;
    }
    const far = net.connect({ host: '127.0.0.1', port, localAddress: LINK_HOST, allowHalfOpen: true });
    const away: Direction = towards === 'there' ? 'back' : 'there';
    for (const [from, to, direction] of [
      [near, far, towards],
      [far, near, away],
    ] as const) {
      from.setNoDelay(true);
      this.#sockets.add(from);
      const lane = this.#lanes[direction];
      const pipe = new Pipe(from, to, lane, () => this.#bytesPerSecond);
      lane.pipes.add(pipe);
      from.on('error', () => {});
      from.on('close', () => {
        this.#sockets.delete(from);
        lane.pipes.delete(pipe);
        if (from.errored) to.destroy();
      });
    }
  }
}

/** One direction of one connection. */
class Pipe {
  readonly #from: net.Socket;
  readonly #to: net.Socket;
  readonly #lane: Lane;
  readonly #rate: () => number;
  readonly #queue: Buffer[] = [];
  #queuedBytes = 0;
  #ended = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(from: net.Socket, to: net.Socket, lane: Lane, rate: () => number) {
    this.#from = from;
    this.#to = to;
    this.#lane = lane;
    this.#rate = rate;
    from.on('data', (bytes) => {
      this.#queue.push(bytes);
      this.#queuedBytes += bytes.length;
      if (this.#queuedBytes > MAX_QUEUED_BYTES) from.pause();
      this.pump();
    });
    from.on('end', () => {
      this.#ended = true;
      this.pump();
    });
    to.on('drain', () => this.pump());
    to.on('close', () => from.destroy());
  }

  /** Passes on what the link carries now. */
  pump(): void {
    while (!this.#lane.held && this.#queue.length > 0 && !this.#to.writableNeedDrain) {
      const now = performance.now();
      if (this.#lane.freeAtMs > now + 1) {
        this.#timer ??= setTimeout(() => {
          this.#timer = null;
          this.pump();
        }, this.#lane.freeAtMs - now);
        return;
      }
      const bytes = this.#queue.shift()!;
      this.#queuedBytes -= bytes.length;
      this.#lane.freeAtMs = Math.max(now, this.#lane.freeAtMs) + (bytes.length * 1000) / this.#rate();
      this.#to.write(bytes);
    }
    if (this.#queuedBytes <= MAX_QUEUED_BYTES) this.#from.resume();
    if (this.#ended && this.#queue.length === 0 && !this.#to.writableEnded) this.#to.end();
  }
}
