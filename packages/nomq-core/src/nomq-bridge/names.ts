import type { Port, StateChange } from "../bridge.ts";
import { NomqError } from "../errors.ts";
import { isValidChannel } from "../message.ts";
import type { NomqNode } from "../node/contract.ts";
import { channelId, channelKey } from "../packet/channel-id.ts";

/** A channel that was named at run time. */
export interface NamedChannel {
  /** 32 hex digits. */
  readonly hash: string;
  readonly channel: string;
}

/** Why a name was not taken. */
export type NamingFault =
  /** No 8 to 32 hex digits. */
  | "hash-invalid"
  | "channel-invalid"
  /** The channel has another hash. */
  | "hash-mismatch"
  /** As many names as are kept; forget one. */
  | "names-full"
  | "store-failed"
  /** It is known, and kept once the store answers. */
  | "store-busy"
  | "closed";

/** What became of a name. */
export type Naming =
  | ({ readonly is: "named" } & NamedChannel)
  | { readonly is: "refused"; readonly reason: NamingFault; readonly text: string };

/** Names given at run time, kept over restarts with the bridge's own state. */
export interface NomqNames {
  /**
   * Gives the channel of that hash its name: the whole hash, or its first 8 digits or more. In force, and kept, when
   * resolved; never rejects. A name that is known from elsewhere is kept all the same.
   */
  name(hash: string, channel: string): Promise<Naming>;
  /**
   * Keeps it no longer; it stays known until the next start. Resolves with what was kept. Rejects with `store-failed`,
   * or with `store-busy` where the store does not answer in time and the name ends when it does.
   */
  forget(channel: string): Promise<NamedChannel | undefined>;
  list(): readonly NamedChannel[];
}

/** The same, for the bridge that keeps them. */
export interface Names extends NomqNames {
  /** Takes the names out of a bridge's state and passes on the rest. */
  restore(use: NamesUse): AsyncIterable<Entry>;
}

type Entry = readonly [key: Uint8Array, value: Uint8Array];

const MOST_NAMES = 1000;
const STORE_WAIT_MS = 5000;
const HASH = /^[0-9a-f]{8,32}$/;
// n/HASH -> the name. The other records of a bridge's state begin with other letters (window-records.ts).
const KEY = /^n\/([0-9a-f]{32})$/;

/** What names work with. */
export interface NamesUse {
  readonly node: NomqNode;
  readonly port: Port;
}

/** Makes an empty table of at most 1,000 names. */
export function createNames(): Names {
  return new NameTable();
}

class NameTable implements Names {
  #use: NamesUse | undefined;
  /** By hash. */
  readonly #names = new Map<string, string>();

  async *restore(use: NamesUse): AsyncGenerator<Entry> {
    this.#use = use;
    for await (const entry of use.port.state()) {
      const [, hash] = KEY.exec(textOf(entry[0])) ?? [];
      if (hash === undefined) {
        yield entry;
        continue;
      }
      const channel = textOf(entry[1]);
      if (hashOf(channel) === hash && use.node.learn(channel)) this.#names.set(hash, channel);
    }
  }

  async name(given: string, channel: string): Promise<Naming> {
    if (this.#use === undefined) return refused("closed", "the NoMQ bridge is not attached to a hub");
    const { node, port } = this.#use;
    const fault = faultOf(given.toLowerCase(), channel);
    if (fault !== undefined) return fault;
    const hash = hashOf(channel);
    const isNew = !this.#names.has(hash);
    if ((isNew && this.#names.size >= MOST_NAMES) || !node.learn(channel)) return refused("names-full", FULL);
    // The place is taken before the store has answered, so that no two take the last one.
    this.#names.set(hash, channel);
    const kept = await settled(port, { key: keyOf(hash), value: bytes(channel) });
    if (kept.is === "failed") {
      if (isNew) this.#names.delete(hash);
      return refused("store-failed", `known until the gateway ends, and not kept: ${kept.text}`);
    }
    if (kept.is === "late") return refused("store-busy", `known already, and kept ${LATER}`);
    return { is: "named", hash, channel };
  }

  async forget(channel: string): Promise<NamedChannel | undefined> {
    const hash = hashOf(channel);
    if (this.#use === undefined || !this.#names.has(hash)) return undefined;
    const kept = await settled(this.#use.port, { key: keyOf(hash) });
    if (kept.is === "failed") throw new NomqError("store-failed", `still kept: ${kept.text}`);
    this.#names.delete(hash);
    if (kept.is === "late") throw new NomqError("store-busy", `forgotten ${LATER}`);
    return { hash, channel };
  }

  list(): readonly NamedChannel[] {
    return [...this.#names].map(([hash, channel]) => ({ hash, channel }));
  }
}

type Settled = { readonly is: "done" | "late" } | { readonly is: "failed"; readonly text: string };

/** A store that fails is tried again until it works: who waits is told after five seconds. */
async function settled(port: Port, change: StateChange): Promise<Settled> {
  const late = Promise.withResolvers<Settled>();
  const cancel = port.clock.after(STORE_WAIT_MS, () => late.resolve({ is: "late" }));
  const done = port.remember([change]).then(
    (): Settled => ({ is: "done" }),
    (error: unknown): Settled => ({ is: "failed", text: error instanceof Error ? error.message : "unknown" }),
  );
  const first = await Promise.race([done, late.promise]);
  cancel();
  return first;
}

const LATER = "as soon as the store works again, which it does not now";

function faultOf(given: string, channel: string): Naming | undefined {
  if (!HASH.test(given)) {
    return refused("hash-invalid", "expected the hash, 32 hexadecimal digits, or at least its first 8");
  }
  if (!isValidChannel(channel)) return refused("channel-invalid", CHANNEL_RULE);
  const hash = hashOf(channel);
  if (hash.startsWith(given)) return undefined;
  const meant = variantsOf(channel).find((other) => isValidChannel(other) && hashOf(other).startsWith(given));
  const advice = meant === undefined ? "" : `; did you mean ${JSON.stringify(meant)}?`;
  return refused("hash-mismatch", `${JSON.stringify(channel)} has the hash ${hash}, not ${given}${advice}`);
}

/** What is easily mistyped: slashes at the ends, letters of the other case, white space. */
function variantsOf(channel: string): readonly string[] {
  const bare = withoutSlashes(channel.trim());
  const spellings = [bare, bare.toLowerCase(), bare.toUpperCase()];
  return spellings.flatMap((each) => [each, `/${each}`, `${each}/`, `/${each}/`, `${each}\n`]);
}

/** Not by a pattern: to look for slashes at the end it would begin at each of 65,000 in the middle. */
function withoutSlashes(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && text[from] === "/") from += 1;
  while (to > from && text[to - 1] === "/") to -= 1;
  return text.slice(from, to);
}

const CHANNEL_RULE = "a channel's name has 1 to 65,535 bytes, no NUL, + or #, and does not start with $";
const FULL = "no room for another name; put names into nomq.channels and forget them here";

const refused = (reason: NamingFault, text: string): Naming => ({ is: "refused", reason, text });
const hashOf = (channel: string): string => channelKey(channelId(channel));
const keyOf = (hash: string): Uint8Array => bytes(`n/${hash}`);
const bytes = (text: string): Uint8Array => Buffer.from(text, "utf8");
const textOf = (value: Uint8Array): string =>
  Buffer.from(value.buffer, value.byteOffset, value.length).toString("utf8");
