import { connect } from "node:net";
import { createFakeClock } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { createAccessControl, type Scope } from "../../src/access/index.ts";
import { openRoom, type Room } from "./room.ts";
import { events } from "./serving.ts";

const publish = async (room: Room, payload: string, rest: object = {}): Promise<void> => {
  const body = JSON.stringify({ channel: "a", payload, ...rest });
  const response = await fetch(`${room.url}/api/v1/publish`, { method: "POST", body });
  expect(response.status).toBe(200);
  await response.arrayBuffer();
};

describe("GET /api/v1/stream", () => {
  test("a reader that reads nothing costs a bounded outbox, delays nobody, and is told what it missed", async () => {
    await using room = await openRoom();
    const socket = connect(room.port, "127.0.0.1");
    socket.write("GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    socket.pause();
    await expect.poll(() => room.hub.attachments().length).toBe(1);
    await using reader = await events(`${room.url}/api/v1/stream`);
    expect(await reader.next()).toMatchObject({ event: "ready" });
    const payload = "x".repeat(262_144);
    // Until far more was sent than sockets and outbox hold.
    for (let count = 0; count < 100; count += 1) {
      await publish(room, payload);
      expect(await reader.next()).toMatchObject({ event: "message" });
    }
    const [slow, quick] = room.hub.attachments();
    expect(quick?.ledger).toMatchObject({ accepted: 100, delivered: 100 });
    expect(slow?.ledger.dropped["overflow"]).toBeGreaterThan(50);
    expect(slow?.ledger.pending).toBeLessThanOrEqual(17);
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1").replaceAll("x", "");
    });
    socket.resume();
    await expect.poll(() => /event: dropped\ndata: \{"count":\d+\}/.test(text)).toBe(true);
    socket.destroy();
  });

  test("a reader that takes nothing for a minute is cut off", async () => {
    const clock = createFakeClock();
    await using room = await openRoom({ clock });
    const socket = connect(room.port, "127.0.0.1");
    const ended = new Promise<void>((resolve) => void socket.once("close", () => resolve()));
    socket.on("error", () => undefined);
    socket.write("GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    socket.pause();
    await expect.poll(() => room.hub.attachments().length).toBe(1);
    const waiting = (): number => room.hub.attachments()[0]?.ledger.pending ?? 0;
    // Sockets between here and there are full when something waits and goes on waiting.
    for (let count = 0; count < 60 || waiting() === 0; count += 1) await publish(room, "x".repeat(262_144));
    await clock.advance(59_000);
    expect(room.hub.attachments()).toHaveLength(1);
    await clock.advance(1_000);
    await expect.poll(() => room.hub.attachments()).toEqual([]);
    socket.resume();
    await ended;
  });

  test("HEAD opens none", async () => {
    await using room = await openRoom();
    const { status, headers } = await fetch(`${room.url}/api/v1/stream`, { method: "HEAD" });
    expect({ status, type: headers.get("content-type") }).toEqual({ status: 200, type: "text/event-stream" });
    expect(room.hub.attachments()).toEqual([]);
  });

  test("closing ends streams in order: what was published before is seen, then the end", async () => {
    await using room = await openRoom();
    const reader = await events(`${room.url}/api/v1/stream`);
    expect(await reader.next()).toMatchObject({ event: "ready" });
    await publish(room, "last");
    expect(await reader.next()).toMatchObject({ data: { payload: "last" } });
    await room.close();
    expect(await reader.next()).toBeUndefined();
    await expect(fetch(`${room.url}/healthz`)).rejects.toThrow();
  });

  test("closing ends a connection that has asked nothing yet", async () => {
    await using room = await openRoom({
      limits: { grace: 600_000, headersTimeout: 600_000, requestTimeout: 600_000 },
    });
    const idle = connect(room.port, "127.0.0.1");
    const ended = new Promise<void>((resolve) => void idle.once("close", () => resolve()));
    idle.on("error", () => undefined).resume();
    // It is served after the other one has come in.
    expect((await fetch(`${room.url}/healthz`)).status).toBe(200);
    await room.close();
    await ended;
  });

  test("closing does not wait for a reader that reads nothing, and lets a publish under way have its answer", async () => {
    await using room = await openRoom();
    const socket = connect(room.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write("GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    socket.pause();
    await expect.poll(() => room.hub.attachments().length).toBe(1);
    for (let count = 0; count < 40; count += 1) await publish(room, "x".repeat(262_144));
    // Waits for the reader above until its stream is cut.
    const waiting = fetch(`${room.url}/api/v1/publish`, {
      method: "POST",
      body: JSON.stringify({ channel: "a", payload: "x", qos: 1, until: "delivered" }),
    });
    await expect.poll(() => room.hub.attachments()[0]?.ledger.accepted).toBe(41);
    await room.close();
    expect((await waiting).status).toBe(504);
    socket.destroy();
  });
});

test("a token that is withdrawn, or loses its scope, ends its streams; others go on", async () => {
  const token = (name: string, scopes: Scope[] = ["subscribe"]) => ({
    name,
    token: `${name}-0123456789-0123456789`,
    scopes,
  });
  const rules = [{ who: "*", subscribe: ["#"], publish: ["#"] }];
  const control = createAccessControl({
    users: [],
    tokens: ["a", "b", "c"].map((name) => token(name)),
    rules,
  });
  await using room = await openRoom({ control });
  const open = (name: string) =>
    events(`${room.url}/api/v1/stream`, { authorization: `Bearer ${token(name).token}` });
  await using withdrawn = await open("a");
  await using narrowed = await open("b");
  await using other = await open("c");
  for (const each of [withdrawn, narrowed, other])
    expect(await each.next()).toMatchObject({ event: "ready" });
  control.replace({ users: [], tokens: [token("b", ["publish"]), token("c")], rules });
  expect(await withdrawn.next()).toBeUndefined();
  expect(await narrowed.next()).toBeUndefined();
  await room.hub.port("test").publish({ channel: "a", payload: Buffer.from("x") }, "token:c");
  expect(await other.next()).toMatchObject({ data: { payload: "x" } });
});
