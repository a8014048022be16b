/**
 * The virtual machines of this host: made by a user or by a migration, found again after a restart, kept by name.
 *
 * Agent SIGTERM leaves machines running: their guests wait for their exports until the agent is back. Also keeps the list of QEMU arguments that this
 * host's user allowed to machines from elsewhere.
 */
import { type DiskId, DiskswarmError, decodeCanonical, encodeCanonical } from '@diskswarm/core';
import type { Agent } from '../agent/agent.ts';
import type { VmDefinition } from './definition.ts';
import { memoryBytesFor } from './emulation-defect.ts';
import { type ArgumentPair, argumentPairs } from './foreign-arguments.ts';
import type { Machinery } from './machinery.ts';
import { Vm } from './vm.ts';
import { decodeVmRecord } from './vm-record.ts';

/** Machines of one host. */
const MAX_VMS = 256;
/** Arguments that a host's user allowed. */
const MAX_ALLOWED_ARGUMENTS = 4096;
const PREFIX = 'vm/';
const ALLOWED = 'vm-allowed-arguments';

/** What a user asks for. */
export interface WantedVm {
  readonly name: string;
  /** Names of disks here; empty to start a machine again that this host knows. */
  readonly disks: readonly string[];
  readonly memoryBytes: number | null;
  readonly cpus: number | null;
  readonly args: readonly string[];
}

const DEFAULT_MEMORY_BYTES = 1024 ** 3;

export class VmManager {
  readonly #agent: Agent;
  readonly machinery: Machinery;
  readonly #folder: string;
  readonly #vms = new Map<string, Vm>();

  /** `folder`: absolute, for logs; made when needed. */
  constructor(agent: Agent, folder: string, machinery: Machinery) {
    this.#agent = agent;
    this.machinery = machinery;
    this.#folder = folder;
  }

  /** Reads which machines there are. */
  load(): void {
    const { meta } = this.#agent.env;
    for (const key of meta.keys(PREFIX)) {
      const vm = new Vm(this.#agent, decodeVmRecord(meta.get(key)!), this.#folder, this.machinery);
      this.#vms.set(vm.name, vm);
    }
  }

  /** Finds the processes of the agent that ran before. */
  async resume(): Promise<void> {
    for (const vm of this.#vms.values())
      await vm
        .resume()
        .catch((error: unknown) =>
          this.#agent.env.log.warn({ vm: vm.name }, `machine "${vm.name}" could not be taken up: ${String(error)}`),
        );
  }

  /** Lets every machine be. */
  stop(): void {
    for (const vm of this.#vms.values()) vm.leave();
  }

  list(): Vm[] {
    return [...this.#vms.values()].sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  /** VM_NOT_FOUND. */
  vm(name: string): Vm {
    const vm = this.#vms.get(name);
    if (vm === undefined)
      throw new DiskswarmError(
        'VM_NOT_FOUND',
        `this host knows no virtual machine "${name}"; \`diskswarm vm ls\` lists the ones it does`,
        {
          data: { vm: name },
        },
      );
    return vm;
  }

  /** Starts a machine for the user of this host; its arguments are allowed here from now on. One that cannot start is what it was. */
  async startNew(wanted: WantedVm): Promise<Vm> {
    const definition = await this.#define(wanted);
    await this.allow(definition.args);
    const before = this.#vms.get(wanted.name)?.record;
    const vm = await this.make(definition);
    try {
      await vm.start();
    } catch (error) {
      if (before !== undefined) await vm.note({ state: before.state, reason: before.reason });
      throw error;
    }
    return vm;
  }

  /** VM_EXISTS where a machine of that name runs, or is in doubt. */
  assertFree(name: string): void {
    const before = this.#vms.get(name);
    if (before !== undefined && (before.process !== null || before.record.state === 'inDoubt'))
      throw new DiskswarmError('VM_EXISTS', `machine "${name}" runs on this host, or is in doubt`, {
        data: { vm: name },
      });
  }

  /** A machine by its definition, not running; VM_EXISTS where one of that name runs, or has other disks. */
  async make(definition: VmDefinition): Promise<Vm> {
    const { name } = definition;
    this.assertFree(name);
    const before = this.#vms.get(name);
    if (before === undefined && this.#vms.size >= MAX_VMS)
      throw new DiskswarmError('LIMIT_EXCEEDED', `a host has at most ${MAX_VMS} virtual machines`, {
        data: { limit: MAX_VMS },
      });
    for (const other of this.#vms.values()) {
      const shared =
        other.name !== name &&
        other.process !== null &&
        other.record.definition.disks.find((disk) => definition.disks.includes(disk));
      if (shared)
        throw new DiskswarmError('VM_STATE', `machine "${other.name}" uses disk ${shared}`, {
          data: { vm: other.name, disk: shared },
        });
    }
    await this.machinery.makeFolder(this.#folder);
    const { socketFor } = this.#agent.env;
    const vm = new Vm(
      this.#agent,
      {
        definition,
        state: 'stopped',
        process: null,
        qmpSocket: await socketFor(`vm-${name}.qmp`),
        consoleSocket: definition.adopted === true ? '' : await socketFor(`vm-${name}.con`),
        reason: '',
        report: before?.record.report ?? '',
      },
      this.#folder,
      this.machinery,
    );
    this.#vms.set(name, vm);
    return vm;
  }

  /** Forgets a machine that runs nowhere here and is not worth remembering. */
  async forget(vm: Vm): Promise<void> {
    if (this.#vms.get(vm.name) !== vm) return;
    this.#vms.delete(vm.name);
    await this.#agent.env.meta.commit({ [PREFIX + vm.name]: null });
  }

  /** What machines from elsewhere may be started with here, besides what is harmless. */
  get allowed(): ReadonlySet<ArgumentPair> {
    const bytes = this.#agent.env.meta.get(ALLOWED);
    if (bytes === null) return new Set();
    const list = decodeCanonical(bytes, { maxBytes: 4 * 1024 * 1024, what: 'allowed arguments' });
    return new Set((list as unknown as Uint8Array[]).map((item) => Buffer.from(item).toString('utf8')));
  }

  /** Allows arguments of QEMU to machines from elsewhere; returns all that are allowed. */
  async allow(args: readonly string[]): Promise<readonly ArgumentPair[]> {
    const allowed = new Set([...this.allowed, ...argumentPairs(args)]);
    if (allowed.size > MAX_ALLOWED_ARGUMENTS)
      throw new DiskswarmError('LIMIT_EXCEEDED', `at most ${MAX_ALLOWED_ARGUMENTS} arguments can be allowed`, {});
    const sorted = [...allowed].sort();
    await this.#agent.env.meta.commit({ [ALLOWED]: encodeCanonical(sorted) });
    return sorted;
  }

  async #define(wanted: WantedVm): Promise<VmDefinition> {
    const known = this.#vms.get(wanted.name)?.record.definition;
    if (wanted.disks.length === 0 && known === undefined)
      throw new DiskswarmError('INVALID_ARGUMENT', `machine "${wanted.name}" is new: name its disks with --disk`, {
        data: { vm: wanted.name },
      });
    const args = wanted.args.length > 0 || known === undefined ? wanted.args : known.args;
    if (known?.adopted === true && args === known.args)
      return {
        ...known,
        memoryBytes: wanted.memoryBytes ?? known.memoryBytes,
        cpus: wanted.cpus ?? known.cpus,
        disks: wanted.disks.length > 0 ? wanted.disks.map((name) => this.#agent.disk(name).disk) : known.disks,
      };
    const { machines, version: qemuVersion } = await this.machinery.program();
    const machine = machineOf(args) ?? known?.machine ?? machines.get('pc');
    if (machine === undefined || !machines.has(machine))
      throw new DiskswarmError('INVALID_ARGUMENT', `the QEMU of this host has no machine type "${machine ?? 'pc'}"`, {
        data: { machine },
      });
    const disks: readonly DiskId[] =
      wanted.disks.length > 0 ? wanted.disks.map((name) => this.#agent.disk(name).disk) : (known?.disks ?? []);
    const accel = await this.machinery.accelerator(args);
    const wantedBytes = wanted.memoryBytes ?? known?.memoryBytes ?? DEFAULT_MEMORY_BYTES;
    return {
      name: wanted.name,
      memoryBytes: memoryBytesFor(wantedBytes, { accel, qemuVersion, args }),
      cpus: wanted.cpus ?? known?.cpus ?? 1,
      machine: machines.get(machine) ?? machine,
      accel,
      disks,
      args: withoutMachine(args),
    };
  }
}

const MACHINE_OPTIONS = ['-M', '-machine', '--machine'];

/** The machine type that the user's arguments name. */
function machineOf(args: readonly string[]): string | undefined {
  const index = args.findIndex((argument) => MACHINE_OPTIONS.includes(argument));
  return index < 0 ? undefined : args[index + 1];
}

function withoutMachine(args: readonly string[]): string[] {
  return args.filter(
    (argument, index) => !MACHINE_OPTIONS.includes(argument) && !MACHINE_OPTIONS.includes(args[index - 1] ?? ''),
  );
}
