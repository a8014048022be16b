/**
 * The command line's end of the control socket: one connection, one request, its events and its answer.
 *
 * AGENT_NOT_RUNNING means that nobody answers in the state folder, or stopped doing so before the result.
 * Answers come from the user's own agent and are bounded, not checked field by field.
 */
import net from 'node:net';
import path from 'node:path';
import { DiskswarmError, ERROR_CODES, type ErrorCode } from '@diskswarm/core';
import { CONTROL_SOCKET } from '../state/layout.ts';
import { findSocket } from '../state/socket-place.ts';
import { type ErrorBody, lineSplitter, MAX_ANSWER_LINE_BYTES } from './line-protocol.ts';
import type { ControlEvent, ControlMethod, ControlParams, ControlResult } from './methods.ts';

interface Answer<M extends ControlMethod> {
  readonly id: number | null;
  readonly event?: ControlEvent<M>;
  readonly result?: ControlResult<M>;
  readonly error?: ErrorBody;
}

/**
 * Asks the agent of the state folder `stateDir`. Resolves with the result, rejects with the agent's error,
 * AGENT_NOT_RUNNING, or ABORTED when `signal` fires (the agent then gives the request up).
 */
export function callAgent<M extends ControlMethod>(
  stateDir: string,
  method: M,
  params: ControlParams<M>,
  options: { onEvent?: (event: ControlEvent<M>) => void; signal?: AbortSignal } = {},
): Promise<ControlResult<M>> {
  const { onEvent, signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(aborted());
      return;
    }
    const socket = net.connect(findSocket(path.resolve(stateDir, CONTROL_SOCKET)));
    const onAbort = (): void => fail(aborted());
    const end = (): void => {
      signal?.removeEventListener('abort', onAbort);
      socket.destroy();
    };
    const fail = (error: Error): void => {
      end();
      reject(error);
    };
    const split = lineSplitter(MAX_ANSWER_LINE_BYTES, (line) => {
      const answer = JSON.parse(line) as Answer<M>;
      if (answer.error !== undefined) {
        fail(errorOf(answer.error));
      } else if (answer.event !== undefined) {
        onEvent?.(answer.event);
      } else {
        end();
        resolve(answer.result as ControlResult<M>);
      }
    });
    signal?.addEventListener('abort', onAbort, { once: true });
    let connected = false;
    socket.on('connect', () => {
      connected = true;
      socket.write(`${JSON.stringify({ id: 1, method, params })}\n`);
    });
    socket.on('data', (bytes) => {
      try {
        split(bytes);
      } catch (error) {
        fail(
          error instanceof DiskswarmError
            ? error
            : new DiskswarmError('PROTOCOL_ERROR', 'the agent answered with something that is no answer', {
                cause: error,
              }),
        );
      }
    });
    socket.on('error', (error) => fail(notRunning(stateDir, connected, error)));
    socket.on('close', () => fail(notRunning(stateDir, connected)));
  });
}

function errorOf({ code, message, data }: ErrorBody): DiskswarmError {
  const known: ErrorCode = Object.hasOwn(ERROR_CODES, code) ? code : 'INTERNAL';
  return new DiskswarmError(known, message, { data });
}

function aborted(): DiskswarmError {
  return new DiskswarmError('ABORTED', 'the command was given up');
}

function notRunning(stateDir: string, connected: boolean, cause?: Error): DiskswarmError {
  const folder = path.resolve(stateDir);
  const message = connected
    ? `the agent of ${folder} ended before it answered`
    : `no agent answers in ${folder}; start one with: diskswarm agent --state ${folder}`;
  return new DiskswarmError('AGENT_NOT_RUNNING', message, { data: { state: folder }, cause });
}
