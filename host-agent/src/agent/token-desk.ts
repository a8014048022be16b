/**
 * Lets hosts in by join tokens that this host redeems: judges them, counts the uses, and keeps admissions good.
 *
 * The ledger of a token (which host took which use) and the roster with the admission become durable in one step, before the
 * newcomer is answered: a crash loses an answer, never a count, and the host that asks again gets the use it had. When the
 * owner replaces the swarm secret at the same time, those who came by a token and are not in its roster are admitted anew.
 * Who may redeem what is signed in the roster; proving hosts is the swarm's.
 */
import {
  type DiskId,
  decodeCanonical,
  encodeCanonical,
  type HostId,
  hasCode,
  RecordReader,
  type Timer,
  type TokenId,
} from '@diskswarm/core';
import {
  createAdmission,
  HOST_BYTES,
  hostFromBytes,
  hostToBytes,
  MAX_TOKEN_USES,
  memberOf,
  type RosterToken,
  unwrapSecret,
} from '@diskswarm/identity';
import type { Redemption, TokenDoor } from '@diskswarm/swarm';
import { diskKey } from './disk-records.ts';
import type { Environment } from './environment.ts';
import type { ManagedDisk } from './managed-disk.ts';
import { Turns } from './turns.ts';

/** Other hosts are told of newcomers together: a lab that starts up sends them a few rosters, not one for each host. */
const SPREAD_MS = 250;
const MAX_LEDGER_BYTES = 128 * 1024;
const ATTEMPTS = 3;

/** Why a newcomer is refused: `data.reason` of TOKEN_REFUSED. */
export type TokenRefusal = 'used-up' | 'expired' | 'revoked' | 'host-revoked' | 'full';

interface Use {
  readonly host: HostId;
  readonly use: number;
}

export class TokenDesk {
  readonly #env: () => Environment;
  readonly #disks: () => readonly ManagedDisk[];
  /** Secrets of tokens, by their boxes' place in a roster. */
  readonly #secrets = new WeakMap<RosterToken, Uint8Array | null>();
  readonly #turns = new Turns();
  readonly #spreading = new Map<DiskId, Timer>();

  constructor(env: () => Environment, disks: () => readonly ManagedDisk[]) {
    this.#env = env;
    this.#disks = disks;
  }

  /** The tokens that are redeemed here, void ones too, so that who comes with one is told. */
  doors(): TokenDoor[] {
    return this.#disks().flatMap((disk) =>
      this.#own(disk).flatMap((token) => {
        const secret = this.#secretOf(disk, token);
        if (secret === null) return [];
        return [{ disk: disk.disk, secret, redeem: (host: HostId) => this.#redeem(disk, token.id, host) }];
      }),
    );
  }

  /** The roster of the disk is another, or the agent started: who came by a token and is not listed any more is admitted anew. */
  renew(disk: ManagedDisk): void {
    if (this.#own(disk).length === 0) return;
    this.#turns
      .run(async () => {
        for (const token of this.#own(disk)) await this.#renew(disk, token);
      })
      .catch((error: unknown) =>
        this.#env().log.warn(
          { disk: disk.disk },
          `hosts that came by a token wait to be let in again: ${String(error)}`,
        ),
      );
  }

  /** Ends what waits. */
  stop(): void {
    for (const timer of this.#spreading.values()) timer.cancel();
    this.#spreading.clear();
  }

  #own({ records }: ManagedDisk): RosterToken[] {
    const { member, roster } = records;
    if (member === null || member.revoked !== undefined) return [];
    return roster.tokens.filter(({ redeemer }) => redeemer === member.host);
  }

  #secretOf({ disk }: ManagedDisk, token: RosterToken): Uint8Array | null {
    const known = this.#secrets.get(token);
    if (known !== undefined) return known;
    let secret: Uint8Array | null = null;
    try {
      secret = unwrapSecret(token.box, this.#env().keys, disk);
    } catch (error) {
      this.#env().log.warn({ disk }, `token ${token.id} cannot be redeemed here: ${String(error)}`);
    }
    this.#secrets.set(token, secret);
    return secret;
  }

  #redeem(disk: ManagedDisk, id: TokenId, host: HostId): Promise<Redemption> {
    return this.#turns.run(async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#judge(disk, id, host);
        } catch (error) {
          if (hasCode(error, 'LIMIT_EXCEEDED')) return refused('full');
          if (hasCode(error, 'ROSTER_STALE') && attempt < ATTEMPTS) continue;
          this.#env().log.warn({ disk: disk.disk, host }, `a host could not be let in by a token: ${String(error)}`);
          throw error;
        }
      }
    });
  }

  async #judge(disk: ManagedDisk, id: TokenId, host: HostId): Promise<Redemption> {
    const { records } = disk;
    const token = this.#own(disk).find((each) => each.id === id);
    if (token === undefined) return refused('revoked');
    const member = memberOf(records.roster, host);
    if (member?.revoked !== undefined) return refused('host-revoked');
    if (member === null) {
      if (token.revoked) return refused('revoked');
      const ledger = this.#ledger(disk.disk, id);
      const before = ledger.find((entry) => entry.host === host && entry.use > token.used);
      if (before === undefined && this.#env().clock.wallMs() >= token.expiresMs) return refused('expired');
      const use = before?.use ?? Math.max(token.used, ...ledger.map((entry) => entry.use)) + 1;
      if (use > token.uses) return refused('used-up');
      await this.#admit(disk, token, before === undefined ? [...ledger, { host, use }] : ledger, [{ host, use }]);
    }
    return { roster: records.roster.bytes, epochs: records.chain.records.map(({ bytes }) => bytes) };
  }

  async #renew(disk: ManagedDisk, token: RosterToken): Promise<void> {
    if (token.revoked) return;
    const ledger = this.#ledger(disk.disk, token.id);
    const { roster } = disk.records;
    const lost = ledger.filter(({ host, use }) => use > token.used && memberOf(roster, host) === null);
    if (lost.length > 0) await this.#admit(disk, token, ledger, lost);
  }

  async #admit(disk: ManagedDisk, token: RosterToken, ledger: readonly Use[], uses: readonly Use[]): Promise<void> {
    const { keys, random, log } = this.#env();
    const secret = disk.records.secrets[0]!;
    const admissions = uses.map(({ host, use }) =>
      createAdmission({ disk: disk.disk, id: token.id, use, host, secret }, keys, random),
    );
    const entries = ledger.map(({ host, use }) => ({ host: hostToBytes(host), use }));
    await disk.records.admit(admissions, { [ledgerKey(disk.disk, token.id)]: encodeCanonical(entries) });
    for (const { host, use } of uses)
      log.info({ disk: disk.disk, host, token: token.id, use }, `host ${host} came by token ${token.id}, use ${use}`);
    this.#spread(disk);
  }

  #ledger(disk: DiskId, id: TokenId): Use[] {
    const bytes = this.#env().meta.get(ledgerKey(disk, id));
    if (bytes === null) return [];
    const what = 'ledger of a token';
    const reader = new RecordReader({ uses: decodeCanonical(bytes, { maxBytes: MAX_LEDGER_BYTES, what }) }, what, [
      'uses',
    ]);
    return reader.list('uses', MAX_TOKEN_USES).map((item) => {
      const entry = new RecordReader(item, what, ['host', 'use']);
      return {
        host: hostFromBytes(entry.bytes('host', { length: HOST_BYTES })),
        use: entry.integer('use', 1, MAX_TOKEN_USES),
      };
    });
  }

  #spread({ disk, changed }: ManagedDisk): void {
    changed.fire();
    if (this.#spreading.has(disk)) return;
    const { clock, swarm } = this.#env();
    const tell = (): void => {
      this.#spreading.delete(disk);
      swarm.rosterChanged(disk);
    };
    this.#spreading.set(disk, clock.setTimer(SPREAD_MS, tell, { background: true }));
  }
}

function refused(reason: TokenRefusal): Redemption {
  return { refused: reason };
}

function ledgerKey(disk: DiskId, id: TokenId): string {
  return diskKey(disk, `token/${id}`);
}
