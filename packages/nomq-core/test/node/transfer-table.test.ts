import fc from "fast-check";
import { expect, test } from "vitest";
import { newEntry, type PeerEntry } from "../../src/node/peers/peer-entry.ts";
import { type Transfer, TransferTable } from "../../src/node/receiving/transfer-table.ts";
import { createKeyRing } from "../../src/packet/key-ring.ts";
import { type ReceiveInput, stepReceiver } from "../../src/session/receiver.ts";
import { vectorKey } from "../vectors.ts";

const RUNS = process.env["NOMQ_LONG"] === undefined ? 40 : 500;
const LIMIT = 64;
const [key] = createKeyRing([vectorKey()]).keys;

function peerOf(kind: "device" | "node"): PeerEntry {
  if (key === undefined) throw new Error("no key");
  const peer = newEntry({ id: kind, known: undefined, key, address: { host: "10.0.0.1", port: 1 } });
  peer.kind = kind;
  return peer;
}

/** A table and all that was ever put into it. */
function createBench(): {
  readonly table: TransferTable;
  readonly all: Transfer[];
  begin(peer: PeerEntry, qos: 1 | 2): boolean;
  step(transfer: Transfer | undefined, input: ReceiveInput): void;
  now: number;
} {
  const table = new TransferTable(LIMIT);
  const all: Transfer[] = [];
  return {
    table,
    all,
    now: 0,
    begin(peer, qos) {
      const step = stepReceiver(undefined, { on: "publish", qos, now: this.now });
      if (step === undefined || !table.hasRoom(this.now, true)) return false;
      const from = { host: "10.0.0.1", port: 1 };
      const channelId = new Uint8Array(16);
      const name = `t/${all.length}`;
      const rest = { packetId: all.length, from, channelId, macs: [], begunAt: this.now, restedAt: this.now };
      const transfer: Transfer = { name, state: step.state, peer, ...rest };
      table.add(transfer);
      table.enter(transfer, step.state, this.now);
      all.push(transfer);
      return true;
    },
    step(transfer, input) {
      if (transfer === undefined || table.get(transfer.name) !== transfer) return;
      const step = stepReceiver(transfer.state, input);
      if (step !== undefined && step.state !== transfer.state) table.enter(transfer, step.state, this.now);
    },
  };
}

/** The rule in other words: what would do harm if it were forgotten now. */
function mustStay({ state, peer, restedAt }: Transfer, now: number): boolean {
  if (state.is === "handing") return true;
  if (state.is === "refused" || (state.is === "received" && state.qos === 1)) return false;
  if (state.is === "completed") return now - restedAt <= 61_000;
  return peer.kind === "node" || now - restedAt <= 61_000;
}

test("a full table refuses QoS 2 messages rather than take one twice, and has room once transfers have ended", () => {
  const bench = createBench();
  const node = peerOf("node");
  for (let at = 0; at < LIMIT; at += 1) expect(bench.begin(node, 2)).toBe(true);
  for (const transfer of bench.all) bench.step(transfer, { on: "verdict", accepted: true });
  bench.now += 3600_000;
  expect(bench.begin(node, 2)).toBe(false);
  bench.step(bench.all[7], { on: "PUBREL" });
  expect(bench.begin(node, 1)).toBe(false);
  bench.now += 61_001;
  expect(bench.begin(node, 1)).toBe(true);
  expect(bench.table.get("t/7")).toBeUndefined();
  expect(bench.table.size).toBe(LIMIT);
});

test("a full table has room exactly as long as one transfer may be forgotten, and keeps all that may not", () => {
  const at = fc.nat(200);
  const op = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ op: fc.constant("begin" as const), at, qos: fc.constantFrom(1, 2) }),
    },
    { weight: 4, arbitrary: fc.record({ op: fc.constant("verdict" as const), at, accepted: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant("PUBREL" as const), at }) },
    {
      weight: 1,
      arbitrary: fc.record({ op: fc.constant("publish" as const), at, qos: fc.constantFrom(1, 2) }),
    },
    { weight: 1, arbitrary: fc.record({ op: fc.constant("identical" as const), at }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant("wait" as const), ms: fc.nat(20_000) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant("marks" as const), at }) },
  );
  const seen = { full: 0, refused: 0 };
  fc.assert(
    fc.property(fc.array(op, { minLength: 300, maxLength: 600 }), (ops) => {
      const bench = createBench();
      const peers = [peerOf("device"), peerOf("node"), peerOf("device")];
      for (const one of ops) {
        const { now, all, table } = bench;
        const held = all.filter(({ name }) => table.get(name) !== undefined);
        const chosen = one.op === "wait" ? undefined : held[one.at % Math.max(1, held.length)];
        if (one.op === "wait") bench.now += one.ms;
        else if (one.op === "verdict") bench.step(chosen, { on: "verdict", accepted: one.accepted });
        else if (one.op === "PUBREL") bench.step(chosen, { on: "PUBREL" });
        else if (one.op === "identical") bench.step(chosen, { on: "identical", now });
        else if (one.op === "publish") {
          if (chosen !== undefined) bench.step(chosen, { on: "publish", qos: one.qos === 1 ? 1 : 2, now });
        } else if (one.op === "marks") {
          // A device that shows itself a node.
          const peer = peers[one.at % 30];
          if (peer !== undefined) peer.kind = "node";
        } else {
          const staying = held.filter((transfer) => mustStay(transfer, now));
          const peer = peers[one.at % peers.length] ?? peerOf("node");
          const begun = bench.begin(peer, one.qos === 1 ? 1 : 2);
          if (held.length >= LIMIT) seen.full += 1;
          if (!begun) seen.refused += 1;
          expect(begun).toBe(staying.length < LIMIT);
          for (const { name } of staying) expect(table.get(name)).toBeDefined();
          expect(table.size).toBeLessThanOrEqual(LIMIT);
        }
      }
    }),
    { numRuns: RUNS, seed: 4, endOnFailure: true },
  );
  expect(seen.full).toBeGreaterThan(RUNS);
  expect(seen.refused).toBeGreaterThan(RUNS / 10);
});
