import { openUdpTransport, systemClock } from "@nomq/core";
import { runV1Device, type V1Driver } from "@nomq/core/testing";
import { expect, test } from "vitest";
import { createControlClient } from "../src/control/control-client.ts";
import { bytesOfKey, keyText, newKey } from "../src/keys.ts";
import { type LaunchedGateway, launchGateway, testFolder } from "./launch.ts";

const KEY = newKey("site");

interface Shown {
  readonly name: string;
  readonly ledger: {
    readonly accepted: number;
    readonly pending: number;
    readonly delivered: number;
    readonly expired: number;
    readonly refused: number;
    readonly uncertain: number;
    readonly dropped: Readonly<Record<string, number>>;
  };
}

const openBoard = async (): Promise<V1Driver> =>
  runV1Device({
    transport: await openUdpTransport({ host: "127.0.0.1", port: 0 }),
    clock: systemClock,
    ...bytesOfKey(KEY),
    channels: ["cmd/valve"],
    cut: ["ACK", "PUBREC", "HEARTBEAT"],
  });

function configOf(boards: readonly V1Driver[]): string {
  const { id, encryption, mac } = JSON.parse(keyText(KEY)) as Record<string, string>;
  const devices = boards.map((board, at) => ({
    name: `valve-${at}`,
    address: `127.0.0.1:${board.local.port}`,
    subscribe: ["cmd/#"],
    outbox: { messages: 40, whenFull: at === 0 ? "drop-oldest" : "drop-newest" },
  }));
  const section = { listen: ["udp://127.0.0.1:0"], keys: [{ id, encryption, mac }], pace: 1_000, devices };
  return `nomq: ${JSON.stringify(section)}\n`;
}

async function rowsOf(gateway: LaunchedGateway): Promise<readonly Shown[]> {
  const { body } = await createControlClient(gateway.controlSocket).get("/api/v1/attachments");
  // The API's own shape (docs/api.md).
  return body as readonly Shown[];
}

function balanced(rows: readonly Shown[]): void {
  for (const { name, ledger } of rows) {
    const { accepted, pending, delivered, expired, refused, uncertain, dropped } = ledger;
    const ends = delivered + expired + refused + uncertain;
    const sum = Object.values(dropped).reduce((all, by) => all + by, ends + pending);
    expect(`${name} ${accepted}`).toBe(`${name} ${sum}`);
  }
}

/** Publishes until told to stop; resolves with how many were stored. */
async function traffic(gateway: LaunchedGateway, isOver: () => boolean): Promise<number> {
  const client = createControlClient(gateway.controlSocket);
  let stored = 0;
  for (let number = 0; !isOver(); number += 1) {
    const qos = number % 2 === 0 ? 1 : 2;
    const ttl = number % 5 === 0 ? { ttl: "200ms" } : {};
    const receipt = await client
      .publish({ channel: "cmd/valve", payload: String(number), qos, ...ttl })
      .catch(() => undefined);
    if (receipt?.at === "stored" || receipt?.at === "delivered") stored += 1;
  }
  return stored;
}

test("the rows of /api/v1/attachments balance under traffic at every look, and over kill -9", async () => {
  using folder = testFolder();
  await using silent = await openBoard();
  await using busy = await openBoard();
  busy.cut.clear();
  const config = configOf([silent, busy]);
  const first = await launchGateway({ folder, config });
  let isOver = false;
  const flows = [1, 2, 3].map(() => traffic(first, () => isOver));
  let last: readonly Shown[] = [];
  const valves = (): readonly Shown[] => last.filter(({ name }) => name.startsWith("nomq:valve"));
  const hasOverflow = (): boolean => valves().some(({ ledger }) => (ledger.dropped["overflow"] ?? 0) > 0);
  for (let look = 0; look < 60 || !hasOverflow(); look += 1) {
    last = await rowsOf(first);
    balanced(last);
  }
  first.signal("SIGKILL");
  isOver = true;
  await first.ended;
  const stored = (await Promise.all(flows)).reduce((sum, each) => sum + each, 0);

  await using again = await launchGateway({ folder, config });
  const rows = await rowsOf(again);
  balanced(rows);
  for (const name of ["nomq:valve-0", "nomq:valve-1"]) {
    const row = rows.find((each) => each.name === name)?.ledger;
    // Whatever was acknowledged has been counted; QoS 1 and 2 never end with the process.
    expect(row?.accepted).toBeGreaterThanOrEqual(stored);
    expect(row?.dropped["restart"]).toBeUndefined();
  }
});
