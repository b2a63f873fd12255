import { isValidChannel, MAX_NAME_BYTES } from "../message.ts";
import { CHANNEL_ID_BYTES, channelId } from "../packet/channel-id.ts";
import { randomU32 } from "../packet/random.ts";

/** The names of channels by their hash, which is all that most packets carry. */
export interface ChannelNames {
  /** Makes a name known. False when it is no channel name or the table is full, in names or in bytes. */
  learn(name: string): boolean;
  /** As `learn`, of a name that a peer says; it leaves an eighth of the room, and bytes are bounded too. */
  hear(name: string): boolean;
  /** The name with that id. */
  find(id: Uint8Array): string | undefined;
  /** The id of a name, computed once for names that are known. */
  idOf(name: string): Uint8Array;
}

/** Makes a table of at most `limit` names; names stay, since a forgotten one would lose messages. */
export function createChannelNames(limit: number): ChannelNames {
  return new NameTable(limit);
}

const FIRST_ROOM = 16;
/** On average: a name may have 65,535, and whoever may publish can make up a million. */
const HEARD_BYTES = 64;

/**
 * The ids lie one after the other in one piece of memory, found through slots (open addressing, at most half full):
 * a piece of memory for each and a text to find it by would take three times as much, and the text be made anew for
 * every packet.
 */
class NameTable implements ChannelNames {
  readonly #limit: number;
  #heardBytes = 0;
  #bytes = 0;
  // Its number stands for a name from here on.
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [];
  #ids = new Uint8Array(FIRST_ROOM * CHANNEL_ID_BYTES);
  /** The number plus one; 0 is empty. */
  #slots = new Uint32Array(2 * FIRST_ROOM);
  // Whoever chooses names shall not choose their slots.
  readonly #seed = randomU32();

  constructor(limit: number) {
    // Devices can publish on the empty name: it is known so that the refusal is the hub's, not "unknown".
    this.#add("");
    this.#limit = limit + 1;
  }

  learn(name: string): boolean {
    if (name !== "" && this.#numbers.has(name)) return true;
    if (!isValidChannel(name) || this.#names.length >= this.#limit) return false;
    // Half of it is beyond the reach of peers.
    if (this.#bytes + Buffer.byteLength(name) > 2 * this.#mostHeard()) return false;
    this.#add(name);
    return true;
  }

  hear(name: string): boolean {
    if (name !== "" && this.#numbers.has(name)) return true;
    const bytes = this.#heardBytes + Buffer.byteLength(name);
    const room = this.#limit - Math.floor(this.#limit / 8);
    if (bytes > this.#mostHeard() || this.#names.length >= room || !this.learn(name)) return false;
    this.#heardBytes = bytes;
    return true;
  }

  #mostHeard(): number {
    return Math.max(MAX_NAME_BYTES, HEARD_BYTES * this.#limit);
  }

  find(id: Uint8Array): string | undefined {
    const number = this.#slots[this.#slotOf(id)] ?? 0;
    return number === 0 ? undefined : this.#names[number - 1];
  }

  idOf(name: string): Uint8Array {
    const number = this.#numbers.get(name);
    return number === undefined ? channelId(name) : this.#idAt(number);
  }

  #add(name: string): void {
    const number = this.#names.length;
    if (2 * (number + 1) > this.#slots.length) this.#grow();
    const id = channelId(name);
    this.#ids.set(id, number * CHANNEL_ID_BYTES);
    this.#slots[this.#slotOf(id)] = number + 1;
    this.#names.push(name);
    this.#bytes += Buffer.byteLength(name);
    this.#numbers.set(name, number);
  }

  #grow(): void {
    const ids = new Uint8Array(2 * this.#ids.length);
    ids.set(this.#ids);
    this.#ids = ids;
    this.#slots = new Uint32Array(2 * this.#slots.length);
    for (let number = 0; number < this.#names.length; number += 1) {
      this.#slots[this.#slotOf(this.#idAt(number))] = number + 1;
    }
  }

  #idAt(number: number): Uint8Array {
    return this.#ids.subarray(number * CHANNEL_ID_BYTES, (number + 1) * CHANNEL_ID_BYTES);
  }

  /** Where the id stands, or the empty slot where it would. */
  #slotOf(id: Uint8Array): number {
    const mask = this.#slots.length - 1;
    let slot = hashOf(id, this.#seed) & mask;
    for (let number = this.#slots[slot] ?? 0; number !== 0; number = this.#slots[slot] ?? 0) {
      if (this.#isAt(id, number - 1)) return slot;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #isAt(id: Uint8Array, number: number): boolean {
    const from = number * CHANNEL_ID_BYTES;
    for (let at = 0; at < CHANNEL_ID_BYTES; at += 1) if (this.#ids[from + at] !== id[at]) return false;
    return true;
  }
}

/** FNV-1a with a seed. */
function hashOf(id: Uint8Array, seed: number): number {
  let hash = seed;
  for (let at = 0; at < CHANNEL_ID_BYTES; at += 1) hash = Math.imul(hash ^ (id[at] ?? 0), 0x0100_0193);
  return (hash ^ (hash >>> 15)) >>> 0;
}
