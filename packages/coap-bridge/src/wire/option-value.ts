const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads a string option; undefined: it is no UTF-8. A byte order mark stays, as any other character. */
export function readText(value: Uint8Array): string | undefined {
  try {
    return utf8.decode(value);
  } catch {
    return undefined;
  }
}

/** The value of an uint option: as few bytes as it needs, none for 0 (RFC 7252 section 3.2). At most 2^53 - 1. */
export function uintValue(uint: number): Uint8Array {
  let length = 0;
  for (let rest = uint; rest >= 1; rest = Math.floor(rest / 256)) length += 1;
  const value = new Uint8Array(length);
  let rest = uint;
  for (let at = length - 1; at >= 0; at -= 1) {
    value[at] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return value;
}

/** Reads an uint of at most `longest` bytes (6 or fewer), leading zeros allowed; undefined: it is longer. */
export function readUint(value: Uint8Array, longest: number): number | undefined {
  if (value.length > longest) return undefined;
  let uint = 0;
  for (const byte of value) uint = uint * 256 + byte;
  return uint;
}
