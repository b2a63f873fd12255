import type { Port, StateChange } from "../bridge.ts";
import type { NomqNode, PeerKind, TransferIds } from "../node/contract.ts";

/** A transfer that may have been sent. */
interface Begun extends TransferIds {
  readonly sent: true;
}

/**
 * QoS 2 transfers to configured nodes, remembered before they begin: after a crash each goes on under its own ids, and
 * one without a record never began. Only then is a message neither lost nor doubled.
 */
export interface OpenTransfers {
  /** Takes the records out of a bridge's state and passes on the rest. */
  restore(use: TransfersUse, state: AsyncIterable<Entry>): AsyncIterable<Entry>;
  /** The transfers of one attachment; `kind` is what it is configured as. */
  of(peer: string, kind: PeerKind): PeerTransfers;
}

/** Open transfers of one attachment, by message id. */
export interface PeerTransfers {
  find(id: string): Begun | undefined;
  /**
   * Whether a transfer to a peer of that kind without a record surely never began: not where it may have been taken
   * for a device then, nor once records had to be given up for want of room.
   */
  knows(kind: PeerKind): boolean;
  /** Draws ids; resolves when they are stored. */
  begin(id: string): Promise<Begun>;
  /** Ends it here; the change deletes the record. */
  end(id: string): readonly StateChange[];
}

/** What open transfers work with. */
export interface TransfersUse {
  readonly node: NomqNode;
  readonly port: Port;
}

type Entry = readonly [key: Uint8Array, value: Uint8Array];

const MOST = 65_536;
/** As long as receivers remember a session (protocol.md section 7). */
const LIFE_MS = 28 * 3_600_000;
// t/PEER/MESSAGE -> [packetId, sessionId, Unix milliseconds]. PEER is percent-encoded. What outlived its message (it
// expired, or was dropped) goes with the first start after its time.
const KEY = /^t\/[^/]+\/[^/]+$/;

/** Makes an empty table. */
export function createOpenTransfers(): OpenTransfers {
  return new TransferTable();
}

class TransferTable implements OpenTransfers {
  readonly #open = new Map<string, Begun>();
  #use: TransfersUse | undefined;
  #isComplete = true;

  async *restore(use: TransfersUse, state: AsyncIterable<Entry>): AsyncGenerator<Entry> {
    this.#use = use;
    const over: StateChange[] = [];
    for await (const entry of state) {
      const key = Buffer.from(entry[0]).toString("utf8");
      if (!KEY.test(key)) {
        yield entry;
        continue;
      }
      const ids = readIds(entry[1], use.port.clock.now());
      if (ids === undefined) over.push({ key: entry[0] });
      else this.#open.set(key, ids);
    }
    if (over.length > 0) this.#forget(over);
  }

  of(peer: string, kind: PeerKind): PeerTransfers {
    const keyOf = (id: string): string => `t/${encodeURIComponent(peer)}/${id}`;
    return {
      knows: (now) => this.#isComplete && kind === "node" && now === "node",
      find: (id) => this.#open.get(keyOf(id)),
      begin: (id) => this.#begin(keyOf(id)),
      end: (id) => {
        const key = keyOf(id);
        return this.#open.delete(key) ? [{ key: Buffer.from(key) }] : [];
      },
    };
  }

  async #begin(key: string): Promise<Begun> {
    if (this.#use === undefined) throw new Error("the bridge is not attached");
    const { node, port } = this.#use;
    const ids = { ...node.newTransfer(), sent: true } as const;
    this.#makeRoom();
    this.#open.set(key, ids);
    const value = Buffer.from(JSON.stringify([ids.packetId, ids.sessionId, port.clock.now()]));
    try {
      await port.remember([{ key: Buffer.from(key), value }]);
    } catch (error) {
      this.#open.delete(key);
      throw error;
    }
    return ids;
  }

  #makeRoom(): void {
    const [oldest] = this.#open.keys();
    if (this.#open.size < MOST || oldest === undefined) return;
    this.#isComplete = false;
    this.#open.delete(oldest);
    this.#forget([{ key: Buffer.from(oldest) }]);
  }

  #forget(changes: readonly StateChange[]): void {
    // What stays in the store for now is found too old at a later start.
    this.#use?.port.remember(changes).catch(() => undefined);
  }
}

function readIds(value: Uint8Array, now: number): Begun | undefined {
  const fields = parse(Buffer.from(value).toString("utf8"));
  const [packetId, sessionId, at] = Array.isArray(fields) ? fields : [];
  // A clock may count parts of a millisecond.
  const isWhole = [packetId, sessionId].every((field) => Number.isSafeInteger(field)) && Number.isFinite(at);
  return isWhole && now - at <= LIFE_MS ? { packetId, sessionId, sent: true } : undefined;
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
