/**
 * Takes turns: A B A B, beginning with another one each round, so that whatever else the machine does meets all alike.
 */

/** Runs every subject once per round; gives each subject's values in the order of the rounds. */
export async function interleave<Name extends string>(
  rounds: number,
  subjects: Readonly<Record<Name, (round: number) => Promise<number>>>,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(subjects) as Name[];
  const values = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length] as Name;
      values[name].push(await subjects[name](round));
    }
  }
  return values;
}
