/** Lets so many in at a time; the others wait in their order. */
export interface Gate {
  run<Result>(task: () => Promise<Result>): Promise<Result>;
}

/** Makes one. */
export function createGate(most: number): Gate {
  let inside = 0;
  const waiting: (() => void)[] = [];
  return {
    async run(task) {
      if (inside >= most) await new Promise<void>((resolve) => waiting.push(resolve));
      else inside += 1;
      try {
        return await task();
      } finally {
        const next = waiting.shift();
        // The place is handed on.
        if (next === undefined) inside -= 1;
        else next();
      }
    },
  };
}
