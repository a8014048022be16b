/**
 * Loads webtorrent without the native code that it would bring along and that we have no use for.
 *
 * Native code in a thread can end the whole process: node-datachannel when a second thread loads it or the first is gone, bufferutil when
 * the thread is ended while it loads. WebRTC is answered by a process of its own (web-gateway.ts), uTP is turned off, pieces lie in our own
 * store, and ws has JavaScript in place of the rest.
 */
import { registerHooks } from 'node:module';

const source = (text: string): string => `data:text/javascript,${encodeURIComponent(text)}`;

const NONE = new Map([
  [
    'webrtc-polyfill',
    source(
      ['RTCPeerConnection', 'RTCSessionDescription', 'RTCIceCandidate']
        .map((name) => `export const ${name} = undefined;`)
        .join(' '),
    ),
  ],
  ['fs-chunk-store', source('export default undefined;')],
  ['./utp.cjs', source('export default {};')],
]);
/** ws goes on without them when they are not installed. */
const ABSENT = new Set(['bufferutil', 'utf-8-validate']);

/** What `load` imports finds none of it in this thread. */
export async function withoutNativeCode<Loaded>(load: () => Promise<Loaded>): Promise<Loaded> {
  const hooks = registerHooks({
    resolve: (specifier, context, next) => {
      const url = NONE.get(specifier);
      if (url !== undefined) return { url, format: 'module', shortCircuit: true };
      if (ABSENT.has(specifier)) throw new Error(`${specifier} is left out`);
      return next(specifier, context);
    },
  });
  try {
    return await load();
  } finally {
    hooks.deregister();
  }
}
