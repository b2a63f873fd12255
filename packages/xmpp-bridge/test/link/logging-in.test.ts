import { createFakeClock } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { fakeServer, SCRAM_FEATURE } from "../fake-server.ts";
import { advanceUntil, linked } from "./linked.ts";

const TLS = "xmlns='urn:ietf:params:xml:ns:xmpp-tls'";

describe("before it is online", () => {
  test("nothing is sent but what the login needs, and then all of it in order", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const answers = [it.ping(), it.ping()];
    const connection = await server.accept();
    await connection.login();
    const [first, second] = [await connection.element("iq"), await connection.element("iq")];
    for (const iq of [first, second])
      connection.write(`<iq type='result' id='${iq.attrs["id"]}' from='localhost'/>`);
    expect((await Promise.all(answers)).map(({ is }) => is)).toEqual(["result", "result"]);
    expect(connection.received().match(/<(auth|response|iq|enable)\b/g)).toEqual([
      ...["<auth", "<response", "<iq", "<enable", "<iq", "<iq"],
    ]);
  });

  test("a server that does not know the password itself gets nothing more", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.open(SCRAM_FEATURE);
    await connection.authenticate({ password: "another" });
    expect(await it.until("waiting")).toMatchObject({
      fatal: true,
      reason: expect.stringMatching(/signature is wrong/),
    });
    await connection.closed;
    expect(connection.received()).not.toContain("bind");
  });

  test("PLAIN would show the password to whoever listens: without TLS it is not used", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.open(SCRAM_FEATURE.replace("SCRAM-SHA-256", "PLAIN"));
    expect(await it.until("waiting")).toMatchObject({
      fatal: true,
      reason: expect.stringMatching(/offers PLAIN/),
    });
    expect(connection.received()).not.toContain("auth");
  });

  test("where TLS is required and STARTTLS was taken out on the way, no word is said", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service, { tls: { required: true } });
    const connection = await server.accept();
    await connection.open(SCRAM_FEATURE);
    expect(await it.until("waiting")).toMatchObject({
      fatal: true,
      reason: expect.stringMatching(/offers no TLS/),
    });
    await connection.closed;
    expect(connection.received()).not.toMatch(/auth|gw/);
  });

  test("what came in clear behind <proceed/> does not stand for what TLS would bring", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service, { tls: { required: true } });
    const connection = await server.accept();
    await connection.open(`<starttls ${TLS}/>`);
    await connection.element("starttls");
    connection.write(`<proceed ${TLS}/><stream:features>${SCRAM_FEATURE}</stream:features>`);
    expect(await it.until("waiting")).toMatchObject({ reason: expect.stringMatching(/not its turn/) });
    expect(connection.received()).not.toContain("auth");
  });

  test.each([
    ["not-authorized", true],
    ["account-disabled", true],
    ["temporary-auth-failure", false],
  ])("the SASL failure %s is fatal: %s", async (condition, fatal) => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.open(SCRAM_FEATURE);
    await connection.element("auth");
    connection.write(`<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><${condition}/></failure>`);
    expect(await it.until("waiting")).toMatchObject({ fatal, reason: expect.stringContaining(condition) });
  });

  test.each(["connected", "stream opened", "login begun"])(
    "a server that is silent once %s is given up, and the next attempt begins anew",
    async (phase) => {
      const clock = createFakeClock();
      await using server = await fakeServer();
      await using it = linked(server.service, { clock });
      const connection = await server.accept();
      if (phase !== "connected") await connection.open(SCRAM_FEATURE);
      if (phase === "login begun") await connection.element("auth");
      else await connection.next();
      await advanceUntil(clock, () => it.link.state().is === "waiting", 5_000);
      expect(it.link.state()).toMatchObject({
        reason: expect.stringMatching(/no answer in 10000 ms/),
        fatal: false,
      });
      const again = server.accept();
      await advanceUntil(clock, () => it.link.counts().attempts > 1, 100);
      await (await again).login();
      await it.until("online");
    },
  );
});
