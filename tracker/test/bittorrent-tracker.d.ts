/** The part of bittorrent-tracker that the tests use; it comes without types. */
declare module 'bittorrent-tracker/client' {
  export default class Client {
    constructor(options: { infoHash: string; peerId: Uint8Array; announce: string[]; port: number });
  }
}
