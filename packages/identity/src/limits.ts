/**
 * Bounds of the records in this package; docs/LIMITS.md lists them. Every decoder checks them before it builds anything.
 * Limits that other packages share stand in core.
 */

/** Members of one roster, revoked ones included (they stay listed). */
export const MAX_MEMBERS = 1024;
/** Bytes of an encoded roster with its admissions: 1024 members with their wrapped secrets take about 180,000. */
export const MAX_ROSTER_BYTES = 256 * 1024;
/** Join tokens that a roster lists; the oldest that are void make room for new ones. */
export const MAX_TOKENS = 16;
/** Hosts that one join token lets in. */
export const MAX_TOKEN_USES = 1000;
/** Bytes of the record in a token's line: it names a disk, a host and at most 32 places. */
export const MAX_TOKEN_BYTES = 24 * 1024;
/** Templates of one disk; the oldest that are retired make room for new ones. */
export const MAX_TEMPLATES = 64;
/** Bytes of an encoded list of templates: 64 of them take about 6,000. */
export const MAX_TEMPLATES_BYTES = 7680;
/** Epoch records of one disk. */
export const MAX_EPOCH_RECORDS = 4096;
/** Bytes of one epoch record, verdict, receipt or release. */
export const MAX_RECORD_BYTES = 2048;
/** Bytes of a generation record. */
export const MAX_GENERATION_BYTES = 4096;
/** Bytes of a genesis. */
export const MAX_GENESIS_BYTES = 1024;
/** Characters of an invitation: room for a full roster and every epoch record a disk can have, as they are in practice. */
export const MAX_INVITATION_CHARS = 3 * 1024 * 1024;
/** Trackers, and addresses of the inviter, in an invitation. */
export const MAX_INVITATION_PLACES = 16;
/** Largest epoch and largest sequence number. */
export const MAX_EPOCH = 2 ** 31;
export const MAX_SEQUENCE = 2 ** 48;
/** Bytes of a hello. */
export const MAX_HELLO_BYTES = 4096;
/** UTF-8 bytes of a passphrase. */
export const MAX_PASSPHRASE_BYTES = 1024;
