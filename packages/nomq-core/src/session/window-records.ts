import type { StateChange } from "../bridge.ts";
import { nothingHeld, type Seen } from "./held-packets.ts";
import type { ReplayWindow } from "./replay-window.ts";

/** Names a session: receivers tell senders apart by nothing else. */
export interface SessionName {
  readonly keyId: string;
  readonly sessionId: number;
}

/** One record of a replay window as read back. */
export type WindowRecord =
  | { readonly is: "head"; readonly session: SessionName; readonly window: ReplayWindow }
  | { readonly is: "packet"; readonly session: SessionName; readonly seen: Seen };

// h/KEY/SESSION -> [offset, clock, newest, floor, heardAt, marked, peer]
// p/KEY/SESSION/TIMESTAMP/MARK -> empty
// KEY is percent-encoded, the numbers are hexadecimal.

const EMPTY = new Uint8Array(0);

/** The record of a window itself. */
export function headChange(session: SessionName, window: ReplayWindow): StateChange {
  const { offset, clock, newest, heardAt, marked, peer } = window;
  const floor = Math.max(window.floor, window.storedFloor);
  const fields = [offset, clock, newest, floor, heardAt, marked, peer ?? null];
  return { key: bytes(`h/${sessionPart(session)}`), value: bytes(JSON.stringify(fields)) };
}

/** The record of one packet that a window holds. */
export function packetChange(session: SessionName, seen: Seen): StateChange {
  const key = `p/${sessionPart(session)}/${seen.timestamp.toString(16)}/${seen.mark.toString(16)}`;
  return { key: bytes(key), value: EMPTY };
}

/** What deletes a window with all it holds. */
export function deleteWindow(session: SessionName, window: ReplayWindow): StateChange[] {
  const changes: StateChange[] = [{ key: bytes(`h/${sessionPart(session)}`) }];
  for (const [timestamp, mark] of window.held.recorded()) {
    changes.push({ key: packetChange(session, { timestamp, mark }).key });
  }
  return changes;
}

/** Reads one record; undefined for anything that none of these functions wrote. */
export function readRecord(key: Uint8Array, value: Uint8Array): WindowRecord | undefined {
  const [kind, keyPart, sessionText, timestampText, markText] = text(key).split("/");
  const session = readSession(keyPart, sessionText);
  if (session === undefined) return undefined;
  if (kind === "h") {
    const window = readHead(text(value));
    return window === undefined ? undefined : { is: "head", session, window };
  }
  const timestamp = Number.parseInt(timestampText ?? "", 16);
  const mark = Number.parseInt(markText ?? "", 16);
  if (kind !== "p" || !Number.isSafeInteger(timestamp) || !Number.isSafeInteger(mark)) return undefined;
  return { is: "packet", session, seen: { timestamp, mark } };
}

function readSession(keyPart: string | undefined, sessionText: string | undefined): SessionName | undefined {
  const sessionId = Number.parseInt(sessionText ?? "", 16);
  if (keyPart === undefined || !Number.isSafeInteger(sessionId)) return undefined;
  try {
    return { keyId: decodeURIComponent(keyPart), sessionId };
  } catch {
    return undefined;
  }
}

function readHead(json: string): ReplayWindow | undefined {
  const fields = parseArray(json);
  const [offset, clock, newest, floor, heardAt, marked, peer] = fields;
  if (!isWhole(offset) || !isWhole(clock) || !isWhole(newest) || !isWhole(floor) || !isWhole(heardAt)) {
    return undefined;
  }
  return {
    offset,
    clock,
    newest,
    floor,
    heardAt,
    held: nothingHeld,
    storedFloor: floor,
    former: undefined,
    peer: typeof peer === "string" ? peer : undefined,
    marked: marked === true,
    withheld: undefined,
  };
}

function parseArray(json: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

function isWhole(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value);
}

function sessionPart(session: SessionName): string {
  return `${encodeURIComponent(session.keyId)}/${session.sessionId.toString(16)}`;
}

function bytes(value: string): Uint8Array {
  return Buffer.from(value, "utf8");
}

function text(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString("utf8");
}
