/**
 * What the agent's thread and an attachment's thread ask each other. Faults and bookkeeping only: guest I/O never crosses.
 */
import type { ChunkLocation, PieceIndex, Priority } from '@diskswarm/core';
import type { FrozenLayerName, LeafView } from '@diskswarm/disk';
import type { AttachmentSpec, AttachmentStatus, BaseGeneration, WriteLoad } from './attachment.ts';

/** What a thread is started with. */
export interface ThreadOptions {
  readonly spec: AttachmentSpec;
  /** Absolute path of the state folder. */
  readonly storageRoot: string;
}

type Call<Args, Result> = (args: Args, options: { signal: AbortSignal }) => Promise<Result> | Result;

/** Answered by the attachment's thread. */
export type ThreadCalls = {
  status: Call<null, AttachmentStatus>;
  freeze: Call<null, readonly FrozenLayerName[]>;
  rebase: Call<{ base: BaseGeneration; layer: number; changedLeaves: readonly number[] }, void>;
  hold: Call<{ readonly wait: boolean }, void>;
  resume: Call<null, void>;
  slowWrites: Call<number, WriteLoad>;
  activate: Call<BaseGeneration, void>;
  distrust: Call<null, void>;
  fence: Call<null, void>;
  close: Call<null, void>;
};

/** Answered by the agent's thread. */
export type OwnerCalls = {
  ready: Call<null, void>;
  peek: Call<number, LeafView | null>;
  resolve: Call<{ piece: PieceIndex; priority: Priority }, LeafView>;
  damaged: Call<{ piece: PieceIndex; location: ChunkLocation }, void>;
  /** First touches in order, several at once. */
  touched: Call<readonly PieceIndex[], void>;
  failed: Call<{ message: string }, void>;
  defect: Call<{ message: string }, void>;
};
