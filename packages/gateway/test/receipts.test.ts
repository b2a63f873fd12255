import { openUdpTransport, systemClock } from "@nomq/core";
import { runV1Device, type V1Driver } from "@nomq/core/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createControlClient } from "../src/control/control-client.ts";
import { bytesOfKey, keyText, newKey } from "../src/keys.ts";
import { type LaunchedGateway, launchGateway, nomq, type Program, testFolder } from "./launch.ts";

const KEY = newKey("site");
const SILENT = ["ACK", "PUBREC", "HEARTBEAT"] as const;

/** A board that is subscribed to `cmd/valve` and answers nothing until `cut` is emptied. */
async function openBoard(): Promise<V1Driver> {
  const { encryption, mac } = bytesOfKey(KEY);
  return runV1Device({
    transport: await openUdpTransport({ host: "127.0.0.1", port: 0 }),
    clock: systemClock,
    ...{ encryption, mac, channels: ["cmd/valve"], cut: SILENT },
  });
}

const sections = (board: V1Driver): string => {
  const { id, encryption, mac } = JSON.parse(keyText(KEY)) as Record<string, string>;
  const device = { name: "valve", address: `127.0.0.1:${board.local.port}`, subscribe: ["cmd/#"] };
  const nomqSection = { listen: ["udp://127.0.0.1:0"], keys: [{ id, encryption, mac }], devices: [device] };
  return `nomq: ${JSON.stringify(nomqSection)}\n`;
};

const pub = (gateway: LaunchedGateway, ...args: string[]): Program =>
  nomq(["pub", "cmd/valve", "open", "--qos", "1", "--receipt", ...args, "--socket", gateway.controlSocket]);

const idIn = (stdout: string): string => /^message ([0-9a-f]{32})$/m.exec(stdout)?.[1] ?? "";

/** One gateway and one board for all that need no other: each has answered what came before. */
const shared = new AsyncDisposableStack();
let board: V1Driver;
let gateway: LaunchedGateway;

beforeAll(async () => {
  const folder = shared.use(testFolder());
  board = shared.use(await openBoard());
  gateway = shared.use(await launchGateway({ folder, config: sections(board) }));
});
afterAll(() => shared.disposeAsync());
beforeEach(() => {
  for (const answer of SILENT) board.cut.add(answer);
});

describe("nomq pub --receipt", () => {
  test("says pending, waits, and says delivered when the device has answered", async () => {
    await using publisher = pub(gateway);
    await publisher.said("nomq:valve: pending");
    board.cut.clear();
    const { code, stdout } = await publisher.ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^message [0-9a-f]{32}\nnomq:valve: pending\nnomq:valve: delivered after .* m?s\ndelivered at 1 of 1\n$/,
    );
  });

  test("--json has one receipt on each line; the last is final", async () => {
    await using publisher = pub(gateway, "--json");
    await publisher.said("pending");
    board.cut.clear();
    const receipts = (await publisher.ended).stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const outcomes = [{ attachment: "nomq:valve", is: "delivered", at: expect.any(Number) }];
    expect(receipts.at(0)).toMatchObject({ at: "stored", outcomes: [{ is: "pending" }] });
    expect(receipts.at(-1)).toEqual({ id: receipts[0].id, channel: "cmd/valve", at: "delivered", outcomes });
  });

  test("what expires, what nobody wants and what is refused: exit codes and words", async () => {
    const late = await pub(gateway, "--ttl", "1s").ended;
    expect(late.code).toBe(1);
    // Where the store took longer than the second, it was never seen pending.
    expect(late.stdout).toMatch(
      /^message [0-9a-f]{32}\nnomq:valve: (pending\nnomq:valve: expired after .* s|expired)\ndelivered at 0 of 1\n$/,
    );
    const way = ["--receipt", "--socket", gateway.controlSocket];
    const lonely = await nomq(["pub", "else/where", "x", ...way]).ended;
    expect(lonely.code).toBe(0);
    expect(lonely.stdout).toContain("nobody wants this channel");
    const refused = await nomq(["pub", "a/#", "x", ...way]).ended;
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toMatch(/^refused: channel-invalid/);
  });

  test.each([
    ["--timeout", ["--timeout", "500ms"]],
    ["--timeout that is over before the first change could be told", ["--timeout", "1ms"]],
    ["Ctrl-C", []],
  ])("%s ends the waiting, not the message: exit 1, and the receipt goes on", async (_, args) => {
    await using publisher = pub(gateway, ...args);
    await publisher.said("pending");
    if (args.length === 0) publisher.signal("SIGINT");
    const { code, stdout, stderr } = await publisher.ended;
    expect(code).toBe(1);
    expect(stdout).toMatch(/delivered at 0 of 1, 1 pending\n$/);
    expect(stderr).toBe(`no longer waiting; the message goes on, its receipt is ${idIn(stdout)}\n`);
    board.cut.clear();
    const last = [];
    for await (const receipt of createControlClient(gateway.controlSocket).follow(
      idIn(stdout),
      AbortSignal.timeout(30_000),
    )) {
      last.push(receipt.at);
    }
    expect(last.at(-1)).toBe("delivered");
  });

  test("a gateway that ends first: exit 1, and after kill -9 the next one says what became of it", async () => {
    using folder = testFolder();
    await using own = await openBoard();
    const config = sections(own);
    const first = await launchGateway({ folder, config });
    await using publisher = pub(first);
    await publisher.said("pending");
    first.signal("SIGKILL");
    const { code, stdout, stderr } = await publisher.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^closed: the gateway ended the stream/);

    await using again = await launchGateway({ folder, config });
    const client = createControlClient(again.controlSocket);
    const path = `/api/v1/receipts/${idIn(stdout)}`;
    expect((await client.get(path)).body).toMatchObject({ at: "stored", outcomes: [{ is: "pending" }] });
    const following = client.follow(idIn(stdout), AbortSignal.timeout(30_000))[Symbol.asyncIterator]();
    expect((await following.next()).value).toMatchObject({ outcomes: [{ is: "pending" }] });
    own.cut.clear();
    expect((await following.next()).value).toMatchObject({ at: "delivered" });
    expect((await following.next()).done).toBe(true);
    expect((await client.get(path)).body).toMatchObject({ at: "delivered" });
    const unknown = client.follow("00", AbortSignal.timeout(30_000))[Symbol.asyncIterator]();
    await expect(unknown.next()).rejects.toThrow(/404: no such receipt/);
  });
});
