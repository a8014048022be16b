/** Disks in words: the table of `ls`, the facts of `info`, the lines of `history`. */
import type { DiskInfo, HistoryEntry } from '../control/methods.ts';
import type { BaseInfo, TemplateInfo } from '../control/template-methods.ts';
import { countText, facts, sizeText, table } from './words.ts';

/** How much of the newest generation is here: "complete", or a percentage of what is not zero. */
export function presenceText(info: DiskInfo): string {
  const data = info.piecesTotal - info.piecesZero;
  if (info.piecesPresent >= data) return 'complete';
  return `${Math.floor((info.piecesPresent * 100) / data)}%`;
}

/** Bytes of the newest generation that are not here. */
export function missingBytes(info: DiskInfo): number {
  return Math.max(0, info.piecesTotal - info.piecesZero - info.piecesPresent) * info.chunkSizeBytes;
}

export function attachmentText({ attached }: DiskInfo): string {
  if (attached === null) return 'not attached';
  return `${attached.state}, ${countText(attached.clients, 'client')}`;
}

export function safetyText(info: DiskInfo): string {
  if (info.safeToSwitchOff) return 'this host may be switched off';
  return `keep this host running: ${info.safeReasons.join('; ') || 'others may still need it'}`;
}

function baseName({ name, diskId, sequence }: BaseInfo): string {
  return `${name ?? diskId.slice(0, 16)}${sequence === null ? '' : `@${sequence}`}`;
}

function baseText(base: BaseInfo): string {
  const { name, independent, waitingPieces } = base;
  const what = baseName(base);
  if (independent) return `${what}, and independent of it: all of the clone is here`;
  if (name === null) return `${what}, which is not on this host; what it lacks comes from hosts of the clone`;
  if (waitingPieces === 0) return `${what}; what it lacks comes from there`;
  return `${what}; a guest waits for ${countText(waitingPieces, 'piece')} that no connected host has: start one that holds the template or a clone of it`;
}

/** In the table: what a clone was made of, or which generations clones are made of. */
function kinText({ base, templates }: DiskInfo): string {
  if (base !== null) return `clone of ${baseName(base)}`;
  return templates.map(templateText).join(', ');
}

function templateText({ sequence, retired, public: isPublic }: TemplateInfo): string {
  const more = [...(retired ? ['retired'] : []), ...(isPublic ? ['for everyone'] : [])];
  return more.length === 0 ? `@${sequence}` : `@${sequence} (${more.join(', ')})`;
}

export function diskTable(disks: readonly DiskInfo[]): string {
  const rows = disks.map((info) => [
    info.name,
    sizeText(info.sizeBytes),
    String(info.sequence),
    String(info.epoch),
    info.ownerHostId.slice(0, 8),
    info.revoked ? 'revoked' : info.role,
    presenceText(info),
    attachmentText(info),
    kinText(info),
  ]);
  return table(['NAME', 'SIZE', 'GENERATION', 'EPOCH', 'OWNER', 'ROLE', 'HERE', 'ATTACHED', 'TEMPLATE'], rows);
}

export function diskFacts(info: DiskInfo): string {
  const { piecesTotal, piecesZero, piecesPresent } = info;
  const pairs: [string, string][] = [
    ['name', info.name],
    ['disk', info.diskId],
    ['size', `${sizeText(info.sizeBytes)} in chunks of ${sizeText(info.chunkSizeBytes)}`],
    ['generation', `${info.sequence}, epoch ${info.epoch}`],
    ['owner', info.ownerHostId],
    ['role here', info.revoked ? `${info.role}, revoked` : info.role],
    ['root', info.root],
    ['here', `${presenceText(info)}: ${piecesPresent} of ${piecesTotal - piecesZero} pieces, ${piecesZero} are zero`],
    ['not sealed', sizeText(info.overlayDirtyBytes)],
    ['attached', info.attached === null ? 'no' : `${attachmentText(info)}, ${info.attached.uri}`],
    ['safe', safetyText(info)],
  ];
  if (info.base !== null) pairs.push(['clone of', baseText(info.base)]);
  if (info.templates.length > 0)
    pairs.push([info.templates.length === 1 ? 'template' : 'templates', info.templates.map(templateText).join(', ')]);
  if (info.newerGeneration) {
    const { sequence, epoch, hostId } = info.newerGeneration;
    pairs.push(['newer', `generation ${sequence}, epoch ${epoch}, sealed by ${hostId.slice(0, 8)}, is not here`]);
  }
  if (info.forkName !== null) pairs.push(['fork', info.forkName]);
  return facts(pairs);
}

export function historyTable(generations: readonly HistoryEntry[]): string {
  const rows = generations.map((entry) => [
    String(entry.sequence),
    String(entry.epoch),
    entry.time,
    sizeText(entry.sizeBytes),
    entry.hostId.slice(0, 8),
    entry.kept ? 'kept' : 'transient',
    entry.generationId.slice(0, 16),
  ]);
  return table(['GENERATION', 'EPOCH', 'TIME', 'SIZE', 'HOST', 'KIND', 'ID'], rows);
}
