/**
 * The dashboard of one agent: nothing listens until somebody who can open the control socket asks for it; then a port of the
 * loopback serves the page, and each use of the method gives out one more code.
 *
 * Puts the parts together and takes them apart again. Listens on loopback only, whatever the agent listens on.
 */
import type { Agent } from '../agent/agent.ts';
import type { ControlHandlers } from '../control/server.ts';
import type { HttpServer } from '../http/http-server.ts';
import { DashboardAccess } from './access.ts';
import { loadAssets } from './assets.ts';
import { InvitationDesk } from './invitation-desk.ts';
import { LiveStreams } from './live-streams.ts';
import { serveDashboard } from './server.ts';
import { type ShownHandlers, takeSnapshot } from './snapshot.ts';
import { TrafficHistory, totalsOf } from './traffic-history.ts';

const LISTEN = '127.0.0.1:0';

export type DashboardHandlers = Pick<ControlHandlers, Extract<keyof ControlHandlers, `dashboard.${string}`>>;

export class Dashboard {
  readonly #agent: Agent;
  readonly #handlers: ShownHandlers;
  readonly #access: DashboardAccess;
  readonly #desk: InvitationDesk;
  readonly #history: TrafficHistory;
  readonly #streams: LiveStreams;
  #server: Promise<HttpServer> | null = null;

  /** `handlers` answer what the page shows. */
  constructor(agent: Agent, handlers: ShownHandlers) {
    const { clock, random, log } = agent.env;
    this.#agent = agent;
    this.#handlers = handlers;
    this.#access = new DashboardAccess(clock, random);
    this.#desk = new InvitationDesk(clock);
    this.#history = new TrafficHistory(clock, () => totalsOf(agent));
    this.#streams = new LiveStreams({
      hostId: agent.env.hostId,
      history: this.#history,
      snapshot: () => takeSnapshot(this.#handlers, this.#desk.open),
      onDefect: (error) => log.error({ err: error }, 'a defect in the dashboard'),
    });
  }

  /** What the control socket can ask of it. */
  get handlers(): DashboardHandlers {
    return {
      'dashboard.open': async () => {
        const { listen } = await this.#started();
        return { listen, url: `http://${listen}/#code=${this.#access.newCode()}` };
      },
      'dashboard.sign': async (_, { signal, emit }) => {
        await this.#desk.sign((id, wanted) => emit({ event: 'invitationWanted', id, ...wanted }), { signal });
        return {};
      },
      'dashboard.signed': async ({ id, invitation, reason }) => {
        this.#desk.signed(id, invitation === null ? { kind: 'refused', reason } : { kind: 'made', invitation });
        return {};
      },
    };
  }

  /** Ends every page's connection. Idempotent. */
  async stop(): Promise<void> {
    this.#history.stop();
    await (await this.#server?.catch(() => null))?.stop();
  }

  #started(): Promise<HttpServer> {
    this.#server ??= this.#start().catch((error: unknown) => {
      this.#server = null;
      throw error;
    });
    return this.#server;
  }

  async #start(): Promise<HttpServer> {
    const { log } = this.#agent.env;
    const server = await serveDashboard({
      listen: LISTEN,
      assets: await loadAssets(),
      access: this.#access,
      desk: this.#desk,
      streams: this.#streams,
      onDefect: (error) => log.error({ err: error }, 'a defect in the dashboard'),
    });
    this.#history.start(() => this.#streams.tick());
    return server;
  }
}
