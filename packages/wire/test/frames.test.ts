/** Lanes: frames, turns, what may still be taken back; channels stay whole however bytes are cut. */
import { hasCode } from '@diskswarm/core';
import test from 'ava';
import fc from 'fast-check';
import { FrameParser, FrameWriter, MAX_FRAME_PAYLOAD_BYTES } from '../src/index.ts';

class Sink {
  queuedBytes = 0;
  readonly written: Uint8Array[] = [];

  write(views: readonly Uint8Array[]): boolean {
    for (const view of views) {
      this.written.push(view.slice());
      this.queuedBytes += view.length;
    }
    return true;
  }

  /** Channel and payload length of each frame, and the bytes per channel. */
  read(): { frames: [number, number][]; channels: Map<number, Uint8Array> } {
    const frames: [number, number][] = [];
    const parts = new Map<number, Uint8Array[]>();
    const parser = new FrameParser((channel, bytes) => {
      frames.push([channel, bytes.length]);
      parts.set(channel, [...(parts.get(channel) ?? []), bytes.slice()]);
    });
    parser.push(Buffer.concat(this.written));
    return {
      frames,
      channels: new Map([...parts].map(([channel, list]) => [channel, new Uint8Array(Buffer.concat(list))])),
    };
  }
}

const settled = (): Promise<void> => new Promise((resolve) => queueMicrotask(() => queueMicrotask(resolve)));

test('channels take turns, channel 0 first', async (t) => {
  const sink = new Sink();
  const writer = new FrameWriter(sink, { maxInSinkBytes: 10_000_000 });
  writer.enqueue(1, [new Uint8Array(40_000)]);
  writer.enqueue(2, [new Uint8Array(20_000)]);
  writer.enqueue(0, [new Uint8Array(10)]);
  await settled();
  t.deepEqual(sink.read().frames, [
    [0, 10],
    [1, 16_384],
    [2, 16_384],
    [1, 16_384],
    [2, 3_616],
    [1, 7_232],
  ]);
  t.is(writer.backlogBytes, 0);
});

test('the sink holds a few frames, the rest waits where it can be overtaken', async (t) => {
  const sink = new Sink();
  const writer = new FrameWriter(sink, { maxInSinkBytes: 32_768 });
  writer.enqueue(1, [new Uint8Array(1_000_000)]);
  await settled();
  t.true(sink.queuedBytes <= 32_768 + MAX_FRAME_PAYLOAD_BYTES + 4);
  writer.enqueue(2, [new Uint8Array(100)]);
  await settled();
  sink.queuedBytes = 0;
  sink.written.length = 0;
  writer.pump();
  t.true(
    sink
      .read()
      .frames.slice(0, 2)
      .some(([channel]) => channel === 2),
  );
});

test('a message that has not begun to leave can be taken back', async (t) => {
  const sink = new Sink();
  const writer = new FrameWriter(sink, { maxInSinkBytes: 16_384 });
  writer.enqueue(1, [new Uint8Array(50_000).fill(1)], 10);
  writer.enqueue(1, [new Uint8Array(50_000).fill(2)], 11);
  await settled();
  t.false(writer.drop(1, 10));
  t.true(writer.drop(1, 11));
  t.false(writer.drop(1, 11));
  while (writer.backlogBytes > 0) {
    sink.queuedBytes = 0;
    writer.pump();
  }
  t.deepEqual(sink.read().channels.get(1), new Uint8Array(50_000).fill(1));
});

test('a forgotten channel finishes the message it began and leaves the others alone', async (t) => {
  const sink = new Sink();
  const writer = new FrameWriter(sink, { maxInSinkBytes: 16_384 });
  writer.enqueue(1, [new Uint8Array(50_000).fill(1)]);
  writer.enqueue(1, [new Uint8Array(50_000).fill(2)]);
  writer.enqueue(2, [new Uint8Array(20_000).fill(3)]);
  await settled();
  writer.forget(1);
  while (writer.backlogBytes > 0) {
    sink.queuedBytes = 0;
    writer.pump();
  }
  const { channels } = sink.read();
  t.deepEqual(channels.get(1), new Uint8Array(50_000).fill(1));
  t.deepEqual(channels.get(2), new Uint8Array(20_000).fill(3));
});

test('property: what each channel sends arrives, in order, whatever the cuts', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.uint8Array({ minLength: 1, maxLength: 40_000 })), {
        maxLength: 12,
      }),
      fc.integer({ min: 1, max: 50_000 }),
      async (messages, partBytes) => {
        const sink = new Sink();
        const writer = new FrameWriter(sink, { maxInSinkBytes: 20_000 });
        for (const [channel, bytes] of messages) {
          const middle = bytes.length >> 1;
          writer.enqueue(channel, [bytes.subarray(0, middle), bytes.subarray(middle)]);
        }
        await settled();
        while (writer.backlogBytes > 0) {
          sink.queuedBytes = 0;
          writer.pump();
        }
        const arrived: Record<number, Uint8Array[]> = {};
        const parser = new FrameParser((channel, bytes) => {
          arrived[channel] ??= [];
          arrived[channel].push(bytes.slice());
        });
        const all = Buffer.concat(sink.written);
        for (let start = 0; start < all.length; start += partBytes) parser.push(all.subarray(start, start + partBytes));
        for (let channel = 0; channel < 4; channel++) {
          const sent = Buffer.concat(messages.filter(([to]) => to === channel).map(([, bytes]) => bytes));
          if (Buffer.compare(sent, Buffer.concat(arrived[channel] ?? [])) !== 0) return false;
        }
        return true;
      },
    ),
    { numRuns: 60 },
  );
  t.pass();
});

test('a frame of more than 16 KiB is refused before its payload', (t) => {
  const parser = new FrameParser(() => t.fail());
  const error = t.throws(() => parser.push(Uint8Array.from([0, 1, 0x40, 0x00])));
  t.true(hasCode(error, 'PROTOCOL_ERROR'));
});

test('the views of a message are free again once all of it was written, or it was dropped', async (t) => {
  const sink = new Sink();
  const writer = new FrameWriter(sink, { maxInSinkBytes: 20_000 });
  const free: string[] = [];
  const sent = new Uint8Array(60_000).fill(7);
  writer.enqueue(1, [sent], 1, () => {
    free.push('sent');
    sent.fill(0);
  });
  writer.enqueue(1, [new Uint8Array(10)], 2, () => free.push('dropped'));
  await settled();
  t.deepEqual(free, [], 'part of it is still to come');
  t.true(writer.drop(1, 2));
  t.deepEqual(free, ['dropped']);
  sink.queuedBytes = 0;
  writer.pump();
  t.deepEqual(free, ['dropped', 'sent']);
  t.deepEqual(sink.read().channels.get(1), new Uint8Array(60_000).fill(7));
});
