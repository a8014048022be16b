/**
 * Which accelerator a new machine gets: what its user says, else KVM where a machine truly runs under it, else software.
 *
 * A device that can be opened proves nothing (nested virtualisation breaks in many ways), so a tiny boot sector is run once for each agent run: it has to
 * take timer interrupts and say so on its serial line.
 */
import { spawn } from 'node:child_process';
import { access, constants, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Accelerator } from './definition.ts';
import { QEMU } from './qemu-program.ts';

const PROBE_PATIENCE_MS = 10_000;

let probed: Promise<Accelerator> | null = null;

/** The accelerator for a machine with these arguments; DISKSWARM_ACCEL=kvm or tcg decides instead of the probe. */
export function chooseAccelerator(args: readonly string[]): Promise<Accelerator> {
  const given = args[args.indexOf('-accel') + 1];
  if (args.includes('-enable-kvm') || (args.includes('-accel') && given?.startsWith('kvm') === true))
    return Promise.resolve('kvm');
  if (args.includes('-accel')) return Promise.resolve('tcg');
  const { DISKSWARM_ACCEL: wish } = process.env;
  if (wish === 'kvm' || wish === 'tcg') return Promise.resolve(wish);
  probed ??= kvmWorks().then((works) => (works ? 'kvm' : 'tcg'));
  return probed;
}

async function kvmWorks(): Promise<boolean> {
  try {
    await access('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch {
    return false;
  }
  const folder = await mkdtemp(path.join(os.tmpdir(), 'diskswarm-kvm-'));
  try {
    const image = path.join(folder, 'boot');
    await writeFile(image, bootSector());
    return await boots(image);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function boots(image: string): Promise<boolean> {
  const machine = [
    '-nodefaults',
    '-no-user-config',
    '-display',
    'none',
    '-M',
    'pc',
    '-accel',
    'kvm',
    '-m',
    '16',
    '-no-reboot',
  ];
  const child = spawn(QEMU, [...machine, '-drive', `file=${image},format=raw,if=ide,readonly=on`, '-serial', 'stdio'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return new Promise((resolve) => {
    const finish = (works: boolean): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      resolve(works);
    };
    const timer = setTimeout(() => finish(false), PROBE_PATIENCE_MS);
    let said = '';
    child.stdout.on('data', (bytes: Buffer) => {
      said = (said + bytes.toString('latin1')).slice(-16);
      if (said.includes('ticked')) finish(true);
    });
    child.once('error', () => finish(false));
    child.once('exit', () => finish(said.includes('ticked')));
  });
}

/** Real-mode code: waits with HLT for nine ticks of the BIOS's timer, which only interrupts advance, then says "ticked" on COM1 and halts. */
function bootSector(): Uint8Array {
  const sector = new Uint8Array(512);
  sector.set([
    0xfa,
    0x31,
    0xc0,
    0x8e,
    0xd8,
    0x8e,
    0xd0,
    0xbc,
    0x00,
    0x7c,
    0xfb, // cli; xor ax,ax; mov ds,ax; mov ss,ax; mov sp,0x7c00; sti
    0x8b,
    0x1e,
    0x6c,
    0x04,
    0x83,
    0xc3,
    0x09, // mov bx,[0x46c]; add bx,9
    0xf4,
    0x3b,
    0x1e,
    0x6c,
    0x04,
    0x75,
    0xf9, // wait: hlt; cmp bx,[0x46c]; jne wait
    0xbe,
    0x2c,
    0x7c, // mov si,text
    0xba,
    0xf8,
    0x03, // mov dx,0x3f8
    0xac,
    0x84,
    0xc0,
    0x74,
    0x03,
    0xee,
    0xeb,
    0xf8, // next: lodsb; test al,al; jz end; out dx,al; jmp next
    0xf4,
    0xeb,
    0xfd, // end: hlt; jmp end
  ]);
  sector.set(new TextEncoder().encode('ticked\r\n'), 0x2c);
  sector[510] = 0x55;
  sector[511] = 0xaa;
  return sector;
}
