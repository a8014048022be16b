/**
 * Names in a state folder, relative to it; what lies inside the agent's own parts is named there (meta.journal, overlays).
 *
 * One folder is one host: its keys, its metadata journal, its chunks and the overlays of its disks. All of it is for its
 * user alone (0700). The names are a format: STATE_FORMAT rises when their meaning changes.
 */

/** Content of the version file. */
export const STATE_FORMAT = 1;

export const VERSION_FILE = 'version';
/** Private keys of this host, 0600. */
export const HOST_KEYS_FILE = 'host.keys';
/** Packs and their index. */
export const STORE_FOLDER = 'store';
/** One folder per disk, named by its id: overlays and maps. */
export const DISKS_FOLDER = 'disks';
/** NBD sockets of attachments. */
export const SOCKETS_FOLDER = 'sockets';
export const CONTROL_SOCKET = 'control.sock';
/** Images on their way in or out. */
export const SCRATCH_FOLDER = 'scratch';
/** Torrents of generations that were given to everyone. */
export const TORRENTS_FOLDER = 'torrents';
/** The holder of the folder, `agent.lock.N`; the greatest N counts. */
export const LOCK_PREFIX = 'agent.lock';
/** Logs of virtual machines. */
export const MACHINES_FOLDER = 'machines';
