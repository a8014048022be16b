/**
 * The templates of one disk as this host knows them: the owner's newest list, durable, and a view of each that is in use here.
 *
 * The list is checked before it is taken and durable before it is used or passed on; an older one never replaces it. Signing
 * lists is left to the CLI, who has the owner's key; making clones to clone-disk.ts.
 */
import { Geometry } from '@diskswarm/chunk';
import { DiskswarmError, type GenerationId } from '@diskswarm/core';
import {
  type Generation,
  isNewerTemplateList,
  type Template,
  type TemplateList,
  verifyTemplateList,
} from '@diskswarm/identity';
import { diskKey } from './disk-records.ts';
import type { GenerationView } from './generation-view.ts';
import type { ManagedDisk } from './managed-disk.ts';
import type { MetaTable } from './meta-table.ts';
import { Turns } from './turns.ts';

/** What of a disk its templates need. */
type OfDisk = Pick<ManagedDisk, 'name' | 'records' | 'peers' | 'changed' | 'viewOf'>;

export class DiskTemplates {
  readonly #of: OfDisk;
  readonly #meta: MetaTable;
  readonly #turns = new Turns();
  readonly #views = new Map<GenerationId, Promise<GenerationView>>();
  #list: TemplateList | null;

  constructor(disk: OfDisk, meta: MetaTable) {
    this.#of = disk;
    this.#meta = meta;
    const bytes = meta.get(this.#key);
    this.#list = bytes === null ? null : verifyTemplateList(bytes, disk.records.genesis);
  }

  /** The owner's newest list; null before the first. */
  get list(): TemplateList | null {
    return this.#list;
  }

  /** Those of which clones may be made. */
  get active(): readonly Template[] {
    return this.#list?.templates.filter(({ retired }) => !retired) ?? [];
  }

  /** The generation is, or was, a template. */
  lists(generation: GenerationId): boolean {
    return this.#list?.templates.some((each) => each.generation === generation) === true;
  }

  /** Takes a list that is newer than ours, and passes it on; true then. Durable when this resolves. */
  take(bytes: Uint8Array): Promise<boolean> {
    return this.#turns.run(async () => {
      const { records, peers, changed } = this.#of;
      const offered = verifyTemplateList(bytes, records.genesis);
      if (!isNewerTemplateList(this.#list, offered)) return false;
      await this.#meta.commit({ [this.#key]: offered.bytes });
      this.#list = offered;
      peers.sendAll({ kind: 'templates', disk: offered.disk, record: offered.bytes });
      this.open();
      changed.fire();
      return true;
    });
  }

  /** Takes a list that the owner made of ours; ROSTER_STALE when ours became another one meanwhile. */
  async change(bytes: Uint8Array): Promise<void> {
    const { disk } = this.#of.records;
    if (await this.take(bytes)) return;
    throw new DiskswarmError(
      'ROSTER_STALE',
      `the templates of disk ${disk} changed while this change was made; nothing was changed, run the command again`,
      { data: { disk } },
    );
  }

  /** Hosts are told of templates, also of those that a newer generation follows. */
  open(): void {
    const { records, peers } = this.#of;
    for (const template of this.#list?.templates ?? []) {
      const record = records.generation(template.generation);
      if (record === null || record.id === records.head?.id) continue;
      const { pieces: piecesTotal } = new Geometry(record.sizeBytes, records.genesis.chunkSizeBytes);
      peers.keepOpen({ subject: { generation: record.id }, piecesTotal });
    }
  }

  /** The generation with this number, the newest one for null; GENERATION_NOT_FOUND. */
  generationAt(sequence: number | null): Generation {
    const { name, records } = this.#of;
    const found = sequence === null ? records.head : records.history().findLast((each) => each.sequence === sequence);
    if (found !== null && found !== undefined) return found;
    throw new DiskswarmError(
      'GENERATION_NOT_FOUND',
      `disk "${name}" has no generation ${sequence ?? ''} here; \`diskswarm disk history ${name}\` lists the ones it has`,
      { data: { name, sequence } },
    );
  }

  /** The generation of a template with this number, of the newest one for null; TEMPLATE_NOT_FOUND, GENERATION_NOT_FOUND. */
  templateAt(sequence: number | null): Generation {
    const { name, records } = this.#of;
    const template = this.active
      .filter((each) => sequence === null || each.sequence === sequence)
      .reduce<Template | null>((newest, each) => (each.sequence >= (newest?.sequence ?? 0) ? each : newest), null);
    if (template === null) {
      const retired = this.#list?.templates.some((each) => each.retired && each.sequence === sequence) === true;
      const which = sequence === null ? 'has no template' : `has no template ${sequence}`;
      const why = retired ? `: it was retired` : '';
      throw new DiskswarmError(
        'TEMPLATE_NOT_FOUND',
        `disk "${name}" ${which}${why}; its owner makes one with \`diskswarm disk publish ${name}\``,
        { data: { name, sequence, retired } },
      );
    }
    const generation = records.generation(template.generation);
    if (generation !== null) return generation;
    throw new DiskswarmError(
      'GENERATION_NOT_FOUND',
      `generation ${template.sequence} of disk "${name}" is a template, and is not known here yet; connect to a host that has it`,
      { data: { name, sequence: template.sequence } },
    );
  }

  /** What is here of a generation that clones are made of; the same view for all of them. */
  view(generation: GenerationId): Promise<GenerationView> {
    const known = this.#views.get(generation);
    if (known !== undefined) return known;
    const view = this.#of.viewOf(generation);
    this.#views.set(generation, view);
    view.catch(() => this.#views.delete(generation));
    return view;
  }

  get #key(): string {
    return diskKey(this.#of.records.disk, 'templates');
  }
}
