import type { Clock } from '@diskswarm/core';
import type { PeerStream, StreamHandlers } from '@diskswarm/swarm';
import test from 'ava';
import { answerProbe, probeRate } from '../src/migration/rate-probe.ts';

/** The answering end, fed by hand; `said` is what it answered, `cut` that it ended the stream. */
function answering(): { clock: { us: number }; handlers: StreamHandlers; said: Uint8Array[]; cut: () => boolean } {
  const clock = { us: 0 };
  const said: Uint8Array[] = [];
  let cut = false;
  const stream = {
    write: (bytes: Uint8Array) => said.push(bytes.slice()) > 0,
    end: () => {},
    destroy: () => {
      cut = true;
    },
  };
  const handlers = answerProbe(stream as unknown as PeerStream, { nowUs: () => clock.us } as Clock);
  return { clock, handlers, said, cut: () => cut };
}

test('the second half counts, and its median: a slow start is no slow link, and neither is a host that looks away for a moment', (t) => {
  const { clock, handlers, said } = answering();
  for (let part = 0; part < 64; part++) {
    clock.us += part < 32 ? 100_000 : part === 40 ? 50_000 : part > 40 && part < 50 ? 0 : 1_000;
    handlers.onData(new Uint8Array(16_384));
  }
  handlers.onEnd();
  const rate = new DataView(said[0]!.buffer).getFloat64(0);
  t.true(Math.abs(rate - 16_384_000) < 16_384_000 * 0.05, String(rate));
});

test('too little says nothing, too much is not listened to', (t) => {
  const little = answering();
  little.clock.us += 1000;
  little.handlers.onData(new Uint8Array(10_000));
  little.handlers.onEnd();
  t.is(new DataView(little.said[0]!.buffer).getFloat64(0), 0);
  const some = answering();
  for (let part = 0; part < 10; part++) {
    some.clock.us += 10_000;
    some.handlers.onData(new Uint8Array(10_000));
  }
  some.handlers.onEnd();
  t.is(new DataView(some.said[0]!.buffer).getFloat64(0), 1_000_000, 'less than a few segments: the mean');
  const much = answering();
  for (let part = 0; part < 128; part++) much.handlers.onData(new Uint8Array(16_384));
  t.false(much.cut());
  much.handlers.onData(new Uint8Array(1));
  t.true(much.cut());
});

/** The asking end against an answer of the test's. */
async function asked(answer: (handlers: StreamHandlers) => void): Promise<{ rate: number | null; sentBytes: number }> {
  let sentBytes = 0;
  const timers = new Set<() => void>();
  const clock = {
    nowUs: () => 0,
    setTimer: (_ms: number, run: () => void) => {
      timers.add(run);
      return { cancel: () => timers.delete(run) };
    },
  } as unknown as Clock;
  const rate = await probeRate(
    {
      openStream: (_host, label, handlersOf) => {
        const stream = {
          label,
          write: (bytes: Uint8Array) => {
            sentBytes += bytes.length;
            return true;
          },
          end: () => answer(handlers),
          destroy: () => {},
        } as unknown as PeerStream;
        const handlers = handlersOf(stream);
        return stream;
      },
    },
    'host' as never,
    clock,
  );
  return { rate, sentBytes };
}

function answerOf(rate: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, rate);
  return bytes;
}

test('a probe is bounded, and only a sound answer is a rate', async (t) => {
  const good = await asked((handlers) => {
    handlers.onData(answerOf(1.5e6).subarray(0, 3));
    handlers.onData(answerOf(1.5e6).subarray(3));
    handlers.onEnd();
  });
  t.deepEqual(good, { rate: 1_500_000, sentBytes: 2 * 1024 * 1024 });
  for (const odd of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e300])
    t.is(
      (
        await asked((handlers) => {
          handlers.onData(answerOf(odd));
          handlers.onEnd();
        })
      ).rate,
      null,
      String(odd),
    );
  t.is(
    (
      await asked((handlers) => {
        handlers.onData(new Uint8Array(5));
        handlers.onEnd();
      })
    ).rate,
    null,
  );
  t.is((await asked((handlers) => handlers.onClose())).rate, null);
});
