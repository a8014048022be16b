/**
 * @module swarm
 * Hosts that meet over disks they share: proofs, sessions, lanes, channels, serving, and where to find peers.
 *
 * Runs over core's Transport, Clock and Random; the real network is in `@diskswarm/swarm/transport`. Leaves to others: whether
 * records and chunks are true (handlers), what to fetch from whom (scheduler), how it all is wired (host-agent).
 *
 * ```ts
 * const swarm = new Swarm({ transport: createTlsTransport(), clock, random, keys });
 * await swarm.start({ listen: '0.0.0.0:0' });
 * swarm.addDisk(membership);
 * swarm.addPeerAddress(membership.disk, 'home.example:7000', 'peer');
 * ```
 */
export type { Ban } from './bans.ts';
export { type Dht, DhtDiscovery, type DhtDiscoveryOptions } from './discovery/dht-discovery.ts';
export { DiskAnnouncer, type DiskAnnouncerOptions, type TrackerStatus } from './discovery/disk-announcer.ts';
export { LanDiscovery, type LanDiscoveryOptions, type Segment } from './discovery/lan-discovery.ts';
export type { TrackerClient } from './discovery/tracker-client.ts';
export { DiskChannel } from './disk-channel.ts';
export { FetchEngine, type FetchEngineOptions } from './fetch/fetch-engine.ts';
export type { FetchChannel, FetchDisk, FetchHolder, FetchStatistics, FetchTimes } from './fetch/ports.ts';
export type { PackingTotals } from './packing-statistics.ts';
export type { AddressSource } from './peer-book.ts';
export * from './ports.ts';
export type { RelayView } from './relay/relay.ts';
export { relayAddressOf } from './relay/relay-address.ts';
export type { PeerStream, StreamAcceptor, StreamHandlers } from './streams.ts';
export { Swarm } from './swarm.ts';
export type { PeerInfo, SwarmOptions } from './swarm-options.ts';
export { type Redemption, redeemAt, type TokenDoor } from './token-door.ts';
