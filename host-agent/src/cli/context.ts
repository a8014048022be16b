/**
 * What every command is given: where things lie, how to speak to people and to the agent, and when to give up.
 */
import { callAgent } from '../control/client.ts';
import type { ControlEvent, ControlMethod, ControlParams, ControlResult, Progress } from '../control/methods.ts';
import type { Output } from './output.ts';

/** The options that every command takes. */
export interface GlobalOptions {
  readonly state?: string;
  readonly json?: boolean;
  readonly ownerFile?: string;
  readonly passphraseFile?: string;
}

export interface CommandContext {
  readonly output: Output;
  /** Absolute. */
  readonly stateDir: string;
  /** Absolute. */
  readonly ownerFile: string;
  readonly passphraseFile: string | undefined;
  /** Fires on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
}

/** Asks the agent of the state folder. */
export function ask<M extends ControlMethod>(
  context: CommandContext,
  method: M,
  params: ControlParams<M>,
  onEvent?: (event: ControlEvent<M>) => void,
): Promise<ControlResult<M>> {
  const { stateDir, signal } = context;
  return callAgent(stateDir, method, params, onEvent === undefined ? { signal } : { signal, onEvent });
}

type Progressing = { [M in ControlMethod]: Progress extends ControlEvent<M> ? M : never }[ControlMethod];

/** Asks the agent and shows how far it is; with `events` programs see it too. */
export async function askWithProgress<M extends Progressing>(
  context: CommandContext,
  method: M,
  params: ControlParams<M>,
  what: string,
  options: { events: boolean } = { events: false },
): Promise<ControlResult<M>> {
  const view = context.output.progress(what, options);
  try {
    return await ask(context, method, params, (event) => view.update(event as Progress));
  } finally {
    view.end();
  }
}
