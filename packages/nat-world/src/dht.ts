/** A DHT of ten nodes in this process. The single place here that imports hyperdht. */
import createTestnet from 'hyperdht/testnet.js';

export interface LocalDht {
  /** HOST:PORT of nodes to enter by. */
  readonly bootstrap: readonly string[];
  close(): Promise<void>;
}

/** As few nodes as can tell a host what its NAT does. */
const NODES = 10;

/** Runs the nodes at one address of this machine, each at a port of its own. */
export async function startDht(host: string): Promise<LocalDht> {
  const network = await createTestnet(NODES, { host });
  return {
    bootstrap: network.bootstrap.map((node) => `${node.host}:${node.port}`),
    close: () => network.destroy(),
  };
}
