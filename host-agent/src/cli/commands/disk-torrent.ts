/** `disk torrent`: a generation that was published for everyone, as a standard torrent and magnet link, seeded until it is stopped. */
import path from 'node:path';
import { DiskswarmError } from '@diskswarm/core';
import { isTracker, MAX_TORRENT_TRACKERS } from '@diskswarm/metainfo';
import type { Command } from 'commander';
import { ask, askWithProgress, type CommandContext } from '../context.ts';
import { parseNameAtSequence } from '../parse.ts';
import type { Action } from '../program.ts';
import { countText, sizeText, table } from '../words.ts';

interface TorrentOptions {
  readonly ls?: true;
  readonly stop?: true;
  readonly tracker?: readonly string[];
}

export function registerDiskTorrentCommand(disk: Command, action: Action): void {
  disk
    .command('torrent')
    .argument('[name[@sequence]]', 'a generation that was published with --public; the newest one, unless one is named')
    .argument('[file.torrent]', 'where to write the torrent; replaced when it exists')
    .option('--tracker <url>', "one more than the agent's: http, https, udp, ws or wss; up to 16 times", addTracker)
    .option('--stop', 'give it to nobody any more')
    .option('--ls', 'what is given, and to how many')
    .description('give a generation to everyone as a standard torrent, and print its magnet link')
    .action(
      action<[string | undefined, string | undefined], TorrentOptions>(async (context, [argument, file], options) => {
        if (options.ls === true ? argument !== undefined || options.stop === true : argument === undefined)
          throw wrong('disk torrent takes a disk, or --ls alone');
        if (argument === undefined) return list(context);
        const { name, sequence } = parseNameAtSequence(argument);
        if (options.stop === true) {
          if (file !== undefined || options.tracker !== undefined) throw wrong('--stop goes with a disk alone');
          const result = await ask(context, 'torrent.end', { name, sequence });
          const text = result.stopped ? 'is given no more' : 'was not given';
          context.output.result(result, `${name}@${result.sequence} ${text}`);
          return;
        }
        const params = {
          name,
          sequence,
          trackers: [...(options.tracker ?? [])],
          path: file === undefined ? null : path.resolve(file),
        };
        const torrent = await askWithProgress(context, 'torrent.give', params, `hash ${name}`);
        context.output.result(torrent, torrent.magnet);
      }),
    );
}

async function list(context: CommandContext): Promise<void> {
  const { torrents } = await ask(context, 'torrent.ls', {});
  const rows = torrents.map(({ name, sequence, sizeBytes, peers, uploadedBytes, infoHash }) => [
    `${name}@${sequence}`,
    sizeText(sizeBytes),
    countText(peers, 'peer'),
    sizeText(uploadedBytes),
    infoHash,
  ]);
  context.output.result(
    { torrents },
    rows.length === 0 ? 'no torrents' : table(['disk', 'size', 'now', 'so far', 'info hash'], rows),
  );
}

function addTracker(text: string, before: readonly string[] = []): string[] {
  if (before.length >= MAX_TORRENT_TRACKERS) throw wrong(`at most ${MAX_TORRENT_TRACKERS} times --tracker`);
  if (!isTracker(text)) throw wrong(`tracker: "${text.slice(0, 80)}" is no announce URL (http, https, udp, ws or wss)`);
  return [...before, text];
}

function wrong(why: string): DiskswarmError {
  return new DiskswarmError('INVALID_ARGUMENT', why, { data: { field: 'torrent' } });
}
