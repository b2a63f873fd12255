/** What a MANIFEST of LevelDB says (its "Log format" and, of each record, db/version_edit.cc). */
export interface Manifest {
  /** The tables that make up the database: their sizes in bytes, by file number. */
  readonly live: ReadonlyMap<number, number>;
  /** All tables that any record names, those no longer live too. */
  readonly named: ReadonlySet<number>;
  /** The logs it relies on. */
  readonly logs: ReadonlySet<number>;
}

const BLOCK = 32_768;
const HEADER = 7;
const [FULL, FIRST, MIDDLE, LAST] = [1, 2, 3, 4];
const [COMPARATOR, LOG, NEXT_FILE, LAST_SEQUENCE, POINTER, DELETED, NEW, PREVIOUS_LOG] = [
  1, 2, 3, 4, 5, 6, 7, 9,
];
const LEVELS = 7;
const BYTEWISE = "leveldb.BytewiseComparator";

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte;
  for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0x82f63b78 : 0);
  return sum;
});

/** CRC-32C, rotated and moved as LevelDB keeps it. */
function maskedSum(bytes: Uint8Array): number {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = (sum >>> 8) ^ (TABLE[(sum ^ byte) & 255] ?? 0);
  sum = ~sum;
  return (((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0;
}

/** Reads a whole MANIFEST; undefined at the least doubt, a cut tail among it. */
export function readManifest(bytes: Buffer): Manifest | undefined {
  try {
    return versionOf(recordsOf(bytes));
  } catch (error) {
    if (error instanceof Doubt || error instanceof RangeError) return undefined;
    throw error;
  }
}

class Doubt extends Error {}

const doubtUnless = (isSo: boolean): void => {
  if (!isSo) throw new Doubt();
};

function* recordsOf(bytes: Buffer): Generator<Buffer> {
  let parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const left = BLOCK - (at % BLOCK);
    if (left < HEADER) {
      doubtUnless(bytes.subarray(at, at + left).every((byte) => byte === 0));
      at += left;
      continue;
    }
    const length = bytes.readUInt16LE(at + 4);
    const type = bytes.readUInt8(at + 6);
    const end = at + HEADER + length;
    doubtUnless(end <= bytes.length && HEADER + length <= left && type >= FULL && type <= LAST);
    doubtUnless(maskedSum(bytes.subarray(at + 6, end)) === bytes.readUInt32LE(at));
    doubtUnless((type === FULL || type === FIRST) === (parts.length === 0));
    parts.push(bytes.subarray(at + HEADER, end));
    at = end;
    if (type === FIRST || type === MIDDLE) continue;
    yield Buffer.concat(parts);
    parts = [];
  }
  doubtUnless(parts.length === 0);
}

interface Version {
  /** Sizes by level and number. */
  readonly tables: Map<string, [number: number, size: number]>;
  readonly named: Set<number>;
  /** The last value of each of the plain fields, by tag. */
  readonly fields: Map<number, number>;
}

function versionOf(records: Iterable<Buffer>): Manifest {
  const version: Version = { tables: new Map(), named: new Set(), fields: new Map() };
  for (const record of records) {
    const reader = new EditReader(record);
    while (!reader.isAtEnd) applyField(version, reader);
  }
  const { tables, named, fields } = version;
  for (const tag of [COMPARATOR, LOG, NEXT_FILE, LAST_SEQUENCE]) doubtUnless(fields.has(tag));
  const live = new Map(tables.values());
  // A table in two levels would be no version of LevelDB's.
  doubtUnless(live.size === tables.size);
  return { live, named, logs: new Set([fields.get(LOG) ?? 0, fields.get(PREVIOUS_LOG) ?? 0]) };
}

function applyField({ tables, named, fields }: Version, reader: EditReader): void {
  const tag = reader.number();
  if (tag === COMPARATOR) {
    doubtUnless(reader.text().toString("latin1") === BYTEWISE);
    fields.set(tag, 0);
  } else if (tag === LOG || tag === NEXT_FILE || tag === LAST_SEQUENCE || tag === PREVIOUS_LOG)
    fields.set(tag, reader.number());
  else if (tag === POINTER) {
    reader.level();
    reader.text();
  } else if (tag === DELETED) {
    const level = reader.level();
    const number = reader.number();
    named.add(number);
    doubtUnless(tables.delete(`${level} ${number}`));
  } else if (tag === NEW) {
    const level = reader.level();
    const [number, size] = [reader.number(), reader.number()];
    reader.text();
    reader.text();
    named.add(number);
    doubtUnless(!tables.has(`${level} ${number}`));
    tables.set(`${level} ${number}`, [number, size]);
  } else throw new Doubt();
}

class EditReader {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.at === this.bytes.length;
  }

  number(): number {
    for (let value = 0, unit = 1; ; unit *= 128) {
      const byte = this.bytes.readUInt8(this.at);
      this.at += 1;
      value += (byte & 127) * unit;
      doubtUnless(Number.isSafeInteger(value));
      if (byte < 128) return value;
    }
  }

  level(): number {
    const level = this.number();
    doubtUnless(level < LEVELS);
    return level;
  }

  text(): Buffer {
    const end = this.number() + this.at;
    doubtUnless(end <= this.bytes.length);
    const text = this.bytes.subarray(this.at, end);
    this.at = end;
    return text;
  }
}
