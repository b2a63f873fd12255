/** Work may take so long of one turn of the event loop, ms. */
const SLICE_MS = 5;

/**
 * Lets others have their turns between the pieces of long work: asked before each, it answers with what to wait for, if
 * with anything, after every `pieces` of them. Real time on purpose: it is the real loop that must not stall.
 */
export function createTurns(pieces = 1): () => Promise<void> | undefined {
  let begun = performance.now();
  let done = 0;
  return () => {
    done += 1;
    if (done % pieces !== 0 || performance.now() - begun < SLICE_MS) return undefined;
    return new Promise((resolve) =>
      setImmediate(() => {
        begun = performance.now();
        resolve();
      }),
    );
  };
}
