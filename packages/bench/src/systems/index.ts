/** All systems, in the order in which `bench list` shows them. */
import { BOOT_SYSTEMS } from './boot-systems.ts';
import { DRBD_SYSTEMS } from './drbd-systems.ts';
import { MOVE_SYSTEMS } from './move-systems.ts';
import { ROAM_SYSTEMS } from './roam-systems.ts';
import type { System } from './system.ts';

export const SYSTEMS: readonly System[] = [...MOVE_SYSTEMS, ...DRBD_SYSTEMS, ...BOOT_SYSTEMS, ...ROAM_SYSTEMS];
