/** Sends and hears of arrivals. */
export interface Loop {
  send(index: number): void;
  onArrivals(tell: (count: number) => void): void;
}

/** What one run of a loop sends: `from` up to `to`, at most `window` of them on the way at once. */
export interface Run {
  readonly from: number;
  readonly to: number;
  /** Default 256: enough to keep both sides busy, few enough that no buffer overflows. */
  readonly window?: number;
}

const STALLED_MS = 10_000;

/** Sends never more than a window unanswered; resolves with arrivals per second. */
export function runClosedLoop(loop: Loop, { from, to, window = 256 }: Run): Promise<number> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    let sent = from;
    let arrived = from;
    const stalled = setTimeout(() => {
      reject(new Error(`stalled: ${sent - from} sent, ${arrived - from} arrived`));
    }, STALLED_MS);
    const fill = (): void => {
      while (sent < to && sent - arrived < window) loop.send(sent++);
    };
    loop.onArrivals((count) => {
      arrived += count;
      stalled.refresh();
      if (arrived < to) return fill();
      clearTimeout(stalled);
      resolve(((to - from) / (performance.now() - started)) * 1000);
    });
    fill();
  });
}
