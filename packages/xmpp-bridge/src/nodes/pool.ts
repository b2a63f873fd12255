/** Runs a task for each of many things, at most `most` at a time; ends early once `goesOn` says no. Tasks never reject. */
export async function eachOf<Thing>(
  things: Iterable<Thing>,
  { most, goesOn = () => true }: { readonly most: number; readonly goesOn?: () => boolean },
  task: (thing: Thing) => Promise<void>,
): Promise<void> {
  const rest = things[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (let next = rest.next(); next.done !== true && goesOn(); next = rest.next()) await task(next.value);
  };
  await Promise.all(Array.from({ length: most }, worker));
}
