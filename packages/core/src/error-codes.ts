/**
 * Every stable error code with its meaning and the next step; docs/ERRORS.md is generated from this table.
 *
 * A code is never renamed or reused; codes are only ever added. Keep the table sorted.
 */
export const ERROR_CODES = {
  ABORTED: 'The caller gave the request up; nothing is left reserved.',
  ADDRESS_UNAVAILABLE:
    'The address of --listen is in use, or is none of this machine. Choose another; port 0 picks a free port.',
  AGENT_ALREADY_RUNNING:
    'Another agent holds this state folder; the message names its process. Stop it first, or use another --state.',
  AGENT_NOT_RUNNING: 'No agent answers in this state folder. Start one with `diskswarm agent --state DIR`.',
  ATTACHMENT_STATE: 'The attachment is in a state that forbids this (held, fenced, incoming or read-only).',
  BAD_CHUNK_SIZE: 'A chunk size is a power of two from 16K to 1M.',
  BAD_EXPERIMENT: 'An experiment file is wrong; the message says where, what stands there and what may.',
  BAD_IMAGE: 'The image cannot be read as a disk: truncated, empty, no multiple of 512 bytes, or an unknown format.',
  CHUNK_CORRUPT:
    'Bytes do not match the id they are stored or sent under. `store verify` finds every such chunk; it is fetched again from a peer.',
  CHUNK_NOT_FOUND: 'No host that is reachable holds this chunk. Start a host that held the disk before.',
  CLIENT_CONNECTED: 'A writable client is connected to the disk. Shut the VM down (or detach), then try again.',
  DEMO_FAILED: 'A check of the demonstration did not hold; the message names it.',
  DISK_ATTACHED: 'The disk is attached. Detach it first.',
  DISK_FULL: 'The state folder has no room for new data; what was written before is safe. Free space, then go on.',
  DISK_NOT_FOUND: 'This host knows no disk of that name. `disk ls` lists the ones it does.',
  EPOCH_CONFLICT: 'Two epoch records claim the same epoch: the disk was forked. The message names both.',
  EXTERNAL_TOOL_FAILED:
    'A program that diskswarm ran for you failed or is missing; the message names it and the package that has it.',
  FORMAT_INVALID: 'A record is malformed, not canonical, too large, or holds an unknown critical field.',
  GENERATION_BEHIND:
    'Trackers tell of a newer generation of the disk than any here, so it is not written on top of an older one. Start a host that has it, or fork the disk with `disk take --force`.',
  GENERATION_NOT_FOUND: 'The disk has no such generation here. `disk history` lists the ones it has.',
  GENERATION_UNTRUSTED: 'A generation whose signature or chain of epoch records does not verify; it was not taken.',
  GUEST_COMMAND_FAILED:
    'A command inside a test guest failed, or its bytes are not the ones it wrote; the message has its answer and exit code.',
  GUEST_EXITED: "A test guest's QEMU ended before it was asked to; the message has what it said last.",
  GUEST_FAILED: 'A test guest could not boot, panicked, or was reset; the message has the end of its console.',
  HANDOVER_IN_DOUBT:
    'The relinquish was sent and its acceptance was not seen. Both hosts stay stopped; reconnect them and run the same command again.',
  HANDOVER_REFUSED: 'The other host signed a refusal. This host still owns the disk and goes on.',
  INTERNAL: 'A defect in diskswarm. Please report it with the message.',
  INVALID_ARGUMENT: 'An argument has the wrong form; the message says which and what it takes.',
  INVALID_ID: 'An id is malformed or fails its checksum.',
  INVITATION_INVALID:
    'The invitation is forged, altered, incomplete, or meant for another host. Ask for a new one with your `host id`.',
  JOURNAL_CORRUPT:
    'A journal has a damaged record before its end. The agent refuses to guess; restore the state folder or join the disk again.',
  LAST_COPY:
    'No receipt says that another host has all of the disk, so this copy stays. Hand the disk over, or pull it elsewhere; --force removes it all the same.',
  LIMIT_EXCEEDED: 'Something outside asked for more than a documented limit (docs/LIMITS.md).',
  MIGRATION_FAILED:
    'A live migration ended before anything was given away; the message says why. The machine runs where it was.',
  NAME_EXISTS: 'A disk of that name exists on this host. Choose another --name.',
  NOT_OWNER: 'Another host owns the disk now; the message names it. `disk take` asks it for the disk.',
  OWNER_FILE_EXISTS: 'The owner file exists; it is never overwritten.',
  OWNER_FILE_MISSING: 'No owner file. `owner init` makes one; `owner restore` brings one back.',
  OWNER_MISMATCH:
    'The disk belongs to another owner than the one of this owner file. Name the right file with --owner-file.',
  PASSPHRASE_WRONG: 'The passphrase does not open the owner file.',
  PEER_MISBEHAVED: 'A peer broke the protocol and was disconnected.',
  PEER_UNREACHABLE: 'The peer cannot be reached.',
  PROTOCOL_ERROR: 'A message is malformed, too large, or out of turn.',
  QMP_CLOSED: "QEMU ended, or its monitor's connection broke. `vm info` has the reason.",
  QMP_ERROR: 'QEMU refused a command; the message has its words.',
  READ_FAILED: 'The state folder cannot be read; the message has the cause.',
  REVOKED: 'This host was revoked from the disk. Ask the owner.',
  ROLE_FORBIDS: 'The role of this host in the roster does not allow this.',
  ROSTER_STALE: 'The roster changed while this change of it was made, so nothing was changed. Run the command again.',
  RUNS_FAILED:
    'Runs of an experiment failed; they are kept with the others, and `bench report` counts them and says why.',
  SEAL_NEEDS_CHUNKS:
    'The seal needs the rest of partly written chunks and nobody reachable has them. Nothing is lost; seal again when a holder is back.',
  SIGNATURE_INVALID: 'A signed record was altered, or signed by somebody else than it says; it was not taken.',
  STATE_VERSION: 'The state folder was written by another version of diskswarm.',
  TEMPLATE_IN_USE:
    'Clones on this host still need chunks of the template. `disk pull CLONE` makes them independent; --force removes it all the same.',
  TEMPLATE_NOT_FOUND:
    'The generation is no template, or was retired. `disk info` lists the templates of a disk; `disk publish` makes one.',
  TEMPLATE_PINNED:
    'The disk has templates that are pinned here until they are retired. `disk retire` ends that; --force removes the copy all the same.',
  TIMEOUT: 'What was waited for did not happen in time.',
  TOKEN_REFUSED:
    'The join token lets this host in no more: used up, expired, or taken back. The message says which; ask for a new one.',
  TORRENT_INVALID:
    'The torrent or magnet link cannot be used; the message says what is wrong with it. Nothing was kept of it.',
  TORRENT_STALLED:
    'No host that is reachable sends the rest of the torrent. What came is kept; the same command goes on from there.',
  VM_ARGS_NOT_ALLOWED:
    "The machine's definition has a QEMU argument that another host chose and this host's user has not allowed. The message has the command that allows it.",
  VM_EXISTS: 'A virtual machine of that name is on this host. Choose another name, or stop it.',
  VM_NOT_ADOPTABLE:
    'A QEMU that somebody else started cannot move with its disks; the message says why. Nothing of it was changed.',
  VM_NOT_FOUND: 'This host knows no virtual machine of that name. `vm ls` lists the ones it does.',
  VM_STATE: 'The virtual machine is in a state that forbids this; the message says which.',
  WRITE_FAILED:
    'A write or sync to the state folder failed. The export was fenced, nothing acknowledged by a flush is lost; check the disk, then attach again.',
} as const satisfies Record<string, string>;

/** A stable error code. */
export type ErrorCode = keyof typeof ERROR_CODES;
