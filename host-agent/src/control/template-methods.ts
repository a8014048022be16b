/** What the CLI can ask about templates and clones; the rest of the methods, and what holds of all, is in methods.ts. */
import type { DiskInfo, NewDiskRecords } from './methods.ts';

/** The template of a clone. */
export interface BaseInfo {
  readonly diskId: string;
  readonly generationId: string;
  /** Its disk's name here; null where that is not on this host. */
  readonly name: string | null;
  /** Null while the generation is not known here. */
  readonly sequence: number | null;
  /** All of the clone is its own here: it needs the template no more. */
  readonly independent: boolean;
  /** Pieces that a guest waits for, and that no connected host has. */
  readonly waitingPieces: number;
}

/** A published generation. */
export interface TemplateInfo {
  readonly sequence: number;
  readonly generationId: string;
  readonly retired: boolean;
  /** For everyone, for good. */
  readonly public: boolean;
}

/** method → [parameters, result, events before the result]. */
export interface TemplateMethods {
  /** The signed record of a generation (the newest for null) and the owner's list, in hex; with `complete` only where all of it is here. */
  'disk.templateView': [
    { name: string; sequence: number | null; complete: boolean },
    { generation: string; templates: string | null },
    never,
  ];
  'disk.applyTemplates': [{ name: string; record: string }, { sequence: number }, never];
  /** What a clone of a template would be like. */
  'disk.cloneView': [{ name: string; sequence: number | null }, { sequence: number; chunkSizeBytes: number }, never];
  'disk.clone': [
    { template: string; sequence: number | null; name: string; fleet?: string; records: NewDiskRecords },
    DiskInfo,
    never,
  ];
}
