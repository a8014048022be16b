import { PRIORITY } from '@diskswarm/core';
import { Network, mbit, percentile } from '/work/main/packages/scheduler/test/model/network.ts';
import { bulkFeed, keyOf, peerId, want, CHUNK } from '/work/main/packages/scheduler/test/model/names.ts';
import { seededRandom } from '/work/main/packages/scheduler/test/model/seeded-random.ts';

export function measure({ rate, rttUs, background, up = 1000, peers = 1, seconds = 60, gap = 400_000 }: any) {
  const net = new Network({ downBytesPerUs: mbit(rate) });
  for (let i = 1; i <= peers; i++) net.addPeer(peerId(i), { oneWayUs: rttUs / 2, upBytesPerUs: mbit(up), has: () => true });
  if (background) net.apply({ type: 'feed', feed: bulkFeed(1, 1_000_000, 10_000_000) });
  const random = seededRandom(7);
  const sent = new Map<string, number>();
  const lat: number[] = [];
  let piece = 0;
  const fault = () => {
    const w = want(piece++);
    sent.set(w.key, net.nowUs);
    net.apply({ type: 'want', want: w });
  };
  net.onArrived = (key) => {
    const at = sent.get(key);
    if (at === undefined) return;
    lat.push(net.nowUs - at);
    if (gap !== null) net.after(random.below(gap) + 1, fault);
  };
  const warm = 5_000_000;
  let busy0 = 0;
  net.after(warm, () => { busy0 = net.downlinkBusyUs; if (gap !== null) fault(); });
  const t0 = performance.now();
  net.run(seconds * 1e6);
  const late = net.log.filter((e) => e.type === 'late').length;
  console.log({ rate, rttUs, background, peers, n: lat.length, p50: percentile(lat, .5), p99: percentile(lat, .99), util: (net.downlinkBusyUs - busy0) / (seconds * 1e6 - warm), credit: net.scheduler.snapshot().creditBytes / CHUNK, late, broken: net.broken.length, ms: performance.now() - t0 });
}
measure({ rate: 20, rttUs: 50_000, background: false });
measure({ rate: 20, rttUs: 50_000, background: true });
measure({ rate: 20, rttUs: 50_000, background: true, gap: 1 });
measure({ rate: 20, rttUs: 50_000, background: true, gap: null });
measure({ rate: 20, rttUs: 50_000, background: true, peers: 8 });
measure({ rate: 100, rttUs: 20_000, background: false });
measure({ rate: 100, rttUs: 20_000, background: true });
measure({ rate: 1000, rttUs: 500, background: false, seconds: 8, gap:50_000 });
measure({ rate: 1000, rttUs: 500, background: true, seconds: 8, up: 10000 ,gap:50_000});
measure({ rate: 1000, rttUs: 50_000, background: true, seconds: 20, up: 10000 });
measure({ rate: 5, rttUs: 100_000, background: false });
measure({ rate: 5, rttUs: 100_000, background: true });
