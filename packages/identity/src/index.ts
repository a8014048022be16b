/**
 * @module identity
 * Who is who and what counts: keys of hosts and owners, and every signed record of a disk, encoded, decoded and verified.
 *
 * Pure functions over bytes. A `Genesis`, `Roster`, `EpochRecord` or `Generation` object exists only after its form and its own
 * signature were checked; what needs the history too is `verifyEpochChain` and then `verifyGeneration`. Storing, exchanging and
 * acting on records is left to the layers above.
 *
 * @example
 * const genesis = createGenesis(owner, 65536, random);
 * const { roster, secret } = firstRoster(genesis, keys.hostId, owner, random);
 * const chain = verifyEpochChain([createGrant(genesis, keys.hostId, owner)], genesis, roster);
 */
export * from './admission.ts';
export * from './admitted-roster.ts';
export * from './announce-blob.ts';
export * from './epoch-chain.ts';
export * from './epoch-record.ts';
export * from './epoch-signing.ts';
export * from './generation.ts';
export * from './genesis.ts';
export * from './host-keys.ts';
export * from './invitation.ts';
export * from './join-token.ts';
export * from './lane-proof.ts';
export * from './limits.ts';
export * from './membership.ts';
export * from './names.ts';
export * from './owner.ts';
export * from './owner-file.ts';
export * from './receipt.ts';
export * from './roster.ts';
export * from './roster-token.ts';
export * from './swarm-secret.ts';
export * from './template-list.ts';
