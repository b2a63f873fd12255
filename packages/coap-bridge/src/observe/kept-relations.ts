import { createWriteBehind, type Port, type Principal, type StateChange } from "@nomq/core";
import type { Relation } from "./relation.ts";

/** A relation as it is written down. */
export interface KeptRelation {
  /** Its key in the bridge's state. */
  readonly key: string;
  readonly remoteKey: string;
  readonly token: Uint8Array;
  readonly channel: string;
  readonly as: Principal;
  readonly confirmable: boolean;
  readonly all: boolean;
  readonly accept?: number;
  readonly szx?: number;
  readonly format?: number;
  readonly transfer?: string;
  /** The `seq` of the value it was told last, 0 for none: what is newer is told after a restart. */
  readonly told: number;
}

/** What this room remembers of an earlier run. */
export interface KeptState {
  readonly relations: readonly KeptRelation[];
  /** Order numbers up to here may have been used. */
  readonly reserved?: number;
  /** Keys of what nobody can read any more. */
  readonly unreadable: readonly string[];
}

/** Writes behind what lasts: one write at a time takes all that has changed. */
export interface KeptRelations {
  /** It is new, or what is written of it has changed. */
  note(relation: Relation): void;
  /** It has ended. */
  forget(relation: Relation): void;
  reserve(upTo: number): void;
  /** Drops keys of an earlier run. */
  drop(keys: readonly string[]): void;
  /** Resolves when all that was noted is stored; rejects when it will not be. */
  stored(): Promise<void>;
}

const PREFIX = "observe/relation/";
const NUMBERS = "observe/numbers";
/** Changes of one write: more would hold up the event loop. */
const MOST_CHANGES = 2_000;
// Small buffers share their memory: thousands of these are held by a store that is memory.
const bytesOf = (text: string): Uint8Array => Buffer.from(text);
const decoder = new TextDecoder();

const keyOf = ({ remoteKey, token }: Relation): string =>
  `${PREFIX}${remoteKey}/${Buffer.from(token).toString("hex")}`;

/** Reads what an earlier run left in the bridge's state, and leaves alone what others keep there. */
export async function readKept(port: Pick<Port, "state">): Promise<KeptState> {
  const relations: KeptRelation[] = [];
  const unreadable: string[] = [];
  let reserved: number | undefined;
  for await (const [keyBytes, value] of port.state()) {
    const key = decoder.decode(keyBytes);
    if (key === NUMBERS) reserved = readNumber(value);
    if (!key.startsWith(PREFIX)) continue;
    const relation = readRelation(key, value);
    if (relation === undefined) unreadable.push(key);
    else relations.push(relation);
  }
  return { relations, unreadable, ...(reserved === undefined ? {} : { reserved }) };
}

function readNumber(value: Uint8Array): number | undefined {
  const read = Number(decoder.decode(value));
  return Number.isSafeInteger(read) && read >= 0 ? read : undefined;
}

function readRelation(key: string, value: Uint8Array): KeptRelation | undefined {
  const at = key.lastIndexOf("/");
  const token = Buffer.from(key.slice(at + 1), "hex");
  try {
    const body: unknown = JSON.parse(decoder.decode(value));
    if (!isBody(body)) return undefined;
    // Written by ourselves from a principal.
    const as = body.as as Principal;
    return { ...body, as, key, remoteKey: key.slice(PREFIX.length, at), token: new Uint8Array(token) };
  } catch {
    return undefined;
  }
}

type Body = Omit<KeptRelation, "key" | "remoteKey" | "token" | "as"> & { readonly as: string };

function isBody(value: unknown): value is Body {
  if (typeof value !== "object" || value === null) return false;
  const body: Readonly<Record<string, unknown>> = { ...value };
  const numbers = [body["accept"], body["szx"], body["format"]];
  return (
    typeof body["channel"] === "string" &&
    typeof body["as"] === "string" &&
    typeof body["confirmable"] === "boolean" &&
    typeof body["all"] === "boolean" &&
    typeof body["told"] === "number" &&
    ["string", "undefined"].includes(typeof body["transfer"]) &&
    numbers.every((number) => number === undefined || Number.isSafeInteger(number))
  );
}

function bodyOf(relation: Relation): Uint8Array {
  const { channel, as, confirmable, all, wish, format, transfer, told } = relation;
  const body = { channel: channel.name, as, confirmable, all, ...wish, format, transfer, told };
  return bytesOf(JSON.stringify(body));
}

/** Makes the writer. A write that fails is told to those who wait for it, and tried again with the next. */
export function createKeptRelations(
  remember: (changes: readonly StateChange[]) => Promise<void>,
): KeptRelations {
  let dirty = new Map<string, Relation | number | undefined>();

  const changeOf = ([key, what]: [string, Relation | number | undefined]): StateChange => {
    const bytes = bytesOf(key);
    if (what === undefined) return { key: bytes };
    return { key: bytes, value: typeof what === "number" ? bytesOf(String(what)) : bodyOf(what) };
  };
  const write = async (): Promise<void> => {
    const mine = dirty;
    dirty = new Map();
    try {
      const changes = [...mine];
      for (let at = 0; at < changes.length; at += MOST_CHANGES) {
        await remember(changes.slice(at, at + MOST_CHANGES).map(changeOf));
      }
    } catch (error) {
      dirty = new Map([...mine, ...dirty]);
      throw error;
    }
  };
  const behind = createWriteBehind({ write });
  const touch = (key: string, what: Relation | number | undefined): void => {
    dirty.delete(key);
    dirty.set(key, what);
    behind.begin();
  };
  return {
    note(relation) {
      relation.keptTold = relation.told;
      touch(keyOf(relation), relation);
    },
    forget(relation) {
      if (relation.keptTold !== undefined) touch(keyOf(relation), undefined);
    },
    reserve: (upTo) => touch(NUMBERS, upTo),
    drop(keys) {
      for (const key of keys) touch(key, undefined);
    },
    stored: () => behind.written() ?? Promise.resolve(),
  };
}
