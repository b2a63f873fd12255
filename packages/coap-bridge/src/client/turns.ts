/** One operation at a time with one peer, in the order they came: NSTART 1 (RFC 7252 section 4.7), block-wise as a whole. */
export interface Turns {
  /** Resolves with what gives the turn back, to be called once; undefined when aborted first. */
  take(peer: string, signal: AbortSignal): Promise<(() => void) | undefined>;
}

/** Makes it; a peer takes memory only while somebody has or wants its turn. */
export function createTurns(): Turns {
  const waiting = new Map<string, (() => void)[]>();

  const giveBack = (peer: string): void => {
    const queue = waiting.get(peer);
    const next = queue?.shift();
    if (next === undefined) waiting.delete(peer);
    else next();
  };
  const turnOf = (peer: string): (() => void) => {
    let isHeld = true;
    return () => {
      if (isHeld) giveBack(peer);
      isHeld = false;
    };
  };
  return {
    take(peer, signal) {
      if (signal.aborted) return Promise.resolve(undefined);
      const queue = waiting.get(peer);
      if (queue === undefined) {
        waiting.set(peer, []);
        return Promise.resolve(turnOf(peer));
      }
      const { promise, resolve } = Promise.withResolvers<(() => void) | undefined>();
      const begin = (): void => {
        signal.removeEventListener("abort", leave);
        resolve(turnOf(peer));
      };
      const leave = (): void => {
        const at = queue.indexOf(begin);
        if (at !== -1) queue.splice(at, 1);
        resolve(undefined);
      };
      queue.push(begin);
      signal.addEventListener("abort", leave, { once: true });
      return promise;
    },
  };
}
