import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createFakeClock } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { createRateLimit } from "../../src/http/rate-limit.ts";
import { openRoom } from "./room.ts";
import { events, sendRaw } from "./serving.ts";

const HEALTH = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";

/** What a connection says until it ends, and when it has. */
function listening(socket: Socket): { text(): string; ended: Promise<void> } {
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  socket.on("error", () => undefined);
  return { text: () => text, ended: new Promise((resolve) => void socket.once("close", () => resolve())) };
}

describe("time", () => {
  const soon = { headersTimeout: 100, requestTimeout: 200, checkInterval: 20 };

  test("a header that does not end is cut off (slowloris), and others are served meanwhile", async () => {
    // Long enough for those who send all of theirs on a busy machine.
    const limits = { headersTimeout: 1_000, requestTimeout: 2_000, checkInterval: 50 };
    await using room = await openRoom({ limits });
    const slow = connect(room.port, "127.0.0.1");
    const heard = listening(slow);
    await once(slow, "connect");
    slow.write(`${HEALTH}X-A: `);
    // One header, byte by byte: many small ones are too many before they are too late.
    const drip = setInterval(() => slow.write("b"), 10);
    await expect.poll(async () => (await fetch(`${room.url}/healthz`)).status).toBe(200);
    await heard.ended;
    clearInterval(drip);
    expect(heard.text()).toMatch(/^(HTTP\/1\.1 408 |$)/);
  });

  test("a body that does not end is cut off", async () => {
    await using room = await openRoom({ limits: soon });
    const head = "POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{";
    const slow = connect(room.port, "127.0.0.1");
    const heard = listening(slow);
    await once(slow, "connect");
    slow.write(head);
    const drip = setInterval(() => slow.write(" "), 10);
    await heard.ended;
    clearInterval(drip);
    expect(heard.text()).not.toContain("200 OK");
  });

  test("a connection that says nothing is cut off", async () => {
    await using room = await openRoom({ limits: soon });
    const idle = connect(room.port, "127.0.0.1");
    await listening(idle).ended;
  });
});

describe("size", () => {
  test("a header of more than 16 KiB is 431", async () => {
    await using room = await openRoom();
    const answer = await sendRaw(room.port, `${HEALTH}X: ${"x".repeat(20_000)}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
  });

  test.each([
    ["said", { "content-length": String(3_000_000) }],
    ["not said", { "transfer-encoding": "chunked" }],
  ])("a body beyond the limit, its length %s, is 413 before it has all arrived", async (_, header) => {
    await using room = await openRoom();
    const [[name, value]] = Object.entries(header) as [[string, string]];
    const head = `POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\n${name}: ${value}\r\n\r\n`;
    const socket = connect(room.port, "127.0.0.1", () => {
      socket.write(head);
      const chunk = "x".repeat(100_000);
      for (let at = 0; at < 25; at += 1) {
        socket.write(name === "content-length" ? chunk : `${chunk.length.toString(16)}\r\n${chunk}\r\n`);
      }
    });
    const heard = listening(socket);
    await heard.ended;
    expect(heard.text()).toMatch(/^HTTP\/1\.1 413 .*"code":"too-large"/s);
  });
});

describe("junk", () => {
  const SMUGGLED = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const POST = "POST /healthz HTTP/1.1\r\nHost: localhost\r\n";

  test.each([
    ["two lengths", `${POST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello${SMUGGLED}`],
    [
      "a length and chunks",
      `${POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    ],
    ["chunks said twice", `${POST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
    ["chunks not said last", `${POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${SMUGGLED}`],
    ["a length that is none", `${POST}Content-Length: +5\r\n\r\nhello${SMUGGLED}`],
    [
      "a chunk size that is none",
      `${POST}Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n${SMUGGLED}`,
    ],
    ["a space before the colon", `${POST}Content-Length : 5\r\n\r\nhello${SMUGGLED}`],
    ["a folded header", `${POST}X: a\r\n b\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
    ["a NUL", `GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n${SMUGGLED}`],
    ["a bare line feed", `GET /healthz HTTP/1.1\nHost: localhost\n\n${SMUGGLED}`],
    ["no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    ["another version", `GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n${SMUGGLED}`],
  ])("%s: refused, the connection ends, and nothing behind it is served", async (_, text) => {
    await using room = await openRoom();
    const answer = await sendRaw(room.port, text);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).not.toContain("200 OK");
    expect((await fetch(`${room.url}/healthz`)).status).toBe(200);
  });

  test.each([
    "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "TRACE /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET //evil.example/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET /%00%ff%2e%2e/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET /api/v1/channels/%ff%fe HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  ])("%j is answered or cut, and the gateway goes on", async (text) => {
    await using room = await openRoom();
    const answer = await sendRaw(room.port, text);
    expect(answer).not.toMatch(/^HTTP\/1\.1 5/);
    expect((await fetch(`${room.url}/healthz`)).status).toBe(200);
  });

  test("random bytes, and requests with random parts, never end it", async () => {
    await using room = await openRoom();
    const turns = process.env["NOMQ_LONG"] ? 2_000 : 100;
    let seed = 5;
    const next = (most: number): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % most;
    };
    for (let turn = 0; turn < turns; turn += 1) {
      const bytes = String.fromCharCode(...Array.from({ length: next(200) }, () => next(256)));
      const method = ["GET", "POST", "DELETE", "HEAD", "PUT", "OPTIONS"][next(6)];
      const path = ["/healthz", "/api/v1/stream", "/api/v1/publish", "/api/v1/channels/", `/${bytes}`][
        next(5)
      ];
      const text =
        next(2) === 0
          ? bytes
          : `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n${bytes}`;
      const socket = connect(room.port, "127.0.0.1", () => socket.end(Buffer.from(text, "latin1")));
      const heard = listening(socket);
      // A stream goes on until its reader leaves.
      socket.once("data", () => socket.destroy());
      await heard.ended;
    }
    expect((await fetch(`${room.url}/healthz`)).status).toBe(200);
  });
});

describe("number", () => {
  test("turns come at a steady rate, some may be saved up, and each caller has its own", async () => {
    const clock = createFakeClock();
    const limit = createRateLimit({ clock, perSecond: 10, burst: 3 });
    expect([1, 2, 3, 4].map(() => limit.take("a"))).toEqual([0, 0, 0, 100]);
    expect(limit.take("b")).toBe(0);
    await clock.advance(50);
    expect(limit.take("a")).toBe(50);
    await clock.advance(50);
    expect(limit.take("a")).toBe(0);
    await clock.advance(60_000);
    expect([1, 2, 3, 4].map(() => limit.take("a"))).toEqual([0, 0, 0, 100]);
  });

  test("of callers, no more than its most are remembered", () => {
    const limit = createRateLimit({ clock: createFakeClock(), perSecond: 1, burst: 1, most: 2 });
    for (const name of ["a", "b", "c"]) expect(limit.take(name)).toBe(0);
    expect(limit.take("c")).toBe(1_000);
    // The one that was asked for longest ago has been forgotten.
    expect(limit.take("a")).toBe(0);
  });

  test("a caller that asks too often gets 429 and Retry-After, and it is counted", async () => {
    await using room = await openRoom({ limits: { perSecond: 0.001, burst: 2 } });
    const answers = [];
    for (let at = 0; at < 3; at += 1) answers.push(await fetch(`${room.url}/healthz`));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(Number(answers[2]?.headers.get("retry-after"))).toBeGreaterThan(900);
    expect(await answers[2]?.json()).toEqual({ error: { code: "too-many-requests", text: "slow down" } });
    expect(room.counters.read(0).turnedAway).toEqual({ "too-many-requests": 1 });
  });

  test("connections of one address are bounded", async () => {
    await using room = await openRoom({ limits: { connectionsPerAddress: 2, connections: 10 } });
    await using _one = await events(`${room.url}/api/v1/stream`);
    await using _two = await events(`${room.url}/api/v1/stream`);
    expect(await sendRaw(room.port, `${HEALTH}\r\n`)).toBe("");
  });

  test("requests under way are bounded: one more is 503", async () => {
    await using room = await openRoom({ limits: { requests: 1 } });
    await using _stream = await events(`${room.url}/api/v1/stream`);
    const answer = await fetch(`${room.url}/healthz`);
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toBe("1");
    expect(await answer.json()).toMatchObject({ error: { code: "busy" } });
  });

  test("streams are bounded for one caller and for all; a place that is left is free again", async () => {
    await using room = await openRoom({ streams: { all: 3, each: 2 } });
    const open = () => events(`${room.url}/api/v1/stream`);
    await using _first = await open();
    {
      await using second = await open();
      expect(second.status).toBe(200);
      const third = await fetch(`${room.url}/api/v1/stream`);
      expect(third.status).toBe(429);
      expect(await third.json()).toMatchObject({ error: { code: "too-many-streams" } });
    }
    await expect
      .poll(async () => {
        await using again = await open();
        return again.status;
      })
      .toBe(200);
  });
});
