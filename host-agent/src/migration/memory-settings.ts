/**
 * How QEMU moves a guest's memory: capabilities and parameters of both ends, from a few wishes. Pure.
 *
 * Source: QEMU's migration documentation (7.2). Both ends need the same multifd settings; zstd pays on anything slower than a local network.
 */

export interface MemoryOptions {
  /** Connections of multifd; 0 for one plain connection. */
  readonly channels: number;
  readonly compress: boolean;
  readonly autoConverge: boolean;
  /** The guest goes on at the destination before all of its memory is there. */
  readonly postcopy: boolean;
  /** null for no limit. */
  readonly bytesPerSecond: number | null;
}

interface Capability {
  readonly capability: string;
  readonly state: boolean;
}

/** QEMU's own default is far below what links carry. */
const UNLIMITED_BYTES_PER_SECOND = 2 ** 40;

export function sourceCapabilities({ channels, autoConverge, postcopy }: MemoryOptions): Capability[] {
  return capabilities({
    events: true,
    'pause-before-switchover': true,
    multifd: channels > 0,
    'auto-converge': autoConverge,
    'postcopy-ram': postcopy,
  });
}

export function destinationCapabilities({
  channels,
  postcopy,
}: {
  readonly channels: number;
  readonly postcopy: boolean;
}): Capability[] {
  return capabilities({ events: true, 'late-block-activate': true, multifd: channels > 0, 'postcopy-ram': postcopy });
}

export function sourceParameters(options: MemoryOptions, downtimeMs: number): Readonly<Record<string, unknown>> {
  return {
    'downtime-limit': downtimeMs,
    'max-bandwidth': options.bytesPerSecond ?? UNLIMITED_BYTES_PER_SECOND,
    ...(options.postcopy ? { 'max-postcopy-bandwidth': options.bytesPerSecond ?? 0 } : {}),
    ...multifdParameters(options),
  };
}

/** The same at both ends. */
export function multifdParameters({
  channels,
  compress,
}: {
  readonly channels: number;
  readonly compress: boolean;
}): Readonly<Record<string, unknown>> {
  if (channels === 0) return {};
  return { 'multifd-channels': channels, 'multifd-compression': compress ? 'zstd' : 'none' };
}

function capabilities(wanted: Readonly<Record<string, boolean>>): Capability[] {
  return Object.entries(wanted).map(([capability, state]) => ({ capability, state }));
}
