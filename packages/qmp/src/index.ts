/**
 * QEMU Machine Protocol: commands with their answers, and the events in between, over any byte connection.
 *
 * ```ts
 * const qmp = await QmpClient.open(connect, { clock });   // greeting and capabilities are done
 * qmp.onEvent((event) => { if (event.name === 'STOP') … });
 * await qmp.execute('migrate', { uri: 'unix:/run/x.sock' });
 * ```
 *
 * Knows no sockets, processes or timers of its own. Source: QEMU's QMP specification.
 */
export { QmpClient, type QmpConnect, type QmpConnection, type QmpConnectionHandlers } from './client.ts';
export type {
  CommandArguments,
  CommandName,
  CommandResult,
  MigrationStatus,
  QueryMigrate,
  RunState,
} from './commands.ts';
export { MAX_MESSAGE_BYTES, type QmpEvent, type QmpGreeting, QmpParser } from './messages.ts';
