/** The part of bittorrent-tracker that is measured against; it comes without types. */
declare module 'bittorrent-tracker/server' {
  export default class Server {
    constructor(options: { http: boolean; udp: boolean; ws: boolean; stats: boolean; peersCacheLength: number });
    on(event: string, listener: (value: unknown) => void): this;
    once(event: 'listening', listener: () => void): this;
    listen(ports: { udp: number }, hosts: { udp: string; udp6: string }): void;
  }
}
