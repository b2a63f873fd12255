import { createFakeClock } from "@nomq/core/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BIND_FEATURE, type FakeConnection, fakeServer, SCRAM_FEATURE, SM } from "../fake-server.ts";
import { advanceUntil, linked } from "./linked.ts";

const SASL = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const HEADER =
  "<?xml version='1.0'?><stream:stream xmlns='jabber:client' " +
  "xmlns:stream='http://etherx.jabber.org/streams' id='1' from='localhost' version='1.0'>";
/** Attempts follow each other at once. */
const AT_ONCE = { firstDelayMs: 1, longestDelayMs: 2, fatalDelayMs: 2 };

/** Where a login stands, and how it gets there; each leaves a client that waits for the server. */
const PHASES: readonly (readonly [phase: string, reach: (connection: FakeConnection) => Promise<unknown>])[] =
  [
    ["before the stream", (connection) => connection.next()],
    [
      "before its features",
      async (connection) => {
        await connection.next();
        connection.write(HEADER);
      },
    ],
    [
      "during authentication",
      async (connection) => {
        await connection.open(SCRAM_FEATURE);
        await connection.element("auth");
      },
    ],
    [
      "behind authentication",
      async (connection) => {
        await connection.open(SCRAM_FEATURE);
        await connection.authenticate();
        await connection.next();
      },
    ],
    [
      "while a resource is bound",
      async (connection) => {
        await connection.open(SCRAM_FEATURE);
        await connection.authenticate();
        await connection.open(`${BIND_FEATURE}<sm ${SM}/>`);
        await connection.element("iq");
      },
    ],
    ["once online", (connection) => connection.login({ manages: false })],
  ];

describe("RFC 5802: a server that authenticates as it likes", () => {
  test.each<[what: string, answer: (nonce: string) => string]>([
    ["one iteration", (nonce) => `r=${nonce}x,s=QSXCR+Q6sek8bf92,i=1`],
    ["999,999,999 iterations", (nonce) => `r=${nonce}x,s=QSXCR+Q6sek8bf92,i=999999999`],
    ["1e9 iterations", (nonce) => `r=${nonce}x,s=QSXCR+Q6sek8bf92,i=1000000000`],
    ["a salt of 100 kB", (nonce) => `r=${nonce}x,s=${"A".repeat(100_000)},i=4096`],
    ["a nonce of 100 kB", (nonce) => `r=${nonce}${"x".repeat(100_000)},s=QSXCR+Q6sek8bf92,i=4096`],
    ["a nonce of its own", () => "r=other,s=QSXCR+Q6sek8bf92,i=4096"],
    ["our nonce alone", (nonce) => `r=${nonce},s=QSXCR+Q6sek8bf92,i=4096`],
    ["an extension", (nonce) => `m=1,r=${nonce}x,s=QSXCR+Q6sek8bf92,i=4096`],
    ["nothing", () => ""],
  ])("%s: the attempt ends, and no proof is given", async (_what, answer) => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.open(SCRAM_FEATURE);
    const auth = await connection.element("auth");
    const nonce = /r=(.*)$/.exec(Buffer.from(auth.getText(), "base64").toString())?.[1] ?? "";
    connection.write(`<challenge ${SASL}>${base64(answer(nonce))}</challenge>`);
    expect(await it.until("waiting")).toMatchObject({
      fatal: true,
      reason: expect.stringMatching(/^SCRAM: a challenge/),
    });
    expect(connection.received()).not.toContain("<response");
  });

  test.each<[what: string, final: string]>([
    ["without a word", `<success ${SASL}/>`],
    ["with a signature of nothing", `<success ${SASL}>${base64("v=")}</success>`],
    ["with an error", `<success ${SASL}>${base64("e=other-error")}</success>`],
    ["with bytes that are none", `<success ${SASL}>????</success>`],
    ["and signs nothing in a challenge before", `<challenge ${SASL}/><success ${SASL}/>`],
  ])("success %s is none", async (_what, final) => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.open(SCRAM_FEATURE);
    const auth = await connection.element("auth");
    const nonce = /r=(.*)$/.exec(Buffer.from(auth.getText(), "base64").toString())?.[1] ?? "";
    connection.write(`<challenge ${SASL}>${base64(`r=${nonce}x,s=QSXCR+Q6sek8bf92,i=4096`)}</challenge>`);
    await connection.element("response");
    connection.write(final);
    expect(await it.until("waiting")).toMatchObject({
      fatal: true,
      reason: expect.stringMatching(/signature is wrong/),
    });
    expect(connection.received().split("<?xml")).toHaveLength(2);
  });

  test("success before any question is none", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.open(SCRAM_FEATURE);
    await connection.element("auth");
    connection.write(`<success ${SASL}/>`);
    expect(await it.until("waiting")).toMatchObject({ fatal: true });
    expect(connection.received()).not.toContain("bind");
  });
});

describe.each(PHASES)("%s", (phase, reach) => {
  const LAUGHS = `<!DOCTYPE a [<!ENTITY b "${"b".repeat(100)}"><!ENTITY c "${"&b;".repeat(100)}">]><a>&c;</a>`;

  test.each([
    ["a document type", LAUGHS],
    ["a processing instruction", "<?php echo 1 ?>"],
    ["a comment", "<!-- -->"],
    ["bytes that are no text", Buffer.from([0xff, 0xfe, 0x00, 0x80])],
    ["text of another protocol", "HTTP/1.1 400 Bad Request\r\n\r\n<html><body></html>"],
    ["TLS where none was asked for", Buffer.from("16030100050100000100", "hex")],
    ["an end of what did not begin", "</a></b></stream:stream></stream:stream>"],
  ])("%s ends the attempt, and the next one goes well", async (_what, bytes) => {
    await using server = await fakeServer();
    await using it = linked(server.service, { times: AT_ONCE });
    const connection = await server.accept();
    await reach(connection);
    if (phase === "once online") await it.until("online");
    connection.write(bytes);
    await connection.closed;
    await (await server.accept()).login();
    expect((await it.until("online")).resumed).toBe(false);
  });

  test("bytes that come one by one and lead nowhere are given up", async () => {
    const clock = createFakeClock();
    await using server = await fakeServer();
    await using it = linked(server.service, { clock });
    const connection = await server.accept();
    await reach(connection);
    if (phase === "once online") await it.until("online");
    connection.write("<a");
    const before = it.states.length;
    const trickle = (): boolean => {
      if (!connection.socket.destroyed) connection.write(" ");
      return it.states.slice(before).some(({ is }) => is === "waiting");
    };
    await advanceUntil(clock, trickle, 2_000);
    expect(it.states.slice(before).find(({ is }) => is === "waiting")).toMatchObject({
      reason: expect.stringMatching(/no answer|not logged in|not whole|nothing heard|not well-formed/),
    });
  });
});

test("random bytes at any moment end an attempt and nothing else", { timeout: 60_000 }, async () => {
  await using server = await fakeServer();
  await using it = linked(server.service, { times: { ...AT_ONCE, farewellMs: 1 } });
  const anyPiece = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.string({ unit: fc.constantFrom(..."<>/ a='\"&;!?[]:"), minLength: 1, maxLength: 60 }),
  );
  const anyPhase = fc.constantFrom(...PHASES);
  const numRuns = process.env["NOMQ_LONG"] ? 1_000 : 25;
  await fc.assert(
    fc.asyncProperty(
      anyPhase,
      fc.array(anyPiece, { minLength: 1, maxLength: 4 }),
      async ([, reach], pieces) => {
        const connection = await server.accept();
        await reach(connection);
        for (const piece of pieces) connection.write(piece);
        connection.socket.end();
        await connection.closed;
      },
    ),
    { numRuns, seed: 7, endOnFailure: true },
  );
  await (await server.accept()).login();
  await it.until("online");
});
