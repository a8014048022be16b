/** The part of hyperdht that makes a local network for tests; it comes without types. */
declare module 'hyperdht/testnet.js' {
  export default function createTestnet(
    size: number,
    options: { host: string },
  ): Promise<{
    readonly bootstrap: readonly { readonly host: string; readonly port: number }[];
    destroy(): Promise<void>;
  }>;
}
