/**
 * Takes turns: A B A B, beginning with another one each round, so that whatever else the machine does meets all alike.
 */

/**
 * Runs every subject once per round; gives each subject's values in the order of the rounds. With `warmUp` there is a round
 * before the first whose values are dropped.
 */
export async function interleave<Name extends string>(
  rounds: number,
  subjects: Readonly<Record<Name, (round: number) => Promise<number>>>,
  { warmUp = false }: { warmUp?: boolean } = {},
): Promise<Record<Name, number[]>> {
  const names = Object.keys(subjects) as Name[];
  const values = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = warmUp ? -1 : 0; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + 1 + turn) % names.length] as Name;
      const value = await subjects[name](round);
      if (round >= 0) values[name].push(value);
    }
  }
  return values;
}
