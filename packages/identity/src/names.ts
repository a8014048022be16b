/** The names people give to disks and forks; host ids and disk ids name everything else. */

/** What a name looks like. */
export const NAME_PATTERN = /^[a-z0-9._-]{1,64}$/;
/** Longest name of a fork or a disk, in bytes. */
export const MAX_FORK_NAME_BYTES = 64;
