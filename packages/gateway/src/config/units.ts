const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;
const MS_PER = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

const SIZE = /^(\d+)(B|KiB|MiB|GiB)$/;
const BYTES_PER = { B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 } as const;

/** Milliseconds of `500ms`, `60s`, `5m`, `24h`; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const parts = DURATION.exec(text);
  if (parts === null) return undefined;
  // The pattern admits no unit but these.
  const unit = parts[2] as keyof typeof MS_PER;
  return Number(parts[1]) * MS_PER[unit];
}

/** Bytes of `512B`, `64KiB`, `256MiB`, `2GiB`; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const parts = SIZE.exec(text);
  if (parts === null) return undefined;
  // The pattern admits no unit but these.
  const unit = parts[2] as keyof typeof BYTES_PER;
  return Number(parts[1]) * BYTES_PER[unit];
}
