import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { createFakeClock } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { fakeServer, SCRAM_FEATURE } from "../fake-server.ts";
import { advanceUntil, linked } from "./linked.ts";

const TLS = "xmlns='urn:ietf:params:xml:ns:xmpp-tls'";
const FRAMING = "xmlns='urn:ietf:params:xml:ns:xmpp-framing'";
const OPEN = `<open ${FRAMING} from='localhost' id='1' version='1.0'/>`;
const FEATURES = `<stream:features xmlns:stream='http://etherx.jabber.org/streams'>${SCRAM_FEATURE}</stream:features>`;

/** Listens on 127.0.0.1 and does with each socket what it is told to. */
async function listening(
  act: (socket: Socket) => void,
): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    act(socket);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}

describe("where TLS should begin", () => {
  test.each([
    ["garbage", Buffer.from("hello, I am no TLS")],
    ["an alert", Buffer.from("15030300020228", "hex")],
    ["a record that is longer than any", Buffer.from("160303ffff", "hex")],
  ])("%s ends the attempt: nothing is said in clear", async (_what, bytes) => {
    await using server = await fakeServer();
    await using it = linked(server.service, { tls: { required: true } });
    const connection = await server.accept();
    await connection.open(`<starttls ${TLS}/>`);
    await connection.element("starttls");
    connection.write(`<proceed ${TLS}/>`);
    await expect.poll(() => connection.received(), { interval: 2 }).toMatch(/starttls.*localhost/s);
    connection.write(bytes);
    await it.until("waiting");
    expect(connection.received()).not.toMatch(/auth|gwpw/);
    await using direct = await listening((socket) => socket.write(bytes));
    await using other = linked(`xmpps://127.0.0.1:${direct.port}`);
    await other.until("waiting");
    expect(it.link.counts().sessions + other.link.counts().sessions).toBe(0);
  });

  test.each(["STARTTLS", "direct TLS"])("silence is given up: %s", async (how) => {
    const clock = createFakeClock();
    await using server = await fakeServer();
    const isDirect = how === "direct TLS";
    const service = isDirect ? server.service.replace("xmpp:", "xmpps:") : server.service;
    await using it = linked(service, { clock, tls: { required: true } });
    const connection = await server.accept();
    if (!isDirect) {
      await connection.open(`<starttls ${TLS}/>`);
      await connection.element("starttls");
      connection.write(`<proceed ${TLS}/>`);
    }
    await advanceUntil(clock, () => it.link.state().is === "waiting", 5_000);
    expect(it.link.state()).toMatchObject({ reason: expect.stringMatching(/no answer in 10000 ms/) });
  });
});

/** A WebSocket server that acts on each connection once the client has opened its stream. */
async function webSocketServer(
  act: (socket: WebSocket) => void,
): Promise<AsyncDisposable & { readonly service: string; readonly received: string[] }> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "xmpp" });
  const received: string[] = [];
  server.on("connection", (socket) => {
    socket.on("error", () => undefined);
    socket.on("message", (data, isBinary) => void (isBinary || received.push(String(data))));
    socket.once("message", () => act(socket));
  });
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    service: `ws://127.0.0.1:${address.port}/ws`,
    received,
    async [Symbol.asyncDispose]() {
      for (const each of server.clients) each.terminate();
      await new Promise((closed) => server.close(closed));
    },
  };
}

describe("RFC 7395: a WebSocket", () => {
  test("whose messages come in fragments, within letters too, is read as any", async () => {
    await using server = await webSocketServer((socket) => {
      socket.send(OPEN);
      const bytes = Buffer.from(FEATURES.replace("</stream", "<ü xmlns='urn:x'/></stream"));
      // Frames of text may end within a letter; whether the message is text, the first of them says.
      for (let at = 0; at < bytes.length; at += 1)
        socket.send(bytes.subarray(at, at + 1), { binary: false, fin: at === bytes.length - 1 });
    });
    await using _it = linked(server.service);
    await expect.poll(() => server.received.some((text) => text.startsWith("<auth"))).toBe(true);
  });

  test.each<[what: string, act: (socket: WebSocket) => void]>([
    ["binary messages", (socket) => socket.send(Buffer.from(OPEN), { binary: true })],
    ["text that is not UTF-8", (socket) => socket.send(Buffer.from([0xff, 0xfe]), { binary: false })],
    ["half an element", (socket) => socket.send("<open ")],
    ["a stream of its own kind", (socket) => socket.send("<stream:stream>")],
    ["a document type", (socket) => socket.send("<!DOCTYPE a><a/>")],
    ["an empty message", (socket) => socket.send("", () => socket.close())],
    ["a message above all bounds", (socket) => socket.send("x".repeat(1_000_000))],
    ["a message without end", (socket) => endless(socket)],
    ["a close with a reason", (socket) => socket.close(4_000, "x".repeat(100))],
    ["no frame at all", (socket) => void Reflect.get(socket, "_socket").write(Buffer.alloc(100, 0xff))],
  ])("with %s ends the attempt and nothing else", async (_what, act) => {
    await using server = await webSocketServer(act);
    await using it = linked(server.service, { maxReceived: 100_000 });
    const { reason } = await it.until("waiting");
    expect(reason.length).toBeLessThan(300);
    expect(server.received.join("")).not.toMatch(/<auth/);
  });

  test.each<[what: string, act: (socket: WebSocket) => void]>([
    ["one message", (socket) => socket.send("x".repeat(1_000_000))],
    ["one without end", (socket) => endless(socket)],
  ])("whose messages are too large, %s, ends with a word that says so", async (_what, act) => {
    await using server = await webSocketServer(act);
    await using it = linked(server.service, { maxReceived: 100_000 });
    const { reason } = await it.until("waiting");
    expect(reason).toBe("the server sent a WebSocket message that is too large");
  });

  test.each([
    ["no HTTP", "hello\r\n\r\n"],
    ["an error", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"],
    ["another place", "HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n"],
    [
      "a key that is none",
      "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
    ],
    ["headers without end", `HTTP/1.1 101 Yes\r\n${"X-A: b\r\n".repeat(20_000)}`],
  ])("that is answered with %s does not come about", async (_what, answer) => {
    await using server = await listening((socket) => socket.once("data", () => socket.write(answer)));
    await using it = linked(`ws://127.0.0.1:${server.port}/ws`);
    await it.until("waiting");
    expect(it.link.counts().sessions).toBe(0);
  });
});

/** Fragments of one message, as long as somebody takes them. */
function endless(socket: WebSocket): void {
  socket.send("<open a='", { fin: false });
  const more = (): void => {
    if (socket.readyState === socket.OPEN) socket.send("x".repeat(50_000), { fin: false }, more);
  };
  more();
}
