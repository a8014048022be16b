/**
 * Takes the uncompressed kernel (vmlinux, an ELF file) out of a bzImage.
 *
 * QEMU starts fastest from vmlinux by PVH: no real-mode code, no decompression under emulation. Source: the kernel's
 * x86 boot protocol, setup header fields setup_sects (0x1f1), "HdrS" (0x202), payload_offset (0x248) and
 * payload_length (0x24c). Leaves fetching the kernel to kernel.ts.
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { DiskswarmError } from '@diskswarm/core';
import { decodeLegacyLz4, isLegacyLz4 } from './lz4.ts';

const MAX_VMLINUX_BYTES = 256 * 1024 * 1024;
const ELF_MAGIC = 0x464c457f;
const HEADER_BYTES = 0x250;

/**
 * The vmlinux inside `image`, a fresh array. Payloads in LZ4, gzip and zstd are known.
 *
 * @throws DiskswarmError FORMAT_INVALID when it is no bzImage, is cut, or its payload has another form.
 */
export function extractVmlinux(image: Uint8Array): Uint8Array {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  if (image.length < HEADER_BYTES || view.getUint32(0x202, true) !== 0x53726448)
    throw invalid('it has no setup header');
  const setupSectors = view.getUint8(0x1f1) || 4;
  const start = (setupSectors + 1) * 512 + view.getUint32(0x248, true);
  const length = view.getUint32(0x24c, true);
  if (length < 8 || start + length > image.length) throw invalid('its payload is cut');
  const payload = image.subarray(start, start + length);
  // Every compressor but gzip gets the plain size appended, as the last four bytes; gzip has it there anyway.
  const plainBytes = view.getUint32(start + length - 4, true);
  if (plainBytes > MAX_VMLINUX_BYTES) throw invalid('its payload is too large');
  const vmlinux = decompress(payload, plainBytes);
  const head = new DataView(vmlinux.buffer, vmlinux.byteOffset, vmlinux.byteLength);
  if (vmlinux.length !== plainBytes || head.getUint32(0, true) !== ELF_MAGIC)
    throw invalid('its payload is no ELF file');
  return vmlinux;
}

function decompress(payload: Uint8Array, plainBytes: number): Uint8Array {
  if (isLegacyLz4(payload)) return decodeLegacyLz4(payload, plainBytes);
  try {
    if (payload[0] === 0x1f && payload[1] === 0x8b) return gunzipSync(payload, { maxOutputLength: plainBytes });
    if (payload[0] === 0x28 && payload[1] === 0xb5) {
      return zstdDecompressSync(payload.subarray(0, -4), { maxOutputLength: plainBytes });
    }
  } catch (cause) {
    throw invalid('its payload does not decompress', cause);
  }
  throw invalid('its payload is compressed in a way not known here');
}

function invalid(what: string, cause?: unknown): DiskswarmError {
  return new DiskswarmError('FORMAT_INVALID', `The kernel image is not usable: ${what}`, { cause });
}
