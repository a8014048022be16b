/**
 * `fleet start | ls | stop`: many clones of one template on this host, attached, or booted as machines.
 *
 * A fleet is nothing but the name on its clones, which is made with each of them: what a crash left can be listed and stopped, and the
 * same `fleet start` goes on where it ended. Stopping keeps what guests wrote, unless the clones are to be removed.
 */
import { DiskswarmError, type ErrorCode, type HostId, hasCode } from '@diskswarm/core';
import type { Command } from 'commander';
import type { DiskInfo, VmInfo } from '../../control/methods.ts';
import { ask, type CommandContext } from '../context.ts';
import { newDiskRecords } from '../owner-records.ts';
import { openOwner } from '../owner-store.ts';
import { parseCount, parseName, parseNameAtSequence, parseSize } from '../parse.ts';
import type { Action } from '../program.ts';
import { countText, table } from '../words.ts';

/** Clones of one fleet. */
const MAX_FLEET_CLONES = 256;
/** Clones that are attached or booted at a time. */
const AT_ONCE = 4;

interface StartOptions {
  readonly count: number;
  readonly name?: string;
  readonly memory?: number;
}

/** One clone of a fleet, as programs see it. */
interface Member {
  readonly name: string;
  readonly fleet: string;
  readonly state: 'running' | 'attached' | 'stopped';
  /** Null while it is not attached. */
  readonly uri: string | null;
}

export function registerFleetCommands(program: Command, action: Action): void {
  const fleet = program.command('fleet').description('many clones of one template on this host');

  fleet
    .command('start')
    .argument('<template[@sequence]>', 'the newest template of a disk, unless one is named')
    .argument('[qemu arguments...]', 'behind --: boots each clone as a machine with these')
    .requiredOption('--count <n>', 'so many clones', (text) => parseCount('count', text))
    .option('--name <name>', "the fleet's name, if not the template's; clones are NAME-1, NAME-2 …", parseName)
    .option('--memory <size>', 'of each machine', (text) => parseSize('memory', text))
    .description('make clones, and attach or boot them; what is there already is used')
    .action(action<[string, string[]], StartOptions>(start));

  fleet
    .command('ls')
    .description('the fleets on this host, and their clones')
    .action(
      action<[]>(async (context) => {
        const members = await membersOf(context);
        const rows = members.map(({ fleet: of, name, state, uri }) => [of, name, state, uri ?? '']);
        const text = members.length === 0 ? 'no fleets' : table(['FLEET', 'CLONE', 'STATE', 'URI'], rows);
        context.output.result({ members }, text);
      }),
    );

  fleet
    .command('stop')
    .argument('[name]', 'the fleet; all of this host, unless one is named')
    .option('--remove', 'remove the clones too, with all that was written to them')
    .description('end the machines and exports of a fleet; its clones stay')
    .action(action<[string | undefined], { remove?: true }>(stop));
}

async function start(
  context: CommandContext,
  [argument, args]: [string, string[]],
  { count, name, memory }: StartOptions,
): Promise<void> {
  const { name: template, sequence } = parseNameAtSequence(argument);
  const fleet = name ?? template;
  if (count > MAX_FLEET_CLONES)
    throw new DiskswarmError('LIMIT_EXCEEDED', `a fleet has at most ${MAX_FLEET_CLONES} clones`, {
      data: { limit: MAX_FLEET_CLONES },
    });
  const names = Array.from({ length: count }, (_, index) => parseName(`${fleet}-${index + 1}`));
  await makeClones(context, { template, sequence, fleet, names });
  const machines = await machinesOf(context);
  const boot = async (each: string): Promise<void> => {
    const memoryBytes = memory ?? null;
    if (machines.get(each)?.state === 'running') return;
    await ask(context, 'vm.start', { name: each, disks: [each], memoryBytes, cpus: null, args });
  };
  const attach = async (each: string): Promise<void> => {
    const { attached } = await ask(context, 'disk.info', { name: each });
    if (attached === null) await ask(context, 'disk.attach', { name: each, readOnly: false, socket: null });
  };
  let done = 0;
  await eachOf(names, async (each) => {
    await (args.length > 0 ? boot(each) : attach(each));
    done++;
    const progress = { event: 'started', name: each, done, count };
    if (context.output.json) context.output.object(progress);
    else context.output.note(`${each}: ${args.length > 0 ? 'booted' : 'attached'} (${done} of ${count})`);
  });
  const members = (await membersOf(context)).filter((member) => names.includes(member.name));
  const text = members.map(({ name: each, uri }) => `${each} ${uri ?? ''}`.trim()).join('\n');
  context.output.result({ event: 'result', fleet, members }, text);
}

/** Makes the clones that are not there; NAME_EXISTS where a disk of another kind, or a clone of another template, has the name of one. */
async function makeClones(
  context: CommandContext,
  wanted: { template: string; sequence: number | null; fleet: string; names: readonly string[] },
): Promise<void> {
  const { template, sequence, fleet, names } = wanted;
  const { disks } = await ask(context, 'disk.ls', {});
  const known = new Map(disks.map((disk) => [disk.name, disk]));
  const other = names.find((each) => known.has(each) && known.get(each)?.fleet !== fleet);
  if (other !== undefined)
    throw new DiskswarmError('NAME_EXISTS', `${other} is a disk on this host, and not of fleet ${fleet}: use --name`, {
      data: { name: other },
    });
  const diskId = known.get(template)?.diskId;
  for (const each of names) {
    const base = known.get(each)?.base ?? null;
    if (base === null) continue;
    const ofAnother = diskId !== undefined && base.diskId !== diskId;
    if (!ofAnother && (sequence === null || base.sequence === sequence)) continue;
    const [is, asked] = ofAnother
      ? [base.name ?? 'another disk', template]
      : [`${template}@${base.sequence}`, `${template}@${sequence}`];
    throw new DiskswarmError(
      'NAME_EXISTS',
      `${each} of fleet ${fleet} is a clone of ${is}, not of ${asked}: choose another --name, or \`diskswarm fleet stop ${fleet} --remove\` first`,
      { data: { name: each } },
    );
  }
  const missing = names.filter((each) => !known.has(each));
  if (missing.length === 0) return;
  const view = await ask(context, 'disk.cloneView', { name: template, sequence });
  const { hostId } = await ask(context, 'host.id', {});
  const owner = await openOwner(context);
  for (const name of missing) {
    const { genesis, rosterBundle, grant } = newDiskRecords(owner, hostId as HostId, view.chunkSizeBytes);
    const records = { genesis, rosterBundle, grant };
    await ask(context, 'disk.clone', { template, sequence: view.sequence, name, fleet, records });
  }
}

async function stop(
  context: CommandContext,
  [fleet]: [string | undefined],
  { remove = false }: { remove?: boolean },
): Promise<void> {
  const members = (await membersOf(context)).filter((each) => fleet === undefined || each.fleet === parseName(fleet));
  if (fleet !== undefined && members.length === 0)
    throw new DiskswarmError('DISK_NOT_FOUND', `there is no fleet ${fleet} on this host; \`diskswarm fleet ls\``, {
      data: { name: fleet },
    });
  await eachOf(members, async ({ name, state }) => {
    if (state === 'running') await ask(context, 'vm.stop', { name, force: true }).catch(unless('VM_STATE'));
    // A machine that ended leaves its disk attached, or not.
    if ((await ask(context, 'disk.info', { name })).attached !== null)
      await ask(context, 'disk.detach', { name }).catch(unless('ATTACHMENT_STATE'));
    if (remove) await ask(context, 'disk.rm', { name, force: true });
  });
  const names = members.map(({ name }) => name);
  const what = remove ? 'stopped and removed' : 'stopped; what was written is kept';
  context.output.result({ stopped: names, removed: remove }, `${countText(names.length, 'clone')} ${what}`);
}

/** Takes a refusal with this code: what was to end had ended by itself. */
function unless(code: ErrorCode): (error: unknown) => void {
  return (error) => {
    if (!hasCode(error, code)) throw error;
  };
}

/** The machines that run on the disk they are named after. */
async function machinesOf(context: CommandContext): Promise<Map<string, VmInfo>> {
  const { vms } = await ask(context, 'vm.ls', {});
  return new Map(vms.filter((vm) => vm.disks.some(({ name }) => name === vm.name)).map((vm) => [vm.name, vm]));
}

async function membersOf(context: CommandContext): Promise<Member[]> {
  const { disks } = await ask(context, 'disk.ls', {});
  const machines = await machinesOf(context);
  return disks
    .filter((disk): disk is DiskInfo & { fleet: string } => disk.fleet !== null)
    .map(({ name, fleet, attached }) => {
      const runs = machines.get(name)?.state === 'running';
      const state = runs ? 'running' : attached === null ? 'stopped' : 'attached';
      return { name, fleet, state, uri: attached?.uri ?? null };
    });
}

/** Does the same for each, a few at a time; the first failure ends it. */
async function eachOf<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const left = [...items];
  const worker = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
