/** Lets a few through at a time. */
export interface Turnstile {
  /** Resolves with what to call on leaving; undefined at once when too many wait. */
  enter(): Promise<() => void> | undefined;
}

/** Makes a turnstile through which `atOnce` may be; `waiting` more may stand before it. */
export function createTurnstile(limits: { readonly atOnce: number; readonly waiting: number }): Turnstile {
  const queue: (() => void)[] = [];
  let inside = 0;
  const leave = (): void => {
    const next = queue.shift();
    if (next === undefined) inside -= 1;
    else next();
  };
  return {
    enter() {
      if (inside < limits.atOnce) {
        inside += 1;
        return Promise.resolve(leave);
      }
      if (queue.length >= limits.waiting) return undefined;
      return new Promise((resolve) => queue.push(() => resolve(leave)));
    },
  };
}
