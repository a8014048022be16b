/** The status of an agent in plain words: who it is, and for each disk what is here, how reads went and who helps. */
import type { AgentStatus, DiskStatus } from '../control/methods.ts';
import { attachmentText, missingBytes, presenceText, safetyText } from './disk-words.ts';
import { countText, latencyText, rateText, sizeText } from './words.ts';

export function statusText(status: AgentStatus): string {
  const trackers = status.trackers.map(({ url, ok, message }) => `tracker ${url}: ${ok ? 'answers' : message}`);
  const head = [`host ${status.hostId.slice(0, 8)}, listening on ${status.listen}`, ...trackers];
  const disks = status.disks.map((disk) => diskText(disk, status.hostId));
  return [head.join('\n'), ...(disks.length === 0 ? ['no disks'] : disks)].join('\n\n');
}

function diskText(disk: DiskStatus, hostId: string): string {
  const owner = disk.ownerHostId === hostId ? 'this host owns it' : `${disk.ownerHostId.slice(0, 8)} owns it`;
  const missing = missingBytes(disk);
  const lines = [
    `${disk.name}: ${sizeText(disk.sizeBytes)}, generation ${disk.sequence}, epoch ${disk.epoch}, ${owner}, ${attachmentText(disk)}`,
    missing === 0 ? 'all of it is here' : `${presenceText(disk)} of its data is here, ${sizeText(missing)} are missing`,
  ];
  if (disk.overlayDirtyBytes > 0) lines.push(`${sizeText(disk.overlayDirtyBytes)} written since the last seal`);
  lines.push(faultText(disk));
  const sources = Object.entries(disk.bytesBySource);
  if (sources.length > 0) {
    const parts = sources.map(([source, bytes]) => `${sizeText(bytes)} from ${source.slice(0, 8)}`);
    const { faultBytes, backgroundBytes } = disk;
    lines.push(`fetched ${parts.join(', ')} (${sizeText(faultBytes)} waited for, ${sizeText(backgroundBytes)} ahead)`);
  }
  for (const { hostId: peer, address, rates, piecesClaimed } of disk.peers) {
    const { receiveBytesPerSecond, sendBytesPerSecond } = rates;
    const flow = `in ${rateText(receiveBytesPerSecond)}, out ${rateText(sendBytesPerSecond)}`;
    lines.push(`peer ${peer.slice(0, 8)} at ${address}: ${flow}, has ${countText(piecesClaimed, 'piece')}`);
  }
  lines.push(safetyText(disk));
  return lines.map((line, index) => (index === 0 ? line : `  ${line}`)).join('\n');
}

function faultText({ faults }: DiskStatus): string {
  if (faults.count === 0) return 'no read had to wait for another host';
  const { p50, p99, max } = faults.latencyUs;
  const waited = `${countText(faults.count, 'read')} waited for another host`;
  return `${waited}: ${latencyText(p50)} typically, ${latencyText(p99)} at the 99th percentile, ${latencyText(max)} at most`;
}
