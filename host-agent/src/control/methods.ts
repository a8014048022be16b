/**
 * What the CLI can ask a running agent: the methods of the control socket with their parameters and results.
 *
 * Results are what `--json` prints (fields are only ever added). Signed records travel as lower-case hex: the CLI makes them
 * with the owner's key, which the agent never sees. Byte counts and counts are integers, times ISO 8601, ids hex.
 */
import type { DashboardMethods } from './dashboard-methods.ts';
import type { BaseInfo, TemplateInfo, TemplateMethods } from './template-methods.ts';
import type { TorrentMethods } from './torrent-methods.ts';

/** Owner-signed records that make a disk on this host. */
export interface NewDiskRecords {
  readonly genesis: string;
  /** Roster with the wrapped swarm secret of every member. */
  readonly rosterBundle: string;
  /** First epoch record: grants epoch 1 to this host. */
  readonly grant: string;
}

/** What the owner's key holder needs to change a disk's roster or to fork it. */
export interface OwnerView {
  readonly diskId: string;
  readonly genesis: string;
  readonly rosterBundle: string;
  readonly epochRecords: readonly string[];
  /** The signed record of the newest sealed generation that is known here; null before the first one. */
  readonly headGeneration: string | null;
  readonly epoch: number;
  readonly sequence: number;
  /** The swarm secret, to wrap for a new member; only ever on the control socket (0600). */
  readonly swarmSecret: string;
  readonly trackers: readonly string[];
  readonly addresses: readonly string[];
}

type Role = 'reader' | 'writer' | 'keeper';

export interface DiskInfo {
  readonly diskId: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly chunkSizeBytes: number;
  readonly sequence: number;
  readonly epoch: number;
  readonly ownerHostId: string;
  readonly role: Role;
  /** The owner took this host's access away. */
  readonly revoked: boolean;
  readonly root: string;
  readonly piecesTotal: number;
  readonly piecesZero: number;
  readonly piecesPresent: number;
  readonly overlayDirtyBytes: number;
  /** null when not attached. */
  readonly attached: AttachmentInfo | null;
  readonly safeToSwitchOff: boolean;
  /** Why it is not safe, in plain words; empty when it is. */
  readonly safeReasons: readonly string[];
  readonly forkName: string | null;
  /** A newer generation than any here, as trackers tell; null where none is known. */
  readonly newerGeneration?: { readonly epoch: number; readonly sequence: number; readonly hostId: string } | null;
  /** What a clone was made of; null for a disk that is no clone. */
  readonly base: BaseInfo | null;
  /** The fleet that a clone was started in; null for others. */
  readonly fleet: string | null;
  /** Generations that clones may be made of, and those that were retired. */
  readonly templates: readonly TemplateInfo[];
}

export interface AttachmentInfo {
  readonly uri: string;
  readonly socket: string;
  readonly exportName: string;
  readonly state: 'read-only' | 'incoming' | 'writable' | 'held' | 'fenced';
  readonly readOnly: boolean;
  readonly clients: number;
  /** What whoever attaches it should know; left out where there is nothing. */
  readonly warning?: string;
}

export interface HistoryEntry {
  readonly generationId: string;
  readonly sequence: number;
  readonly epoch: number;
  readonly root: string;
  readonly sizeBytes: number;
  readonly hostId: string;
  readonly time: string;
  readonly kept: boolean;
  /** What the disks of one machine were sealed as together; null for a disk by itself. */
  readonly group: string | null;
}

/** A host of the roster. */
export interface MemberInfo {
  readonly hostId: string;
  readonly role: Role;
  readonly revoked: boolean;
  /** The token that let it in, and which of its uses that was; null for a host that was named. */
  readonly token: string | null;
  readonly use: number | null;
}

/** A join token of the disk. */
export interface TokenInfo {
  readonly token: string;
  readonly role: Role;
  readonly uses: number;
  /** As far as this host knows. */
  readonly used: number;
  readonly expires: string;
  /** `expired` by this host's clock. */
  readonly state: 'open' | 'used-up' | 'expired' | 'revoked';
  readonly redeemerHostId: string;
}

export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export interface FaultStatus {
  readonly count: number;
  readonly latencyUs: Percentiles & {
    readonly queue: Percentiles;
    readonly network: Percentiles;
    readonly verify: Percentiles;
    readonly store: Percentiles;
  };
  /** By the host that brought the chunk: from the need until it was verified. At most 64 hosts. */
  readonly bySource: Readonly<Record<string, { readonly count: number } & Percentiles>>;
}

export interface PeerStatus {
  readonly hostId: string;
  readonly address: string;
  readonly lanes: number;
  readonly rates: { readonly receiveBytesPerSecond: number; readonly sendBytesPerSecond: number };
  readonly piecesClaimed: number;
}

export interface DiskStatus extends DiskInfo {
  readonly faults: FaultStatus;
  readonly bytesBySource: Readonly<Record<string, number>>;
  readonly faultBytes: number;
  readonly backgroundBytes: number;
  /** Pieces of sealed generations that clients of the present attachment used so far: what it takes to run them. */
  readonly touchedPieces: number;
  readonly peers: readonly PeerStatus[];
}

export interface AgentStatus {
  readonly hostId: string;
  readonly listen: string;
  readonly trackers: readonly { readonly url: string; readonly ok: boolean; readonly message: string }[];
  readonly disks: readonly DiskStatus[];
}

export interface Progress {
  readonly event: 'progress';
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly bytesPerSecond: number;
  /** Estimate; null while unknown. */
  readonly secondsLeft: number | null;
}

/** A virtual machine on this host. */
export interface VmInfo {
  readonly name: string;
  readonly state: 'running' | 'incoming' | 'stopped' | 'moved' | 'inDoubt';
  /** Why it is in this state and what to do; empty when there is nothing to say. */
  readonly reason: string;
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly machine: string;
  readonly accel: 'kvm' | 'tcg';
  readonly disks: readonly { readonly diskId: string; readonly name: string | null }[];
  readonly args: readonly string[];
  /** Process id of QEMU; null when none runs. */
  readonly pid: number | null;
  /** Somebody else started the QEMU that runs it. */
  readonly adopted: boolean;
  /** Empty where the machine has no console of ours. */
  readonly consoleSocket: string;
  readonly consoleLog: string;
  /** The record of the last migration from this host; null before the first. */
  readonly migration: Readonly<Record<string, unknown>> | null;
}

/** How far a migration is; `record` is its report. */
export interface MigrationStatus {
  readonly event: 'migration';
  readonly name: string;
  readonly to: string;
  readonly phase: string;
  /** In plain words. */
  readonly phaseText: string;
  /** Since it began, until it ended. */
  readonly elapsedMs: number;
  readonly round: number;
  /** Of the last round, at the destination, and of the disks once the machine left; null before it said so. */
  readonly missingBytes: number | null;
  /** That left this host. */
  readonly memoryBytes: number;
  readonly diskBytes: number;
  /** QEMU's copy of the memory; null while there is none. */
  readonly memory: {
    readonly totalBytes: number;
    /** Of this pass. */
    readonly remainingBytes: number;
    readonly dirtyBytesPerSecond: number;
    readonly passes: number;
    readonly throttlePercent: number;
    /** Pages that the guest at the destination asked for, in post-copy. */
    readonly pagesAsked: number;
  } | null;
  /** What leaves for the destination now; null while the destination tells nothing. */
  readonly link: {
    readonly memoryBytesPerSecond: number;
    readonly faultBytesPerSecond: number | null;
    readonly backgroundBytesPerSecond: number | null;
  };
  /** Where the destination had its chunks from; null while it tells nothing. */
  readonly sources:
    | readonly { readonly host: string; readonly faultBytes: number; readonly backgroundBytes: number }[]
    | null;
  /** Reads of the guest that waited there, microseconds. */
  readonly faults: ({ readonly count: number } & Percentiles) | null;
  readonly record: Readonly<Record<string, unknown>>;
}

/** What a migration would take, before anything moves. */
export interface MigrationEstimate {
  readonly name: string;
  readonly to: string;
  /** Of the disks, that the destination lacks. */
  readonly diskBytes: number;
  /** Of these, that no other connected host has: this host alone has to send them. */
  readonly diskBytesOnlyHere: number;
  readonly memoryBytes: number;
  /** Measured towards the destination, the wanted limit included; null where it could not be. */
  readonly linkBytesPerSecond: number | null;
  /** `expectedMs` in whole seconds. */
  readonly seconds: number | null;
  /** What leaves this host: of the disks as they are, written meanwhile, and of the memory as it travels. */
  readonly bytesToSend: {
    readonly total: number;
    readonly disk: number;
    readonly rewritten: number;
    readonly memory: number;
  };
  /** Of the disks, that the destination can have from other hosts that are connected here. */
  readonly diskBytesElsewhere: number;
  readonly diskDirtyBytesPerSecond: number;
  readonly memoryDirtyBytesPerSecond: number | null;
  /** Until nothing depends on this host. */
  readonly expectedMs: number | null;
  readonly expectedPauseMs: number | null;
  /** Reads that wait for a chunk after the move, at most about. */
  readonly expectedStalls: number | null;
  readonly converges: boolean | null;
  /** Why, in plain words. */
  readonly reason: string;
  /** Known defects of this host's QEMU that may harm the guest, in plain words. */
  readonly warnings: readonly string[];
}

/** method → [parameters, result, events before the result]. */
interface ControlMethods extends TemplateMethods, TorrentMethods, DashboardMethods {
  'host.id': [Record<string, never>, { hostId: string }, never];
  'disk.import': [
    {
      /** A path, a URI or a magnet link. */
      path: string;
      name: string;
      chunkSizeBytes: number;
      format: 'raw' | 'qcow2' | 'nbd' | 'torrent';
      /** The path of the file in a torrent; left out for the only one. */
      file?: string;
      records: NewDiskRecords;
    },
    DiskInfo & { importedBytes: number; newBytes: number },
    Progress,
  ];
  'disk.ownerView': [{ name: string }, OwnerView, never];
  'disk.applyRoster': [{ name: string; rosterBundle: string }, { sequence: number }, never];
  'disk.join': [{ invitation: string; name: string | null }, DiskInfo, never];
  'disk.ls': [Record<string, never>, { disks: DiskInfo[] }, never];
  'disk.info': [{ name: string }, DiskInfo, never];
  'disk.history': [{ name: string }, { generations: HistoryEntry[] }, never];
  'disk.members': [{ name: string }, { rosterSequence: number; members: MemberInfo[]; tokens: TokenInfo[] }, never];
  'disk.rm': [{ name: string; force: boolean }, { name: string; removed: true }, never];
  'disk.attach': [{ name: string; readOnly: boolean; socket: string | null }, AttachmentInfo, never];
  'disk.detach': [{ name: string }, { name: string; detached: true }, never];
  'disk.seal': [
    { name: string },
    { generationId: string; sequence: number; epoch: number; root: string; changedPieces: number },
    Progress,
  ];
  'disk.handover': [
    { name: string; to: string },
    { epoch: number; ownerHostId: string; sequence: number },
    { event: 'phase'; phase: string },
  ];
  'disk.take': [
    { name: string },
    { epoch: number; ownerHostId: string; sequence: number },
    { event: 'phase'; phase: string },
  ];
  /** `record` is the owner-signed force record. */
  'disk.takeForce': [
    { name: string; record: string },
    { epoch: number; ownerHostId: string; sequence: number; forkName: string },
    never,
  ];
  'disk.pull': [{ name: string }, DiskInfo, Progress];
  'disk.wait': [
    { name: string; sequence?: number; complete?: boolean; safe?: boolean; timeoutSeconds: number | null },
    DiskInfo,
    never,
  ];
  'disk.export': [
    { name: string; sequence: number | null; path: string; format: 'raw' | 'qcow2' },
    { path: string; sequence: number; sizeBytes: number },
    Progress,
  ];
  'peer.ls': [Record<string, never>, { peers: (PeerStatus & { disks: string[]; banned: boolean })[] }, never];
  'peer.unban': [{ hostId: string }, { hostId: string; unbanned: boolean }, never];
  status: [Record<string, never>, AgentStatus, never];
  'store.stats': [
    Record<string, never>,
    { chunks: number; bytes: number; packs: number; packBytes: number; deadBytes: number },
    never,
  ];
  'vm.start': [
    { name: string; disks: string[]; memoryBytes: number | null; cpus: number | null; args: string[] },
    VmInfo,
    never,
  ];
  /** `qmpSocket` is absolute; `args` is what the QEMU that listens there was started with. */
  'vm.adopt': [{ name: string; qmpSocket: string; args: string[] }, VmInfo, never];
  'vm.stop': [{ name: string; force: boolean }, VmInfo, never];
  'vm.ls': [Record<string, never>, { vms: VmInfo[] }, never];
  'vm.info': [{ name: string }, VmInfo, never];
  /** Ends when the machine runs at the destination, or `plan` was made. */
  'vm.migrate': [
    {
      name: string;
      to: string;
      plan: boolean;
      disk: 'precopy' | 'hybrid' | 'postcopy';
      memory: 'precopy' | 'postcopy';
      maxDowntimeMs: number;
      bandwidthBytesPerSecond: number | null;
      compress: boolean;
      autoConverge: boolean;
      throttle: 'bradford' | 'adaptive' | 'off';
    },
    MigrationStatus | MigrationEstimate,
    MigrationStatus,
  ];
  /** `watch` ends with the migration. */
  'vm.migrateStatus': [{ name: string; watch: boolean }, MigrationStatus, MigrationStatus];
  'vm.migrateCancel': [{ name: string }, MigrationStatus, never];
  'vm.allow': [{ args: string[] }, { allowed: string[] }, never];
  'store.verify': [Record<string, never>, { chunks: number; bytes: number; corrupt: string[] }, Progress];
}

export type ControlMethod = keyof ControlMethods;
export type ControlParams<M extends ControlMethod> = ControlMethods[M][0];
export type ControlResult<M extends ControlMethod> = ControlMethods[M][1];
export type ControlEvent<M extends ControlMethod> = ControlMethods[M][2];
