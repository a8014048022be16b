import { createSimulation } from '@diskswarm/sim';
import test, { type ExecutionContext } from 'ava';
import { firstAnswer } from '../src/agent/first-answer.ts';

type Behaviour = { readonly afterMs: number; readonly answer: string | null };

/** Asks peers that answer as told, with 100 ms of patience; gives the answer, who was asked, whose signal fired, and when it was over. */
async function ask(behaviours: readonly Behaviour[], abortAfterMs: number | null = null) {
  const simulation = createSimulation(1);
  return simulation.run(async () => {
    const { clock } = simulation.host('home');
    const asked: number[] = [];
    const aborted: number[] = [];
    const controller = new AbortController();
    if (abortAfterMs !== null) clock.setTimer(abortAfterMs, () => controller.abort());
    const answer = await firstAnswer([...behaviours.keys()], {
      clock,
      patienceMs: () => 100,
      signal: controller.signal,
      ask: (peer, { signal }) =>
        new Promise<string | null>((resolve) => {
          asked.push(peer);
          const { afterMs, answer: said } = behaviours[peer]!;
          signal.addEventListener('abort', () => aborted.push(peer));
          if (afterMs < Number.POSITIVE_INFINITY) clock.setTimer(afterMs, () => resolve(said));
        }),
    }).catch((error: { code: string }) => error.code);
    return { answer, asked, aborted, afterMs: Math.round(clock.nowUs() / 1000) };
  });
}

const never = Number.POSITIVE_INFINITY;
const scenario = (title: string, ...rest: [Parameters<typeof ask>[0], object, number?]): void =>
  test(title, async (t: ExecutionContext) => t.like(await ask(rest[0], rest[2] ?? null), rest[1]));

scenario(
  'the first one answers in time and nobody else is asked',
  [
    { afterMs: 50, answer: 'a' },
    { afterMs: 1, answer: 'b' },
  ],
  { answer: 'a', asked: [0], afterMs: 50 },
);
scenario(
  'one that has nothing is followed at once',
  [
    { afterMs: 5, answer: null },
    { afterMs: 5, answer: 'b' },
  ],
  { answer: 'b', asked: [0, 1], afterMs: 10 },
);
scenario(
  'one that is silent is followed after a while, and told that it lost',
  [
    { afterMs: never, answer: null },
    { afterMs: 20, answer: 'b' },
  ],
  { answer: 'b', asked: [0, 1], afterMs: 120 },
);
scenario(
  'a slow one may still win',
  [
    { afterMs: 130, answer: 'a' },
    { afterMs: never, answer: 'b' },
  ],
  { answer: 'a', afterMs: 130 },
);
scenario(
  'nobody has it',
  [
    { afterMs: 150, answer: null },
    { afterMs: 20, answer: null },
  ],
  { answer: null, afterMs: 150 },
);
scenario('nobody is there', [], { answer: null, afterMs: 0 });
scenario(
  'the question is given up',
  [{ afterMs: never, answer: null }],
  { answer: 'ABORTED', aborted: [0], afterMs: 70 },
  70,
);
