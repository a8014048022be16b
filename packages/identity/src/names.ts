/**
 * The names people give to disks and forks, in one pattern for the command line, invitations and records.
 *
 * A name is a host's own and never part of trust: host ids, disk ids and record ids name everything that is checked.
 */

/** What a name looks like. */
export const NAME_PATTERN = /^[a-z0-9._-]{1,64}$/;
/** Longest name of a fork or a disk, in bytes. */
export const MAX_FORK_NAME_BYTES = 64;
