/** Fetches what is named one after the other, several at a time: hides round trips where the source is far away. */

/** Fetches under way besides the one whose turn it is. */
const AHEAD = 16;

/** What `fetch` brings for each name, in the order of the names. A fetch that fails is reported when its turn comes, or never, when the caller has stopped. */
export async function* fetchAhead<Name, Item>(
  names: AsyncIterable<Name>,
  fetch: (name: Name) => Promise<Item>,
): AsyncGenerator<Item, void> {
  const queue: Promise<Item>[] = [];
  for await (const name of names) {
    const item = fetch(name);
    item.catch(() => {}); // Until its turn.
    queue.push(item);
    if (queue.length >= AHEAD) yield await queue.shift()!;
  }
  for (const item of queue) yield await item;
}
