/**
 * A Noise stream that refuses long messages. The single place that imports `@hyperswarm/secret-stream`.
 *
 * The library makes room for a message as soon as its length is declared, up to 16 MiB, before anybody has proven anything. It tells
 * the stream below how much of a message is still to come, though, before it makes that room: there a long one ends.
 */
import NoiseSecretStream from '@hyperswarm/secret-stream';

/** Bytes of a message that did not come whole; ours are shorter. */
const MAX_NOISE_MESSAGE_BYTES = 32 * 1024;

export class NoiseStream extends NoiseSecretStream {
  override start(rawStream: object, options?: object): void {
    const setContentSize = (restBytes: number): void => {
      if (restBytes > MAX_NOISE_MESSAGE_BYTES) this.destroy(new Error(`a message of more than ${restBytes} bytes`));
    };
    super.start(Object.assign(rawStream, { setContentSize }), options);
  }
}

/** What the DHT is to make its connections' streams with. */
export function createNoiseStream(isInitiator: boolean, rawStream: object | null, options: object): NoiseStream {
  return new NoiseStream(isInitiator, rawStream, options);
}
