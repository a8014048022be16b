/**
 * The thread of one attachment: its NBD server and its data path (design D13).
 *
 * Guest requests are answered here; only faults, first looks at a leaf, and bookkeeping go to the agent's thread. First touches are
 * gathered for a moment before they are told.
 */
import os from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import type { PieceIndex } from '@diskswarm/core';
import { FolderStorage, systemClock } from '@diskswarm/core/system';
import { RequestCounter } from '@diskswarm/nbd';
import { startNbdServer } from '../export/index.ts';
import type { AttachmentOwner } from './attachment.ts';
import { AttachmentBody } from './attachment-body.ts';
import { PortCalls } from './port-calls.ts';
import type { OwnerCalls, ThreadCalls, ThreadOptions } from './thread-protocol.ts';

/** First touches are told after this long, or when this many are gathered. */
const TOUCH_DELAY_MS = 100;
const TOUCH_BATCH = 1024;
/** Part of the machine's memory that its page cache is thought to give one disk; a wrong guess costs a stall of one read, no more. */
const WARM_SHARE = 0.2;

const port = parentPort;
if (port === null) throw new Error('worker.ts runs as a thread of the agent');
const { spec, storageRoot } = workerData as ThreadOptions;

const counter = new RequestCounter();
let touched: PieceIndex[] = [];
const tellTouched = (): void => {
  if (touched.length === 0) return;
  agent.tell('touched', touched);
  touched = [];
};
const owner: AttachmentOwner = {
  peek: (leaf) => agent.call('peek', leaf),
  resolve: (piece, priority, { signal }) => agent.call('resolve', { piece, priority }, { signal }),
  damaged: (piece, location) => agent.tell('damaged', { piece, location }),
  touched: (piece) => {
    if (touched.push(piece) === 1) systemClock.setTimer(TOUCH_DELAY_MS, tellTouched, { background: true });
    if (touched.length >= TOUCH_BATCH) tellTouched();
  },
  failed: (error) => {
    void server.fence(spec.exportName);
    agent.tell('failed', { message: error.message });
  },
};
const calls: ThreadCalls = {
  status: () => {
    const clients = server.connections();
    return {
      state: body.state,
      clients: clients.length,
      writableClients: clients.filter((client) => client.writable).length,
      ...body.writeCounts,
      requests: counter.counts,
    };
  },
  freeze: () => body.freeze(),
  rebase: ({ base, layer, changedLeaves }) => body.rebase(base, layer, changedLeaves),
  hold: (options) => body.hold(options),
  resume: () => body.resume(),
  slowWrites: (delayUs) => body.slowWrites(delayUs),
  activate: (base) => body.activate(base),
  distrust: () => body.distrust(),
  fence: async () => {
    body.fence();
    await server.fence(spec.exportName);
  },
  close: async () => {
    const stopped = server.stop();
    // The connections are gone: writes that wait for a chunk were not acknowledged, and nobody waits for them.
    body.fence();
    await stopped;
    await body.close();
    tellTouched();
  },
};
const agent = new PortCalls<OwnerCalls>(port, calls);
const body = await AttachmentBody.open(spec, new FolderStorage(storageRoot), owner, {
  clock: systemClock,
  warmBytes: os.totalmem() * WARM_SHARE,
});
const server = await startNbdServer({
  socketPath: spec.socketPath,
  exports: [
    {
      name: spec.exportName,
      description: `diskswarm disk ${spec.disk}`,
      backing: body.view,
      multiConn: false,
      gate: body.pace,
      counter,
    },
  ],
  clock: systemClock,
  onDefect: (error) =>
    agent.tell('defect', { message: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
}).catch(async (error: unknown) => {
  await body.close();
  throw error;
});
agent.tell('ready', null);
