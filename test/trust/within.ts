const LIMIT_MS = 120_000;

/**
 * What `work` brings, or a rejection with what is missing after so many milliseconds, default two minutes: a limit against
 * hanging that says what hung.
 */
export async function within<T>(
  work: Promise<T>,
  missing: () => string,
  limitMs: number = LIMIT_MS,
): Promise<T> {
  const ended = new AbortController();
  const over = new Promise<never>((_, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`not within ${limitMs / 1000} s: ${missing()}`)),
      limitMs,
    );
    ended.signal.addEventListener("abort", () => clearTimeout(timer));
  });
  try {
    return await Promise.race([work, over]);
  } finally {
    ended.abort();
  }
}
