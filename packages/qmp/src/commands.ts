/**
 * The commands that are used here, with their arguments and the part of their results that is read.
 *
 * Names and fields are QEMU's own (QAPI schema, version 7.2); sizes are bytes, times milliseconds unless the name says otherwise.
 */

/** `status` of query-status, as far as it is told apart here. */
export type RunState =
  | 'running'
  | 'paused'
  | 'prelaunch'
  | 'inmigrate'
  | 'postmigrate'
  | 'finish-migrate'
  | 'shutdown'
  | 'internal-error'
  | 'io-error'
  | 'guest-panicked';

/** `status` of query-migrate and of the MIGRATION event. */
export type MigrationStatus =
  | 'none'
  | 'setup'
  | 'cancelling'
  | 'cancelled'
  | 'active'
  | 'postcopy-active'
  | 'postcopy-paused'
  | 'postcopy-recover'
  | 'completed'
  | 'failed'
  | 'colo'
  | 'pre-switchover'
  | 'device'
  | 'wait-unplug';

/** Result of query-migrate; fields come and go with the status. */
export interface QueryMigrate {
  readonly status?: MigrationStatus;
  readonly 'total-time'?: number;
  readonly 'setup-time'?: number;
  readonly downtime?: number;
  readonly 'expected-downtime'?: number;
  readonly 'cpu-throttle-percentage'?: number;
  readonly 'error-desc'?: string;
  /** Why this machine cannot be migrated. */
  readonly 'blocked-reasons'?: readonly string[];
  readonly ram?: {
    readonly transferred: number;
    readonly remaining: number;
    readonly total: number;
    readonly mbps: number;
    readonly 'dirty-pages-rate': number;
    readonly 'dirty-sync-count': number;
    readonly 'page-size': number;
    /** Pages that the destination asked for, in post-copy. */
    readonly 'postcopy-requests'?: number;
  };
}

/** A device of query-blockstats. */
interface BlockStatistics {
  /** Path of the device. */
  readonly qdev?: string;
  readonly stats: {
    readonly rd_latency_histogram?: { readonly boundaries: readonly number[]; readonly bins: readonly number[] };
  };
}

/** A node of query-named-block-nodes. */
interface BlockNode {
  readonly 'node-name': string;
  /** Name of its driver. */
  readonly drv: string;
  /** Its file name, as QEMU puts it together. */
  readonly file: string;
  readonly ro: boolean;
}

type None = Readonly<Record<string, never>>;

interface Commands {
  qmp_capabilities: [None, unknown];
  'query-status': [None, { readonly status: RunState; readonly running: boolean }];
  'query-version': [
    None,
    { readonly qemu: { readonly major: number; readonly minor: number; readonly micro: number } },
  ];
  'query-migrate': [None, QueryMigrate];
  /** Seconds; pages of each GiB that are looked at, 128 to 4096. */
  'calc-dirty-rate': [{ readonly 'calc-time': number; readonly 'sample-pages': number }, unknown];
  /** `dirty-rate` is in MiB per second; -1 or absent while it is measured. */
  'query-dirty-rate': [
    None,
    { readonly status: 'unstarted' | 'measuring' | 'measured'; readonly 'dirty-rate'?: number },
  ];
  'query-block': [None, readonly Readonly<Record<string, unknown>>[]];
  'query-named-block-nodes': [{ readonly flat?: boolean }, readonly BlockNode[]];
  'query-target': [None, { readonly arch: string }];
  'query-memory-size-summary': [None, { readonly 'base-memory': number; readonly 'plugged-memory'?: number }];
  'query-cpus-fast': [None, readonly unknown[]];
  'query-kvm': [None, { readonly enabled: boolean }];
  'qom-get': [{ readonly path: string; readonly property: string }, unknown];
  'query-block-jobs': [None, readonly Readonly<Record<string, unknown>>[]];
  cont: [None, unknown];
  stop: [None, unknown];
  quit: [None, unknown];
  system_powerdown: [None, unknown];
  migrate: [{ readonly uri: string }, unknown];
  'migrate-incoming': [{ readonly uri: string }, unknown];
  'migrate-continue': [{ readonly state: 'pre-switchover' }, unknown];
  'migrate-start-postcopy': [None, unknown];
  migrate_cancel: [None, unknown];
  'migrate-set-capabilities': [
    { readonly capabilities: readonly { readonly capability: string; readonly state: boolean }[] },
    unknown,
  ];
  'migrate-set-parameters': [Readonly<Record<string, unknown>>, unknown];
  'blockdev-add': [Readonly<Record<string, unknown>>, unknown];
  'blockdev-del': [{ readonly 'node-name': string }, unknown];
  'blockdev-mirror': [Readonly<Record<string, unknown>>, unknown];
  'block-stream': [Readonly<Record<string, unknown>>, unknown];
  'block-job-cancel': [{ readonly device: string; readonly force?: boolean }, unknown];
  'nbd-server-start': [Readonly<Record<string, unknown>>, unknown];
  'nbd-server-stop': [None, unknown];
  'block-export-add': [Readonly<Record<string, unknown>>, unknown];
  /** Boundaries in nanoseconds; counting begins anew. `id`: a device, by name or path. */
  'block-latency-histogram-set': [{ readonly id: string; readonly 'boundaries-read': readonly number[] }, unknown];
  'query-blockstats': [None, readonly BlockStatistics[]];
}

export type CommandName = keyof Commands;
export type CommandArguments<Name extends CommandName> = Commands[Name][0];
export type CommandResult<Name extends CommandName> = Commands[Name][1];
