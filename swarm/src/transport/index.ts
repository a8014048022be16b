/**
 * The real network: TLS on TCP, plain TCP for benchmarks, HTTP to trackers, multicast on the LAN, ways through other hosts.
 * A module of its own, so that an import of it is visible, as is the DHT, which takes a while to load
 * (`@diskswarm/swarm/dht`); everything else in this package runs over core's Transport and is reachable by the simulator.
 */
export { httpTracker } from './http-tracker.ts';
export { MulticastSegment } from './multicast-segment.ts';
export { createPlainTransport } from './plain.ts';
export { RelayTransport } from './relay/relay-transport.ts';
export { RoutedTransport } from './routed-transport.ts';
export { SocketTransport } from './socket-transport.ts';
export { createTlsTransport } from './tls.ts';
