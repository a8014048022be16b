/**
 * Which format an image has by its first bytes. Formats other than raw and qcow2 are known by name, since importing them as raw would make a disk that
 * no guest can use. Whether the image is complete is checked when it is read.
 */

/** So many bytes tell. */
export const HEAD_BYTES = 512;

const FORMATS: readonly { name: string; at: number; magic: string }[] = [
  { name: 'qcow2', at: 0, magic: 'QFI\xfb' },
  { name: 'VMDK', at: 0, magic: 'KDMV' },
  { name: 'VMDK', at: 0, magic: '# Disk DescriptorFile' },
  { name: 'VHDX', at: 0, magic: 'vhdxfile' },
  { name: 'VHD', at: 0, magic: 'conectix' },
  { name: 'VDI', at: 64, magic: '\x7f\x10\xda\xbe' },
  { name: 'QED', at: 0, magic: 'QED\0' },
];

/** The name of the format that begins like this; null for a raw image. */
export function foreignFormat(head: Uint8Array): string | null {
  const text = Buffer.from(head).toString('latin1');
  return FORMATS.find(({ at, magic }) => text.startsWith(magic, at))?.name ?? null;
}

/** Whether a qcow2 image has a backing file or an external data file: qemu-img would read whatever file of this host a stranger's image names. */
export function namesOtherFiles(head: Uint8Array): boolean {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (head.length < 104) return true;
  const [version, backingFile] = [view.getUint32(4), view.getBigUint64(8)];
  return backingFile !== 0n || (version >= 3 && (view.getBigUint64(72) & EXTERNAL_DATA_FILE) !== 0n);
}

const EXTERNAL_DATA_FILE = 4n;
