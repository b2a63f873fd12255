/** What tells one packet of a session from another. */
export interface Seen {
  /** The sender's seconds. */
  readonly timestamp: number;
  /**
   * The nonce of a PUBLISH, which stands for its MAC too: the same MAC is the same bytes. Of every other packet the
   * start of its MAC above 32 bits: see `macMark`.
   */
  readonly mark: number;
}

/** A packet that a window has forgotten, of which the store has a record: it lies at or below the floor. */
export type Forgotten = readonly [timestamp: number, mark: number];

/** The packets that a window holds above its floor. A value: what changes it gives another, and it is used no more. */
export interface HeldPackets {
  readonly size: number;
  has(mark: number): boolean;
  /** The lowest timestamp; Infinity without packets. */
  oldest(): number;
  with(seen: Seen): HeldPackets;
  /** Without what is stamped at or below the floor; tells `forgotten` of those with a record. */
  above(floor: number, forgotten: Forgotten[]): HeldPackets;
  /** Notes that the store has a record of the packet. False when it is not held. */
  record(mark: number): boolean;
  /** Those with a record. */
  recorded(): Iterable<Forgotten>;
}

/** Most sessions are of devices that speak seldom, and a node may keep 200,000: of so few packets, no map. */
const MOST_IN_A_ROW = 16;
/** A row has for each packet its timestamp, its mark and 1 where there is a record. */
const FIELDS = 3;

/** In one array, read from end to end. */
class PacketsInARow implements HeldPackets {
  readonly #row: number[];

  constructor(row: number[]) {
    this.#row = row;
  }

  get size(): number {
    return this.#row.length / FIELDS;
  }

  has(mark: number): boolean {
    return this.#placeOf(mark) !== -1;
  }

  oldest(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (let at = 0; at < this.#row.length; at += FIELDS) oldest = Math.min(oldest, this.#row[at] ?? oldest);
    return oldest;
  }

  with({ timestamp, mark }: Seen): HeldPackets {
    // Unlike `push`, it makes no room for more.
    if (this.size < MOST_IN_A_ROW) return new PacketsInARow(this.#row.concat([timestamp, mark, 0]));
    const many = new PacketsBySecond();
    for (let at = 0; at < this.#row.length; at += FIELDS) {
      const [held = 0, heldMark = 0, isRecorded] = this.#row.slice(at, at + FIELDS);
      many.with({ timestamp: held, mark: heldMark });
      if (isRecorded === 1) many.record(heldMark);
    }
    return many.with({ timestamp, mark });
  }

  above(floor: number, forgotten: Forgotten[]): HeldPackets {
    if (this.oldest() > floor) return this;
    const left: number[] = [];
    for (let at = 0; at < this.#row.length; at += FIELDS) {
      const [timestamp = 0, mark = 0, isRecorded = 0] = this.#row.slice(at, at + FIELDS);
      if (timestamp > floor) left.push(timestamp, mark, isRecorded);
      else if (isRecorded === 1) forgotten.push([timestamp, mark]);
    }
    return left.length === 0 ? nothingHeld : new PacketsInARow(left.slice());
  }

  record(mark: number): boolean {
    const at = this.#placeOf(mark);
    if (at === -1) return false;
    this.#row[at + 2] = 1;
    return true;
  }

  *recorded(): Generator<Forgotten> {
    for (let at = 0; at < this.#row.length; at += FIELDS) {
      const [timestamp = 0, mark = 0, isRecorded] = this.#row.slice(at, at + FIELDS);
      if (isRecorded === 1) yield [timestamp, mark];
    }
  }

  #placeOf(mark: number): number {
    for (let at = 0; at < this.#row.length; at += FIELDS) if (this.#row[at + 1] === mark) return at;
    return -1;
  }
}

/** In maps, for sessions that are busy. */
class PacketsBySecond implements HeldPackets {
  /** True where there is a record. */
  readonly #marks = new Map<number, boolean>();
  readonly #seconds = new Map<number, number[]>();

  get size(): number {
    return this.#marks.size;
  }

  has(mark: number): boolean {
    return this.#marks.has(mark);
  }

  oldest(): number {
    return Math.min(...this.#seconds.keys());
  }

  with({ timestamp, mark }: Seen): HeldPackets {
    this.#marks.set(mark, false);
    const second = this.#seconds.get(timestamp);
    if (second === undefined) this.#seconds.set(timestamp, [mark]);
    else second.push(mark);
    return this;
  }

  above(floor: number, forgotten: Forgotten[]): HeldPackets {
    // To let all go at once is a hundred times cheaper than one by one.
    if (Math.max(...this.#seconds.keys()) <= floor) {
      for (const each of this.recorded()) forgotten.push(each);
      return nothingHeld;
    }
    for (const [timestamp, second] of this.#seconds) {
      if (timestamp > floor) continue;
      this.#seconds.delete(timestamp);
      for (const mark of second) {
        if (this.#marks.get(mark) === true) forgotten.push([timestamp, mark]);
        this.#marks.delete(mark);
      }
    }
    return this.size > MOST_IN_A_ROW / 2 ? this : this.#inARow();
  }

  record(mark: number): boolean {
    if (!this.#marks.has(mark)) return false;
    this.#marks.set(mark, true);
    return true;
  }

  *recorded(): Generator<Forgotten> {
    for (const [timestamp, second] of this.#seconds) {
      for (const mark of second) if (this.#marks.get(mark) === true) yield [timestamp, mark];
    }
  }

  #inARow(): HeldPackets {
    if (this.size === 0) return nothingHeld;
    const row: number[] = [];
    for (const [timestamp, second] of this.#seconds) {
      for (const mark of second) row.push(timestamp, mark, this.#marks.get(mark) === true ? 1 : 0);
    }
    return new PacketsInARow(row.slice());
  }
}

/** What most windows hold; one for all of them. */
export const nothingHeld: HeldPackets = new PacketsInARow([]);
