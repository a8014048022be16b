/**
 * `dashboard`: a link to this host's page in a browser, good once and for ten minutes; with --invite it stays, and signs the invitations
 * that the page asks for with the owner's key.
 *
 * On a desktop the browser is opened by way of a private file, so that the code in the link stands in no list of processes.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { DiskswarmError, hasCode, messageOf } from '@diskswarm/core';
import { parseHostId } from '@diskswarm/identity';
import type { Command } from 'commander';
import type { ControlEvent } from '../../control/methods.ts';
import { ask, type CommandContext } from '../context.ts';
import { grantHost } from '../owner-records.ts';
import { openOwner } from '../owner-store.ts';
import type { Action } from '../program.ts';

/** In the state folder, 0600; it leads to the page. */
const OPENER_FILE = 'dashboard.html';

type Wanted = ControlEvent<'dashboard.sign'>;
type Owner = Awaited<ReturnType<typeof openOwner>>;

export function registerDashboardCommand(program: Command, action: Action): void {
  program
    .command('dashboard')
    .option('--invite', "stay, and sign the invitations that the page asks for with the owner's key")
    .description("this host's page in a browser: disks, peers, faults, moves, invitations")
    .action(
      action<[], { invite?: true }>(async (context, _, { invite }) => {
        // First, so that nobody is given a page that cannot do what was wanted.
        const owner = invite === true ? await openOwner(context) : null;
        const opened = await ask(context, 'dashboard.open', {});
        context.output.result(opened, opened.url);
        context.output.note(
          'Open it on this machine within ten minutes; it works once. `diskswarm dashboard` makes another.',
        );
        if (context.output.isTerminal && !context.output.json) openBrowser(context, opened.url);
        if (owner !== null) await signInvitations(context, owner);
      }),
    );
}

function openBrowser({ stateDir, output }: CommandContext, url: string): void {
  if (process.env.DISPLAY === undefined && process.env.WAYLAND_DISPLAY === undefined) return;
  const file = path.join(stateDir, OPENER_FILE);
  writeFileSync(file, `<!doctype html><meta http-equiv="refresh" content="0; url=${url}">\n`, { mode: 0o600 });
  const browser = spawn('xdg-open', [file], { stdio: 'ignore', detached: true });
  browser.on('error', () => output.note('No browser could be opened here: open the link yourself.'));
  browser.unref();
}

/** Until SIGINT. */
async function signInvitations(context: CommandContext, owner: Owner): Promise<void> {
  context.output.note('Invitations from the page are signed here until you press Ctrl-C.');
  try {
    // One after the other: each changes the roster that the one before left.
    let turn = Promise.resolve();
    await ask(context, 'dashboard.sign', {}, (wanted) => {
      turn = turn.then(() => sign(context, owner, wanted));
    });
    throw new DiskswarmError('AGENT_NOT_RUNNING', 'the agent ended; start it and the dashboard again');
  } catch (error) {
    // Being told to stop is how this ends.
    if (!context.signal.aborted || !hasCode(error, 'ABORTED')) throw error;
  }
}

async function sign(context: CommandContext, owner: Owner, wanted: Wanted): Promise<void> {
  const { id, name, hostId, role } = wanted;
  const { output } = context;
  let invitation: string | null = null;
  let reason = '';
  try {
    const view = await ask(context, 'disk.ownerView', { name });
    const granted = grantHost(view, owner, { host: parseHostId(hostId), role, name });
    const { rosterBundle, rosterSequence } = granted;
    if (rosterBundle !== null) await ask(context, 'disk.applyRoster', { name, rosterBundle });
    invitation = granted.invitation;
    const document = { event: 'invited', name, hostId, role, rosterSequence };
    output.result(document, `host ${hostId.slice(0, 8)} may have ${name} as ${role}`);
  } catch (error) {
    reason = messageOf(error).slice(0, 500);
    output.note(`host ${hostId.slice(0, 8)} was not invited to ${name}: ${reason}`);
  }
  await ask(context, 'dashboard.signed', { id, invitation, reason }).catch(() => {
    if (invitation !== null) output.note(`The page did not wait for it; this is the invitation:\n${invitation}`);
  });
}
