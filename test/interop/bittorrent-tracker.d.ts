/** The part of bittorrent-tracker's server that the tests use; it comes without types. */
declare module 'bittorrent-tracker/server' {
  export default class Server {
    constructor(options: { http: boolean; udp: boolean; ws: boolean; stats: boolean; interval: number });
    readonly http: import('node:http').Server;
    readonly torrents: Readonly<Record<string, { readonly complete: number; readonly incomplete: number }>>;
    listen(ports: { http: number }, hosts: { http: string }, listening: () => void): void;
    close(done: () => void): void;
  }
}
